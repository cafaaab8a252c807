"""Documents that another version of this program may have written."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from contracts.base import error_lines
from functions.errors import NotYet

M = TypeVar("M", bound=BaseModel)


def read_ours(kind: type[M], text: bytes) -> M:
    """A document of ours.

    Raises:
        NotYet: a newer version wrote it and said something that this one does not know.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        wait_for_newer(error)
        raise


def wait_for_newer(error: ValidationError) -> None:
    """Return only if a newer version would not take the document either.

    Raises:
        NotYet: its only problem are fields that this version does not know.
    """
    if all(problem["type"] == "extra_forbidden" for problem in error.errors(include_url=False)):
        unknown = ", ".join(line.partition(": ")[0] for line in error_lines(error))
        raise NotYet(f"this waits for a newer version, which knows {unknown}") from error
