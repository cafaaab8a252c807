"""One real batch: many jobs with the native engine, from the message to the last result."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pyarrow as pa

from contracts import names
from contracts.batch import Batch, BatchRequest, BatchState
from contracts.events import BATCH_REQUESTS
from contracts.job import Job, JobState
from functions.adapters.embedded.warehouse import load_table
from functions.log import Log
from functions.ports import Ports
from infra.local.bench.figures import Figure
from infra.local.bench.weeks import COUNTRIES
from infra.local.demo_data import demo_request, generate
from infra.local.host import CONNECTION, LocalHost, local_settings

JOBS, ITERATIONS, TRIALS, WEEKS = 24, 200, 5, 208
PATIENCE_S = 3600.0


def measure(
    folder: Path, jobs: int = JOBS, iterations: int = ITERATIONS, trials: int = TRIALS
) -> list[Figure]:
    """Run one batch in a fresh folder, with the settings of `make up`.

    Raises:
        RuntimeError: it did not end in time, or a job of it did not succeed.
    """
    folder.mkdir(parents=True)
    table = pa.Table.from_pandas(generate(weeks=WEEKS).table, preserve_index=False)
    load_table(folder / "warehouse", CONNECTION, "main", "weekly_sales", table)
    base = {k: v for k, v in demo_request("", iterations, trials).items() if k != "request_id"}
    rows = [{"country": COUNTRIES[i % len(COUNTRIES)], "search.seed": i + 1} for i in range(jobs)]
    batch = BatchRequest(name="markets", base=base, rows=rows)
    begun, used = time.monotonic(), time.process_time()
    with (
        (folder / "host.log").open("w", encoding="utf-8") as lines,
        LocalHost(local_settings(folder), 0, Log("text", lines)) as host,
    ):
        ports = host.embedded.ports()
        ports.bus.publish(BATCH_REQUESTS, json.dumps(batch.model_dump(mode="json")).encode())
        while not _finished(ports, batch.batch_id) and time.monotonic() - begun < PATIENCE_S:
            time.sleep(0.5)
        seconds = time.monotonic() - begun
        found = ports.jobs.find(Job, batch_id=batch.batch_id)
        good = [job for job in found if job.state is JobState.SUCCEEDED]
        trained = sum(_trained_cpu_s(ports, job) for job in good)
        cores = host.settings.cores or os.cpu_count() or 1
    if len(good) < jobs:
        raise RuntimeError(f"only {len(good)} of {jobs} jobs succeeded; see {folder}/host.log")
    spent = (trained + time.process_time() - used) / jobs
    how = f"{jobs} jobs of {trials} × {iterations} iterations on {WEEKS} weeks, {cores} cores"
    return [
        Figure("a job and core", f"{60 / spent:.1f}", "jobs/min", f"{how}; by CPU time"),
        Figure("CPU of a job", f"{spent:.1f}", "CPU s", "of its training, and its part of the host"),
        Figure("the whole batch", f"{seconds:.0f}", "s", "to `batch-finished`; depends on what else runs"),
        Figure(
            "in this time",
            f"{jobs / seconds * 60 / cores:.1f}",
            "jobs/min a core",
            "by the clock on the wall",
        ),
    ]


def _finished(ports: Ports, batch_id: str) -> bool:
    found = ports.jobs.get(Batch, batch_id)
    return found is not None and found.state is BatchState.FINISHED


def _trained_cpu_s(ports: Ports, job: Job) -> float:
    """CPU time of all steps of a training."""
    steps = json.loads(ports.objects.read(f"{names.results(job)}timings.json"))
    return float(sum(step["cpu_s"] for step in steps.values()))
