"""The one error tree.

x Failure
  + Permanent            the same message would fail again: end the job, acknowledge
  | + BadMessage         the message itself can never work: to the dead letters
  | + BadRequest         the request must change
  | + BadData            the data must change
  | + BadSource          the source refuses or cannot be read
  | + BrokenResult       a training reported success, but files of its result are missing or damaged
  + Transient            try again later: the message is delivered again
    + Unavailable        a dependency does not answer
    | + Busy             it has no room at present: waiting for a turn, which counts as no attempt
    + NotYet             something else must happen first
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from contracts.problem import Problem, violations

MAX_ERRORS = 50
MAX_TEXT = 1000
"""Most reasons of a failure, and most characters of each: a job document must stay storable."""


class Failure(Exception):
    """An error outside our own logic, with a reason that people can read."""

    type: ClassVar[str] = "failure"
    title: ClassVar[str] = "Something went wrong"
    of_fields: ClassVar[bool] = False
    """Whether each of the errors begins with the path of a field: `path: what is wrong`."""

    def __init__(self, detail: str, errors: Sequence[str] = ()) -> None:
        super().__init__(detail)
        told = [shortened(error) for error in errors[:MAX_ERRORS]]
        more = [f"and {len(errors) - MAX_ERRORS} more"] if len(errors) > MAX_ERRORS else []
        self.problem = Problem(
            type=self.type,
            title=self.title,
            detail=shortened(detail),
            errors=told + more,
            violations=violations(told) if self.of_fields else [],
        )


def shortened(text: str) -> str:
    """The text, cut to MAX_TEXT characters; the end says how many were left out."""
    kept = MAX_TEXT - 40
    return text if len(text) <= MAX_TEXT else f"{text[:kept]} … and {len(text) - kept} more characters"


class Permanent(Failure):
    """The same message would fail again."""

    type = "permanent"


class BadMessage(Permanent):
    """The message can never work, and names no job that could tell its sender."""

    type = "bad-message"
    title = "The message cannot be read"


class BadRequest(Permanent):
    """The request is not valid."""

    of_fields = True
    type = "invalid-request"
    title = "The request is not valid"


class BadData(Permanent):
    """The data cannot be trained on."""

    type = "invalid-data"
    title = "The data cannot be trained on"


class BadSource(Permanent):
    """The source cannot be read as asked."""

    type = "unreadable-source"
    title = "The source cannot be read"


class BrokenResult(Permanent):
    """Files of a result are missing or damaged."""

    type = "broken-result"
    title = "The result is not whole"


class Transient(Failure):
    """Trying again later may work."""

    type = "transient"


class Unavailable(Transient):
    """A dependency does not answer at present."""

    type = "unavailable"
    title = "A part of the system does not answer"


class Busy(Unavailable):
    """A dependency has reached its limit of parallel work."""

    type = "busy"
    title = "Others are served first"


class NotYet(Transient):
    """Something else must happen first."""

    type = "not-yet"
    title = "Something else must happen first"
