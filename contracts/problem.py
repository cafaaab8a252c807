"""What went wrong, in the shape of RFC 9457 (problem+json)."""

from __future__ import annotations

from pydantic import Field

from contracts.base import Exchanged


class Problem(Exchanged):
    """One reason why a job, a request or a message got no further."""

    type: str = Field(description="short name of the kind of problem, e.g. `invalid-request`")
    title: str = Field(description="what is wrong, in one line")
    detail: str = Field("", description="where, and what to do")
    errors: list[str] = Field([], description="every single problem, where there are several")
