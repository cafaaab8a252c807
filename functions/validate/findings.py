"""Where the steps of validation put what they notice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

from contracts.job import Finding
from functions.errors import shortened

_ROWS_SHOWN = 10
_ROWS_IN_TEXT = 5
_ORDER = {"error": 0, "warning": 1, "change": 2}

Severity = Literal["error", "warning", "change"]


class Findings:
    """Collects findings. Rows are numbers of source rows, counted from 1, the header not counted."""

    def __init__(self) -> None:
        self._found: list[Finding] = []

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
        return any(finding.severity == "error" for finding in self._found)

    def sorted(self) -> list[Finding]:
        """All findings: errors, warnings, changes, each in the order of the steps."""
        return by_severity(self._found)

    def _add(
        self,
        severity: Severity,
        code: str,
        message: str,
        advice: str,
        column: str | None,
        rows: Iterable[int],
    ) -> None:
        numbers = np.sort(np.asarray(list(rows), dtype=np.int64))
        self._found.append(
            Finding(
                severity=severity,
                code=code,
                column=column,
                rows=numbers[:_ROWS_SHOWN].tolist(),
                count=len(numbers),
                message=shortened(message) + _where(numbers[:_ROWS_IN_TEXT], len(numbers)),
                advice=shortened(advice),
            )
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


def some(values: Iterable[object], limit: int = 5) -> str:
    """The first few values, for a message."""
    listed = [str(value)[:40] for value in values]
    return ", ".join(listed[:limit]) + (f" and {len(listed) - limit} more" if len(listed) > limit else "")
