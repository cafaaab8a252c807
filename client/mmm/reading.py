"""Reads requests from a file, a folder of files, or the table of a batch."""

from __future__ import annotations

import copy
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contracts.base import canonical_json, error_lines
from contracts.batch import BatchRequest, put, requests_of
from contracts.request import SettingsError, parse_settings
from contracts.tables import ENDINGS, TableError, read_rows, written_value

_SUFFIXES = (".yaml", ".yml", ".json")


class UnreadableRequests(ValueError):
    """Some files or rows are not valid requests; the message lists every problem."""


@dataclass(frozen=True)
class Submission:
    """One request to publish, and where it came from."""

    origin: str
    body: dict[str, Any]
    problems: Sequence[str] = ()
    """Why the row of a table does not fit its base."""


def read_requests(
    path: Path, base: Path | None = None, changes: Sequence[tuple[str, str]] = ()
) -> list[Submission]:
    """The requests in a YAML or JSON file, a folder of such files, or a table over a base request.

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
    if is_table(path):
        table = read_table(path, base, changes)
        return [Submission(f"{path} row {one.row}", one.body, one.problems) for one in requests_of(table)]
    return [_from_file(path, changes)]


def is_table(path: Path) -> bool:
    """Whether a file is the table of a batch."""
    return path.name.lower().endswith(ENDINGS)


def read_table(path: Path, base: Path | None = None, changes: Sequence[tuple[str, str]] = ()) -> BatchRequest:
    """The batch of a table: CSV, the first sheet of an Excel workbook, or JSON Lines, over a base request.

    The base is `<table>.base.yaml` unless another is given. `changes` are made in each row.

    Raises:
        UnreadableRequests: one of the two is no table, or no request.
    """
    try:
        rows = read_rows(path.name, _bytes(path))
    except TableError as error:
        raise UnreadableRequests(f"{path} {error}") from error
    said = {dotted: _value(text, "--set", dotted) for dotted, text in changes}
    document = {
        "name": path.stem.removesuffix(".batch"),
        "base": _read(base or path.with_suffix(".base.yaml")),
        "rows": [{**row, **said} if isinstance(row, dict) else row for row in rows],
    }
    try:
        return BatchRequest.model_validate(document)
    except ValidationError as error:
        raise UnreadableRequests("\n".join(f"{path}: {line}" for line in error_lines(error))) from error


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


def _value(text: str, origin: str, name: str) -> Any:
    try:
        return written_value(text)
    except SettingsError as error:
        raise UnreadableRequests(f"{origin}, {name} {error}") from error


def _set(body: dict[str, Any], dotted: str, value: Any, origin: str) -> None:
    try:
        put(body, dotted, value)
    except ValueError as error:
        raise UnreadableRequests(f"{origin}: {error}") from error
