"""Errors of the page and the JSON API with their HTTP status; a page or problem+json (RFC 9457) for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from contracts.api import ApiProblem
from contracts.problem import Problem, Violation
from functions.errors import Permanent


class WebProblem(Permanent):
    """A request that cannot be answered as asked."""

    status: ClassVar[int] = 400

    def __init__(
        self,
        detail: str,
        errors: Sequence[str] = (),
        violations: Sequence[Violation] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail, errors)
        if violations:
            self.problem = self.problem.model_copy(update={"violations": list(violations)})
        self.headers = dict(headers or {})


class BadQuery(WebProblem):
    """The address holds a value that does not exist."""

    of_fields = True
    type = "bad-query"
    title = "The address is not valid"


class BadBody(WebProblem):
    """The body is not what this address takes."""

    of_fields = True
    type = "bad-body"
    title = "The body is not valid"


class WrongType(WebProblem):
    """The body is not JSON."""

    status = 415
    type = "unsupported-media-type"
    title = "The body must be JSON"


class TooLarge(WebProblem):
    """The body is larger than anything that is taken here."""

    status = 413
    type = "too-large"
    title = "The body is too large"


class Changed(WebProblem):
    """Somebody else changed it since it was read."""

    status = 412
    type = "changed"
    title = "It has been changed meanwhile"


class NotIdentified(WebProblem):
    """Nobody vouches for who asks: sign in through Identity-Aware Proxy."""

    status = 401
    type = "not-identified"
    title = "It is not known who asks"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class NotAllowed(WebProblem):
    """The installation does not know the person, or they may not do this."""

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


class Unreadable(WebProblem):
    """A source cannot be read as it is named."""

    status = 422
    type = "unreadable-source"
    title = "The source cannot be read"


class NoCurves(WebProblem):
    """A job whose budget cannot be planned."""

    status = 409
    type = "no-curves"
    title = "There is nothing to plan with"


class TooMany(WebProblem):
    """Whoever asks has asked enough for now."""

    status = 429
    type = "too-many-requests"
    title = "One after the other"


class BadRange(WebProblem):
    """There are no such bytes (yet)."""

    status = 416
    type = "no-such-bytes"
    title = "There are no such bytes"


class Refused(WebProblem):
    """Not possible in the present state."""

    status = 409
    type = "conflict"
    title = "Not possible now"


def body(problem: Problem, status: int, path: str) -> ApiProblem:
    """A problem as the API answers it."""
    fields = {**dict(problem), "type": f"/problems/{problem.type}"}
    return ApiProblem(**fields, status=status, instance=path)
