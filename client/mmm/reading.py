"""Reads requests from a file, a folder of files, or a table with one row per request."""

from __future__ import annotations

import copy
import csv
import hashlib
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.base import canonical_json
from contracts.request import SettingsError, parse_settings

_SUFFIXES = (".yaml", ".yml", ".json")
_SHORT = {
    **dict.fromkeys(("organic", "context", "factors"), "name"),
    "paid_media": "spend",
    "refresh_of": "job",
}
"""By field what a bare text means, as the request reads it."""
_DEFAULTS = [("duplicates", "aggregate"), ("posterior", "on"), ("posterior", True)]
"""Words that stand for a mapping with nothing but defaults."""


class UnreadableRequests(ValueError):
    """Some files or rows are not valid requests; the message lists every problem."""


@dataclass(frozen=True)
class Submission:
    """One request to publish, and where it came from."""

    origin: str
    body: dict[str, Any]


def read_requests(
    path: Path, base: Path | None = None, changes: Sequence[tuple[str, str]] = ()
) -> list[Submission]:
    """The requests in a YAML or JSON file, a folder of such files, or a CSV table over a base request.

    `-` is one request on the standard input. `changes` are made in each: a dotted path, and the value as YAML
    writes it. A request without `request_id` gets one from its file's name (and row) and its content:
    submitting the same again names the same job.

    Raises:
        UnreadableRequests: with every file or row that is no request.
    """
    if str(path) == "-":
        return [_submission("stdin", _parsed(sys.stdin.buffer.read(), "stdin"), "stdin", changes)]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
        if not files:
            raise UnreadableRequests(f"{path} holds no {', '.join(_SUFFIXES)} file")
        return _all([lambda file=file: _from_file(file, changes) for file in files])
    if path.suffix == ".csv":
        return _from_table(path, base or path.with_suffix(".base.yaml"), changes)
    return [_from_file(path, changes)]


def read_document(path: Path) -> dict[str, Any]:
    """A YAML or JSON file, or `-` for the standard input, as it is.

    Raises:
        UnreadableRequests: it cannot be read.
    """
    return _parsed(sys.stdin.buffer.read(), "stdin") if str(path) == "-" else _read(path)


def changed(body: dict[str, Any], changes: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A document with other values at dotted paths, as YAML writes them.

    Raises:
        UnreadableRequests: a value is no YAML, or a path does not fit.
    """
    body = copy.deepcopy(body)
    for dotted, text in changes:
        _set(body, dotted, _value(text, "--set", dotted), "--set")
    return body


def _all(readers: list[Any]) -> list[Submission]:
    found, problems = [], []
    for reader in readers:
        try:
            found.append(reader())
        except UnreadableRequests as error:
            problems.append(str(error))
    if problems:
        raise UnreadableRequests("\n".join(problems))
    return found


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UnreadableRequests(f"{path} does not exist") from error
    except OSError as error:
        raise UnreadableRequests(f"{path} cannot be read: {error.strerror}") from error


def _read(path: Path) -> dict[str, Any]:
    return _parsed(_bytes(path), str(path))


def _parsed(text: bytes, origin: str) -> dict[str, Any]:
    try:
        return parse_settings(text)
    except SettingsError as error:
        raise UnreadableRequests(f"{origin} {error}") from error


def _from_file(path: Path, changes: Sequence[tuple[str, str]]) -> Submission:
    return _submission(str(path), _read(path), path.stem, changes)


def _submission(
    origin: str, body: dict[str, Any], name: str, changes: Sequence[tuple[str, str]]
) -> Submission:
    for dotted, text in changes:
        _set(body, dotted, _value(text, origin, dotted), origin)
    return Submission(origin, _identified(body, name))


def _identified(body: dict[str, Any], origin: str) -> dict[str, Any]:
    if "request_id" in body:
        return body
    digest = hashlib.sha256(canonical_json(body).encode()).hexdigest()[:8]
    readable = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in origin)
    return {"request_id": f"{readable}-{digest}", **body}


def _from_table(path: Path, base_path: Path, changes: Sequence[tuple[str, str]]) -> list[Submission]:
    rows = _rows(path)
    base = _read(base_path)
    readers = [lambda row=row, i=i: _from_row(path, i, row, base, changes) for i, row in enumerate(rows, 1)]
    return _all(readers)


def _rows(path: Path) -> list[dict[str | Any, Any]]:
    try:
        text = _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableRequests(f"{path} is not UTF-8; save it as UTF-8") from error
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
    if not rows:
        raise UnreadableRequests(f"{path} has no rows")
    return rows


def _from_row(
    path: Path,
    number: int,
    row: dict[str | None, Any],
    base: dict[str, Any],
    changes: Sequence[tuple[str, str]],
) -> Submission:
    origin = f"{path} row {number}"
    if None in row or None in row.values():
        raise UnreadableRequests(f"{origin}: the number of cells is not that of the header")
    body = copy.deepcopy(base)
    for name, text in row.items():
        if text.strip():
            _set(body, str(name), _value(text, origin, str(name)), origin)
    return _submission(origin, body, f"{path.stem}-{number}", changes)


def _value(text: str, origin: str, name: str) -> Any:
    try:
        return parse_settings(b"value: " + text.encode())["value"]
    except SettingsError as error:
        raise UnreadableRequests(f"{origin}, column {name} {error}") from error


def _written_out(field: str, value: Any) -> Any:
    """The mapping that a field's short form stands for; any other value as it is."""
    if field in _SHORT and isinstance(value, str):
        return {_SHORT[field]: value}
    return {} if (field, value) in _DEFAULTS else value


def _set(body: Any, dotted: str, value: Any, origin: str) -> None:
    """Set the value at a dotted path; a number in the path is an index of a list.

    A short form on the way, such as the bare column of a channel, becomes the mapping it stands for.
    """
    *parents, last = dotted.strip().split(".")
    field = ""
    try:
        for part in parents:
            field = field if part.isdecimal() else part
            place = int(part) if isinstance(body, list) else part
            below = body.setdefault(place, {}) if isinstance(body, dict) else body[place]
            below = _written_out(field, below)
            body[place], body = below, below
        body[int(last) if isinstance(body, list) else last] = value
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise UnreadableRequests(f"{origin}: '{dotted}' does not fit the base request") from error
