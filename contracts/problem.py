"""What went wrong, in the shape of RFC 9457 (problem+json)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import Field

from contracts.base import Exchanged

_ADVICE = re.compile(r"((?:'[^']*'|[^;'])*); (.*)", re.DOTALL)


class Violation(Exchanged):
    """One thing that is wrong with what somebody sent, and where."""

    path: str = Field(description="field or parameter, such as `columns.paid_media[1].spend`")
    message: str = Field(description="what is wrong")
    advice: str = Field("", description="what to do about it")

    @classmethod
    def of(cls, line: str) -> Violation:
        """The violation that a line `path: what is wrong; what to do` tells of."""
        path, _, told = line.partition(": ")
        advice = _ADVICE.fullmatch(told)
        return cls(path=path, message=advice[1], advice=advice[2]) if advice else cls(path=path, message=told)


class Problem(Exchanged):
    """One reason why a job, a request or a message got no further."""

    type: str = Field(description="short name of the kind of problem, e.g. `invalid-request`")
    title: str = Field(description="what is wrong, in one line")
    detail: str = Field("", description="where, and what to do")
    errors: list[str] = Field([], description="every single problem, where there are several")
    violations: list[Violation] = Field(
        [], description="the same by field, where it is what somebody sent that is wrong"
    )


def violations(lines: Iterable[str]) -> list[Violation]:
    """The violations that lines `path: what is wrong; what to do` tell of."""
    return [Violation.of(line) for line in lines if ": " in line]
