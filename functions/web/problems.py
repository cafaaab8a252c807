"""Errors of the page and the JSON API with their HTTP status; a page or problem+json (RFC 9457) for each."""

from __future__ import annotations

from typing import Any, ClassVar

from contracts.problem import Problem
from functions.errors import Permanent


class WebProblem(Permanent):
    """A request that cannot be answered as asked."""

    status: ClassVar[int] = 400


class BadQuery(WebProblem):
    """The address holds a value that does not exist."""

    type = "bad-query"
    title = "The address is not valid"


class NotAllowed(WebProblem):
    """The person is unknown, or may not do this."""

    status = 403
    type = "not-allowed"
    title = "You may not do this"


class CrossSite(WebProblem):
    """Another site asked a browser to change something here."""

    status = 403
    type = "cross-site"
    title = "Requests from other sites are refused"


class Unknown(WebProblem):
    """There is no such job, file, dead letter or queue."""

    status = 404
    type = "not-found"
    title = "Not found"


class Refused(WebProblem):
    """Not possible in the present state."""

    status = 409
    type = "conflict"
    title = "Not possible now"


def body(problem: Problem, status: int) -> dict[str, Any]:
    """The members of a problem+json document."""
    return {**problem.model_dump(), "status": status}
