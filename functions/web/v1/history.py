"""The history of all jobs as a table that is streamed, whatever its length."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Any, get_args

from flask import Response

from contracts.api import JobFilters
from contracts.history import HistoryRow
from functions.runtime import Runtime
from functions.web.tables import csv_text
from functions.web.v1.jobs import every_job

CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
COLUMNS = tuple(HistoryRow.model_fields)
_AT_ONCE = 100
"""Rows of a table that are written together."""
_ROW_GROUP = 5_000
"""Rows of a part of a Parquet file, which are in memory at a time."""


def export_jobs(runtime: Runtime, query: JobFilters) -> Response:
    """The history as a CSV table: every job that matches, newest first."""
    return _streamed(_csv(map(HistoryRow.of, every_job(runtime, query))), f"{CSV}; charset=utf-8", "jobs.csv")


def export_jobs_as_parquet(runtime: Runtime, query: JobFilters) -> Response:
    """The history as a Parquet file: every job that matches, newest first. Times are UTC."""
    return _streamed(_parquet(map(HistoryRow.of, every_job(runtime, query))), PARQUET, "jobs.parquet")


def _streamed(parts: Iterator[bytes], content_type: str, name: str) -> Response:
    first = next(parts)  # what is wrong with the question is answered before anything is sent
    response = Response(chain([first], parts), content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _csv(rows: Iterable[HistoryRow]) -> Iterator[bytes]:
    header = csv_text([COLUMNS])
    for some in _parts(rows, _AT_ONCE):
        yield (header + csv_text([_cell(getattr(row, name)) for name in COLUMNS] for row in some)).encode()
        header = ""
    if header:
        yield header.encode()


def _parts(rows: Iterable[HistoryRow], size: int) -> Iterator[list[HistoryRow]]:
    left = iter(rows)
    while some := list(islice(left, size)):
        yield some


def _cell(value: Any) -> str | float | None:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, int | float | None) else str(value)


class _Sent(io.RawIOBase):
    """A file that is only written; what was written is taken away from time to time."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Keep bytes until they are taken."""
        self._parts.append(bytes(data))
        self._size += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        """How much was written in all."""
        return self._size

    def take(self) -> bytes:
        """What was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _parquet(rows: Iterable[HistoryRow]) -> Iterator[bytes]:
    import pyarrow as pa  # only this answer needs it, and it takes a while
    import pyarrow.parquet as pq

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), datetime: pa.timestamp("us", "UTC")}

    def kind_of(annotation: Any) -> Any:
        while not isinstance(annotation, type):  # `X | None`, or annotated
            annotation = get_args(annotation)[0]
        return next(kind for known, kind in kinds.items() if issubclass(annotation, known))

    schema = pa.schema([(name, kind_of(field.annotation)) for name, field in HistoryRow.model_fields.items()])
    sent = _Sent()
    with pq.ParquetWriter(pa.PythonFile(sent, mode="w"), schema) as writer:
        for some in _parts(rows, _ROW_GROUP):
            columns = {name: [getattr(row, name) for row in some] for name in COLUMNS}
            writer.write_table(pa.table(columns, schema))
            yield sent.take()
    yield sent.take()
