"""The two kinds of contract: what people write, and what our own programs exchange."""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

RELEASE = "0.1.0"
"""The version of this program; `GET /version` tells it."""
SCHEMA_VERSION = 1
MAX_DEPTH = 16
"""How deeply the lists and mappings of something written may be nested; a request needs 5."""

WHOLE = "(whole document)"
"""Where a problem is that is not one of a field."""


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs a zone; write UTC, for example 2026-01-31T12:00:00Z")
    return value.astimezone(UTC)


_SPELLINGS: dict[str, str] = {}


def spelled(pattern: str, words: str) -> StringConstraints:
    """Text of a form; a problem with it is told in these words, and never as the pattern.

    Raises:
        ValueError: problems with the same pattern are told in other words elsewhere.
    """
    if _SPELLINGS.setdefault(pattern, words) != words:
        raise ValueError(f"{pattern} is spelled '{_SPELLINGS[pattern]}'")
    return StringConstraints(pattern=pattern)


class FieldProblems(ValueError):
    """What fields cannot say together, each as `path: what is wrong`; paths begin at what is validated."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = list(lines)
        super().__init__("; ".join(self.lines))


Timestamp = Annotated[datetime, AfterValidator(_utc)]
"""A point in time, always UTC; written as ISO-8601."""

SchemaVersion = Annotated[int, Field(description="version of this kind of document")]
OfJob = Annotated[str, Field(description="id of the job")]
OfAttempt = Annotated[int, Field(description="attempt of the job, counted from 1")]
OfCountry = Annotated[str, Field(description="country or market of the request")]
OfRevision = Annotated[str, Field(description="series of models that the request names")]
OfRequest = Annotated[str, Field(description="idempotency key: of the request, or of the uploaded files")]
"""Fields that many contracts have in common, each with its description."""

Slug = Annotated[
    str,
    spelled(
        r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        "must be 1 to 64 letters, digits, `_`, `.` or `-`, a letter or digit first, without accents",
    ),
]
"""A short name that is safe in an object name: letters, digits, `_`, `.`, `-`; 64 characters at most."""

_COUNTRY = r"[A-Za-z0-9][A-Za-z0-9_-]{0,15}"
Country = Annotated[
    str,
    spelled(
        f"^{_COUNTRY}$",
        "must be a short name such as DE or benelux: 1 to 16 letters, digits, `_` or `-`; what the data call "
        "the country is said in country_value",
    ),
]
"""A country code or another short market name, such as `DE` or `benelux`."""


def is_country(value: object) -> bool:
    """Whether a value can be the name of a country."""
    return isinstance(value, str) and re.fullmatch(_COUNTRY, value) is not None


_UNSEEN = [0xAD, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060, 0xFEFF]
_AS_SEEN = dict.fromkeys(_UNSEEN, "") | dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], " ")


def plain_name(name: Any) -> Any:
    """A name as people see it: composed (NFC), without characters of no width, one space for any white space.

    Names of the data and of the request are compared so. What is no text is given back.
    """
    if not isinstance(name, str):
        return name
    return " ".join(unicodedata.normalize("NFC", name).translate(_AS_SEEN).split())


def some(values: Iterable[object], limit: int = 5) -> str:
    """The first few values, for a message."""
    listed = [str(value)[:40] for value in values]
    return ", ".join(listed[:limit]) + (f" and {len(listed) - limit} more" if len(listed) > limit else "")


PlainName = Annotated[str, BeforeValidator(plain_name, json_schema_input_type=str)]
"""A name in which line breaks, repeated and unusual spaces count as one space."""

MAX_NAME = 300
"""How many characters the name of a column may have."""

ColumnName = Annotated[PlainName, StringConstraints(min_length=1, max_length=MAX_NAME)]
"""A column of the data, as it is called there; see `plain_name`."""

RegionName = Annotated[PlainName, StringConstraints(min_length=1)]
"""A region of the data, as it is called there; see `plain_name`."""

Range = Annotated[
    tuple[float, float],
    BeforeValidator(
        lambda v: (v, v) if isinstance(v, int | float) and not isinstance(v, bool) else v,
        json_schema_input_type=tuple[float, float] | float,
    ),
]
"""A range [low, high]; a single number is fixed."""


class Authored(BaseModel):
    """Base of documents that people or upstream systems write: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Exchanged(BaseModel):
    """Base of documents that our programs exchange: unknown fields of a newer version are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def filled(said: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What was said, with defaults where nothing was."""
    inner = {
        name: filled(said[name], value)
        for name, value in defaults.items()
        if isinstance(value, dict) and isinstance(said.get(name), dict)
    }
    return {**defaults, **said, **inner}


