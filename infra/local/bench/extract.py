"""extract: rows per second, and memory that does not grow with them."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import csv

from contracts.job import Job, JobState
from contracts.request import job_id_for
from functions.adapters.embedded import Embedded
from functions.adapters.embedded.warehouse import load_table
from functions.extract.handler import handle
from functions.log import Log
from functions.message import Message
from functions.runtime import Runtime
from infra.local.bench.figures import Figure, peak_memory_mb
from infra.local.demo_data import demo_request
from infra.local.host import CONNECTION, local_settings

Kind = Literal["warehouse", "CSV"]
FEW, MANY = 500_000, 2_000_000
_WARM_UP = 1_000


class Cost(NamedTuple):
    """What one extract cost, in a process of its own."""

    seconds: float
    before_mb: float
    """Peak memory after a first extract of 1,000 rows."""
    peak_mb: float


def measure(folder: Path, few: int = FEW, many: int = MANY) -> list[Figure]:
    """Extract tables of two sizes in a fresh folder, from the warehouse and from CSV files.

    Raises:
        RuntimeError: an extract failed.
    """
    sizes = (_WARM_UP, few, many)
    _fill(folder, sizes)
    kinds: tuple[Kind, ...] = ("warehouse", "CSV")
    cost = {(kind, rows): _apart(folder, kind, rows) for kind in kinds for rows in (few, many)}
    query, text = cost["warehouse", many], cost["CSV", many]
    size = (folder / "bucket" / _object(many)).stat().st_size / 2**20
    return [
        Figure("warehouse", f"{many / query.seconds:,.0f}", "rows/s", f"DuckDB, {many:,} rows × 12 columns"),
        Figure("CSV", f"{many / text.seconds:,.0f}", "rows/s", f"the same rows, {size:.0f} MB of text"),
        *(_memory(f"{kind}: peak memory, {rows:,} rows", spent) for (kind, rows), spent in cost.items()),
    ]


def _memory(what: str, spent: Cost) -> Figure:
    return Figure(
        what,
        f"{spent.peak_mb:.0f}",
        "MB",
        f"{spent.before_mb:.0f} after a first extract of {_WARM_UP:,} rows",
    )


def _fill(folder: Path, sizes: tuple[int, ...]) -> None:
    objects = Embedded(folder).objects
    for rows in sizes:
        table = _table(rows)
        load_table(folder / "warehouse", CONNECTION, "main", f"rows_{rows}", table)
        with objects.writer(_object(rows)) as out:
            csv.write_csv(table, pa.PythonFile(out, "w"))


def _object(rows: int) -> str:
    return f"sources/DE/rows_{rows}.csv"


def _table(rows: int) -> pa.Table:
    random = np.random.default_rng(7)
    days = [date(2016, 1, 1) + timedelta(days=i % 3_650) for i in range(rows)]
    numbers = {f"channel_{i}_spend": random.lognormal(8, 1, rows).round(2) for i in range(1, 11)}
    return pa.table(
        {"date": days, "region": np.take(["north", "south", "west"], np.arange(rows) % 3), **numbers}
    )


def _apart(folder: Path, kind: Kind, rows: int) -> Cost:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(extract_twice, folder, kind, rows).result()


def extract_twice(folder: Path, kind: Kind, rows: int) -> Cost:
    """A small extract, so that everything is loaded, then the one that counts."""
    with Path(os.devnull).open("w", encoding="utf-8") as lines:
        runtime = Runtime(Embedded(folder).ports(), local_settings(folder), Log("text", lines))
        _extract(runtime, kind, _WARM_UP, f"{kind}-{rows}-first")
        before, started = peak_memory_mb(), time.perf_counter()
        _extract(runtime, kind, rows, f"{kind}-{rows}")
        return Cost(time.perf_counter() - started, before, peak_memory_mb())


def _extract(runtime: Runtime, kind: Kind, rows: int, request_id: str) -> None:
    """Let the function handle a request for the table or the file."""
    request = demo_request(request_id)
    source: dict[str, Any] = {**request["source"], "table": f"rows_{rows}"}
    if kind == "CSV":
        source = {"kind": "object", "name": _object(rows)}
    data = json.dumps({**request, "source": source}).encode()
    handle(Message(data, {}, request_id, "extract-requests", 1), runtime)
    job = runtime.ports.jobs.get(Job, job_id_for(request_id))
    if job is None or job.state is not JobState.EXTRACTED:
        raise RuntimeError(f"the extract failed: {job and job.error}")
