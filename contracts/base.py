"""The two kinds of contract: what people write, and what our own programs exchange."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

SCHEMA_VERSION = 1
MAX_DEPTH = 16
"""How deeply the lists and mappings of something written may be nested; a request needs 5."""


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs a zone; write UTC, for example 2026-01-31T12:00:00Z")
    return value.astimezone(UTC)


Timestamp = Annotated[datetime, AfterValidator(_utc)]
"""A point in time, always UTC; written as ISO-8601."""

Slug = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""A short name that is safe in an object name: letters, digits, `_`, `.`, `-`; 64 characters at most."""

Country = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,15}$")]
"""A country code or another short market name, such as `DE` or `benelux`."""


class Authored(BaseModel):
    """Something a person or an upstream system writes: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Exchanged(BaseModel):
    """Something our programs exchange: unknown fields of a newer version are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def canonical_json(value: Any) -> str:
    """The one spelling of a JSON value: keys sorted, no spaces, numbers as they were sent."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def check_json(value: Any, depth: int = MAX_DEPTH) -> None:
    """Make sure that a value comes back from JSON, and from every store, as it was.

    Raises:
        ValueError: it is nested too deeply, or holds a number that is not finite, text that is not valid
            Unicode, or a field name that is no text.
    """
    if isinstance(value, dict | list) and not depth:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise ValueError(f"the field name {name!r} is not text; put it in quotation marks")
            _check_text(name)
            check_json(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            check_json(item, depth - 1)
    elif isinstance(value, str):
        _check_text(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is out of range")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"text that is not valid Unicode (at character {error.start} of {text[:40]!a})"
        ) from error


def error_lines(error: ValidationError) -> list[str]:
    """Every problem of a failed validation as `path: what is wrong`, in the order of the fields."""
    lines = [f"{_path(problem['loc'])}: {_message(problem)}" for problem in error.errors(include_url=False)]
    return list(dict.fromkeys(lines))


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not part.startswith(("function-", "tagged-union")):
            path += f".{part}" if path else part
    return path or "(whole document)"


def _message(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "extra_forbidden":
        return "unknown field; check the spelling or remove it"
    if problem["type"] == "missing":
        return "is required"
    return str(problem["msg"]).removeprefix("Value error, ")