def canonical_json(value: Any) -> str:
    """The one spelling of a JSON value: keys sorted, no spaces, numbers as they were sent."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class LeftOut(str):
    """Stands, as a text, for a value that not every store can keep; equal values have equal texts."""

    why: str

    def __new__(cls, why: str, value: object) -> LeftOut:
        """`why`: what is wrong with the value."""
        digest = hashlib.sha256(repr(value).encode(errors="surrogatepass")).hexdigest()
        left_out = super().__new__(cls, f"(left out: {why}; sha256 {digest[:16]})")
        left_out.why = why
        return left_out


def storable(value: Any) -> tuple[Any, list[str]]:
    """Return the part of `value` that JSON and every store can round-trip.

    Replaced are structures nested too deeply, numbers that are not finite, text that is not valid Unicode,
    field names that are not text, and every `LeftOut`.

    Returns:
        The value, and `path: reason` for each part replaced.
    """
    problems: list[str] = []
    return _storable(value, (), problems), problems


def _storable(value: Any, path: tuple[int | str, ...], problems: list[str]) -> Any:
    why = _why_not(value, len(path))
    if why:
        problems.append(f"{_path(path)}: {why}")
        return str(value if isinstance(value, LeftOut) else LeftOut(why, value))
    if isinstance(value, dict):
        return {
            _field_name(name, path, problems): _storable(item, (*path, _shown(name)), problems)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_storable(item, (*path, number), problems) for number, item in enumerate(value)]
    return value


def _why_not(value: Any, depth: int) -> str | None:
    """Why a value must be left out; None if it need not."""
    if isinstance(value, LeftOut):
        return value.why
    if isinstance(value, dict | list) and depth >= MAX_DEPTH:
        return f"nested more than {MAX_DEPTH} levels deep"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number is out of range"
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            return f"text that is not valid Unicode (at character {error.start} of {value[:40]!a})"
    return None


def _field_name(name: object, path: tuple[int | str, ...], problems: list[str]) -> str:
    why = None if isinstance(name, str) else f"the field name {name!r} is not text; put it in quotation marks"
    why = why or _why_not(name, 0)
    if why is None:
        return str(name)
    problems.append(f"{_path(path)}: {why}")
    return str(LeftOut(why, name))


def _shown(name: object) -> str:
    """A field name, whatever it is, as part of a path."""
    return str(name).encode(errors="backslashreplace").decode()


def error_lines(
    error: ValidationError, but: Callable[[str, tuple[int | str, ...]], bool] = lambda *_: False
) -> list[str]:
    """Every problem of a failed validation as `path: what is wrong`, in the order of the fields.

    Without those for whose kind and path `but` is true.
    """
    problems = [one for one in error.errors(include_url=False) if not but(one["type"], one["loc"])]
    return list(dict.fromkeys(line for problem in problems for line in _lines(problem)))


def _lines(problem: Mapping[str, Any]) -> list[str]:
    path, cause = _path(problem["loc"]), problem.get("ctx", {}).get("error")
    if isinstance(cause, FieldProblems):
        return [line if path == WHOLE else f"{path}.{line}" for line in cause.lines]
    return [f"{path}: {_message(problem)}"]


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not part.startswith(("function-", "tagged-union")):
            path += f".{part}" if path else part
    return path or WHOLE


_MESSAGES = {
    "extra_forbidden": "unknown field; check the spelling or remove it",
    "missing": "is required",
    "model_type": "must be a mapping of field names to values",
    "dict_type": "must be a mapping of names to values",
    "list_type": "must be a list",
    "string_type": "must be text; put it in quotation marks",
    "bool_parsing": "must be true or false",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
}


def _message(problem: Mapping[str, Any]) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "string_pattern_mismatch":
        spelling = _SPELLINGS.get(context["pattern"], "is not written as this field needs it")
        return f"{_quoted(problem['input'])} {spelling}"
    if kind == "union_tag_invalid":
        key = str(context["discriminator"]).strip("'")
        return f"there is no {key} {context['tag']!r}; choose one of {context['expected_tags']}"
    if kind in ("too_short", "too_long"):
        bound = f"least {context['min_length']}" if kind == "too_short" else f"most {context['max_length']}"
        return f"must have at {bound} entries"
    message = str(problem["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    return _MESSAGES.get(kind) or message


def _quoted(value: object, limit: int = 60) -> str:
    """What somebody wrote, in quotation marks, on one line and cut short."""
    text = " ".join(str(value).split())
    return f"'{text[:limit]}…'" if len(text) > limit else f"'{text}'"


def continued(said: Mapping[str, Any], former: str | None) -> dict[str, Any]:
    """A request that says `refresh`, once its former job is known; without one, as it was said.

    The window keeps the length of the former one, so `window.start` is left out; a query that has it as
    `:start` keeps it.
    """
    if former is None:
        return dict(said)
    body = {name: value for name, value in said.items() if name != "refresh"} | {"refresh_of": former}
    window, source = body.get("window"), body.get("source")
    if isinstance(window, dict) and "start" in window:
        body["window"] = {name: value for name, value in window.items() if name != "start"}
        if isinstance(source, dict) and source.get("kind") == "sql":
            body["source"] = {"start": window["start"], **source}
    return body
