"""The form of a batch: table and base are read, and each row is shown with its problems before it is sent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from werkzeug.datastructures import FileStorage

from contracts.base import canonical_json, storable
from contracts.batch import BatchRequest, requests_of
from contracts.request import SettingsError, parse_settings
from contracts.tables import MAX_TABLE_BYTES, Row, TableError, read_rows
from functions.acceptance.mapping import asked_for
from functions.acceptance.readable import kept
from functions.acceptance.request import problems_of
from functions.batches import read_batch
from functions.errors import BadMessage, BadRequest
from functions.message import json_object
from functions.runtime import Runtime

CHECKED = 200
"""Rows whose problems are shown before a batch is sent; all of them are told after."""


@dataclass(frozen=True)
class RowShown:
    """A row as a request, before it is sent."""

    row: int
    request_id: str
    said: str
    problems: list[str]


@dataclass(frozen=True)
class BatchForm:
    """What the form holds: as it was typed, and as it was read."""

    name: str = ""
    base: str = ""
    rows: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Why it is no batch at all."""
    batch: BatchRequest | None = None
    """None: it is none yet."""
    shown: list[RowShown] = field(default_factory=list)

    @property
    def carried(self) -> str:
        """The rows, as the form sends them again: a browser keeps no file."""
        return canonical_json(self.rows)

    @property
    def wrong(self) -> int:
        """How many of the rows that are shown have problems."""
        return sum(bool(one.problems) for one in self.shown)


def read_form(
    runtime: Runtime, name: str, base: str, mapping: str, carried: str, file: FileStorage | None
) -> BatchForm:
    """The batch that a form says, with every problem; its rows are those of the file, or those carried."""
    problems: list[str] = []
    rows: list[Row] = []
    try:
        if file is not None and file.filename:
            name = name.strip() or PurePath(file.filename).stem.removesuffix(".batch")
            rows = read_rows(file.filename, file.stream.read(MAX_TABLE_BYTES + 1))
        elif carried:
            rows = _carried(carried)
    except TableError as error:
        problems.append(f"table: {error}")
    said: dict[str, Any] = {}
    try:
        said = parse_settings(base.encode(errors="surrogatepass")) if base.strip() else {}
    except SettingsError as error:
        problems.append(f"base: {error}")
    if mapping:
        country, _, of_country = mapping.partition("/")
        said = {**said, "settings": {"name": of_country, "country": country}}
    if not rows and not problems:
        problems.append("table: choose a file; CSV, .xlsx or .jsonl, a request in each row")
    form = BatchForm(name, base, rows, problems)
    if problems:
        return form
    try:
        batch = read_batch(json.dumps({"name": name, "base": said, "rows": rows}).encode())
    except BadRequest as error:
        return BatchForm(name, base, rows, error.problem.errors or [error.problem.detail])
    except BadMessage as error:
        return BatchForm(name, base, rows, [error.problem.detail])
    return BatchForm(name, base, rows, [], batch, list(_shown(runtime, batch)))


def _carried(text: str) -> list[Row]:
    """The rows that the form carries with it.

    Raises:
        TableError: they are not what the form was given.
    """
    try:
        body, problems = storable(json_object(f'{{"rows": {text}}}'.encode()))
        rows = body["rows"]
    except (BadMessage, KeyError):
        rows, problems = None, []
    if problems or not isinstance(rows, list):
        raise TableError("the form was not sent whole; choose the file again")
    return rows


def _shown(runtime: Runtime, batch: BatchRequest) -> list[RowShown]:
    """The first rows, each with everything that acceptance would say against it."""
    shown = []
    for row, _ in zip(requests_of(batch), range(CHECKED), strict=False):
        body, problems = kept(row.body)
        found = problems_of(runtime, asked_for(runtime, body), [*row.problems, *problems])
        told = batch.rows[row.row - 1]
        said = ", ".join(f"{path} {value}" for path, value in told.items()) if isinstance(told, dict) else ""
        shown.append(RowShown(row.row, str(body.get("request_id")), said, list(found)))
    return shown
