"""Where the steps of validation put what they notice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import numpy as np

from contracts.base import some
from contracts.job import Finding
from functions.errors import shortened

_ROWS_SHOWN = 10
_ROWS_IN_TEXT = 5
_ORDER = {"error": 0, "warning": 1, "change": 2}

Severity = Literal["error", "warning", "change"]


class _Said(NamedTuple):
    """What a finding says; `apart` differs where two that say the same must not become one."""

    severity: Severity
    code: str
    message: str
    advice: str
    column: str | None
    apart: str


class _Where(NamedTuple):
    rows: list[int]
    regions: list[str]


class Findings:
    """Collects findings. Rows are numbers of source rows, counted from 1, the header not counted."""

    def __init__(self) -> None:
        self._found: dict[_Said, _Where] = {}
        self._region = ""

    @contextmanager
    def of_region(self, region: str) -> Iterator[None]:
        """What is noticed inside is about this region; several regions with the same finding are one."""
        self._region = region
        yield
        self._region = ""

    def error(
        self, code: str, message: str, advice: str, column: str | None = None, rows: Iterable[int] = ()
    ) -> None:
        """Something that must change before the data can be trained on."""
        self._add("error", code, message, advice, column, rows)

    def warning(
        self, code: str, message: str, advice: str, column: str | None = None, rows: Iterable[int] = ()
    ) -> None:
        """Something that people should look at."""
        self._add("warning", code, message, advice, column, rows)

    def change(
        self, code: str, message: str, advice: str = "", column: str | None = None, rows: Iterable[int] = ()
    ) -> None:
        """Something that was done to the data."""
        self._add("change", code, message, advice, column, rows)

    @property
    def any_error(self) -> bool:
        """Whether the data cannot be trained on."""
        return any(said.severity == "error" for said in self._found)

    def sorted(self) -> list[Finding]:
        """All findings: errors, warnings, changes, each in the order of the steps."""
        return by_severity(_finding(said, where) for said, where in self._found.items())

    def _add(
        self,
        severity: Severity,
        code: str,
        message: str,
        advice: str,
        column: str | None,
        rows: Iterable[int],
    ) -> None:
        said = _Said(severity, code, message, advice, column, "" if self._region else str(len(self._found)))
        where = self._found.setdefault(said, _Where([], []))
        where.rows.extend(int(row) for row in rows)
        where.regions.extend([self._region] if self._region else [])


def _finding(said: _Said, where: _Where) -> Finding:
    numbers = np.sort(np.asarray(where.rows, dtype=np.int64))
    regions = f" [{some(where.regions)}]" if where.regions else ""
    return Finding(
        severity=said.severity,
        code=said.code,
        column=said.column,
        rows=numbers[:_ROWS_SHOWN].tolist(),
        count=len(numbers),
        message=shortened(said.message) + _where(numbers[:_ROWS_IN_TEXT], len(numbers)) + regions,
        advice=shortened(said.advice),
    )


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, warnings, changes; each in the order in which they were found."""
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])


def _where(first: Iterable[int], count: int) -> str:
    if not count:
        return ""
    shown = ", ".join(str(row) for row in first)
    more = f" and {count - _ROWS_IN_TEXT} more" if count > _ROWS_IN_TEXT else ""
    return f" (row{'s' if count > 1 else ''} {shown}{more})"
