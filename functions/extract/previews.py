"""Looks into a source for a person who is about to ask for it: an answer for a few seconds, never a job."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from contracts import names
from contracts.base import error_lines
from contracts.preview import FIRST_ROWS, MAX_CELL, Preview, SourceCheck
from contracts.request import ObjectSource, Source, SqlSource, TableSource
from functions.errors import BadRequest, Failure, Unavailable
from functions.message import Message
from functions.ports import AlreadyExists, Warehouse
from functions.reading import notes_in, read_as, unusable_in
from functions.runtime import Runtime

MAX_ROWS = 10_000
MAX_CELLS = 1_000_000
"""Most rows, and cells, that are looked at."""
TIMEOUT_S = 15.0
"""How long a warehouse may take to answer."""
_ONE = threading.Lock()
"""One source is looked into at a time in a process, because a workbook can take much of its memory."""
_SOURCE: TypeAdapter[ObjectSource | SqlSource | TableSource] = TypeAdapter(Source)


def answer(message: Message, runtime: Runtime) -> None:
    """Put the answer to a check where whoever asked looks for it. What goes wrong is the answer, too.

    Raises:
        functions.errors.BadMessage: the message is no check.
    """
    check = message.event(SourceCheck)
    started = time.monotonic()
    try:
        found = _connected(runtime, check) if check.source is None else _looked(runtime, check)
    except Failure as error:
        found = Preview(check_id=check.check_id, problem=error.problem)
    told = found.model_copy(update={"source": check.source, "seconds": round(time.monotonic() - started, 3)})
    with suppress(AlreadyExists):  # the message came twice
        runtime.ports.objects.create(names.preview(check.check_id), told.model_dump_json().encode())


def _connected(runtime: Runtime, check: SourceCheck) -> Preview:
    """Whether we are there, and a warehouse lets us in and answers."""
    if check.connection is None:
        return Preview(check_id=check.check_id)
    warehouse = _warehouse(runtime, check.connection)
    with warehouse.query("SELECT 1", TIMEOUT_S) as batches:
        rows = sum(batch.num_rows for batch in batches)
    return Preview(check_id=check.check_id, rows=rows, whole=True)


def _looked(runtime: Runtime, check: SourceCheck) -> Preview:
    try:
        source = _SOURCE.validate_python(check.source)
    except ValidationError as error:
        lines = error_lines(error)
        raise BadRequest(f"{len(lines)} problem(s) in the source", lines) from error
    if not _ONE.acquire(timeout=TIMEOUT_S):
        raise Unavailable("others are looking into sources now; try again in a minute")
    try:
        return _read(runtime, check, source)
    finally:
        _ONE.release()


def _read(runtime: Runtime, check: SourceCheck, source: ObjectSource | SqlSource | TableSource) -> Preview:
    from functions.validate.looked import look

    with _rows(runtime, source, check.wanted, check.sheet) as batches:
        read, whole = _first(batches)
    metadata = read.schema.metadata
    table, columns = look(read)
    unusable = [f"'{name}' cannot be used: {why}" for name, why in unusable_in(metadata).items()]
    return Preview(
        check_id=check.check_id,
        columns=columns,
        rows=table.num_rows,
        whole=whole,
        first=[[_cell(cell) for cell in row] for row in _cells(table)],
        read_as=read_as(metadata),
        notes=[*notes_in(metadata), *unusable],
    )


@contextmanager
def _rows(
    runtime: Runtime,
    source: ObjectSource | SqlSource | TableSource,
    wanted: Collection[str],
    sheet: str | None,
) -> Iterator[Iterator[pa.RecordBatch]]:
    from functions.extract.queries import query_for
    from functions.extract.rows import rows_of_object

    if isinstance(source, ObjectSource):
        with rows_of_object(runtime.ports.objects, source, wanted, sheet) as batches:
            yield batches
        return
    warehouse = _warehouse(runtime, source.connection)
    sql, parameters = query_for(source, warehouse, warehouse.dialect)
    if isinstance(source, TableSource):
        sql += f" LIMIT {MAX_ROWS + 1}"
    with warehouse.query(sql, TIMEOUT_S, parameters) as batches:
        yield batches


def _warehouse(runtime: Runtime, connection: str) -> Warehouse:
    warehouses = runtime.ports.warehouses
    if connection not in warehouses:
        there = f"there are: {', '.join(warehouses)}" if warehouses else "this installation has none"
        raise BadRequest(f"no warehouse is named '{connection}'; {there}")
    return warehouses[connection]


def _first(batches: Iterator[pa.RecordBatch]) -> tuple[pa.Table, bool]:
    """The first rows, in the types in which they would be stored, and whether those are all."""
    from functions.extract.decode import stored

    kept: list[pa.Table] = []
    rows = 0
    for table in stored(batches):
        most = min(MAX_ROWS, MAX_CELLS // max(table.num_columns, 1))
        kept.append(table.slice(0, most - rows))
        rows += table.num_rows
        if rows > most:
            return pa.concat_tables(kept), False
    return pa.concat_tables(kept), True


def _cells(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    head = table.slice(0, FIRST_ROWS)
    return zip(*(column.to_pylist() for column in head.columns), strict=True)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"{text[:MAX_CELL]}…" if len(text) > MAX_CELL else text
