"""The cost of the pipeline itself, measured with trainings that compute nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from contracts.events import TRAIN_REQUESTS
from contracts.job import DeadLetter, Job, JobState
from contracts.request import job_id_for
from functions.adapters.embedded.warehouse import load_table
from functions.log import Log
from functions.ports import Ports
from functions.runtime import Runtime, use
from infra.local.bench.figures import Figure, percentile
from infra.local.bench.noop import NoOpLauncher
from infra.local.demo_data import demo_request, generate
from infra.local.host import CONNECTION, LocalHost, local_settings

REQUESTS, ONE_BY_ONE, SLOTS, WEEKS = 1_000, 40, 50, 104
COUNTRIES = ("DE", "AT", "CH", "FR", "IT", "ES", "NL", "BE", "PL", "SE")
PATIENCE_S = 240.0


def measure(folder: Path, requests: int = REQUESTS, one_by_one: int = ONE_BY_ONE) -> list[Figure]:
    """Run a burst of `requests` in a fresh folder, and then `one_by_one` more, each alone.

    Raises:
        RuntimeError: jobs have not ended in time.
    """
    folder.mkdir(parents=True)
    with _system(folder) as ports:
        burst = [_publish(ports, f"burst-{number}", number) for number in range(requests)]
        jobs = [_ended(ports, job_id) for job_id, _ in burst]
        alone = []
        for number in range(one_by_one):
            job_id, asked = _publish(ports, f"alone-{number}", number)
            alone.append(_waited(_ended(ports, job_id), asked))
        letters = len(ports.jobs.find(DeadLetter))
    waited = [_waited(job, asked) for job, (_, asked) in zip(jobs, burst, strict=True)]
    seconds = (max(job.updated_at for job in jobs) - min(asked for _, asked in burst)).total_seconds()
    good = sum(job.state is JobState.SUCCEEDED for job in jobs)
    return [
        Figure("burst: jobs", f"{requests / seconds:.1f}", "jobs/s", _how(requests)),
        Figure("burst: SUCCEEDED", f"{good:,}", "jobs", f"of {requests:,} published: none may be lost"),
        Figure("burst: dead letters", str(letters), "messages", "must be 0"),
        Figure("burst: publish → RUNNING, p50", f"{percentile(waited, 50):.1f}", "s", "with all others"),
        Figure("burst: publish → RUNNING, p95", f"{percentile(waited, 95):.1f}", "s", "waiting as well"),
        Figure(
            "idle: publish → RUNNING, p50", f"{percentile(alone, 50):.2f}", "s", f"{one_by_one} one by one,"
        ),
        Figure(
            "idle: publish → RUNNING, p95", f"{percentile(alone, 95):.2f}", "s", "after the burst; at most 1"
        ),
    ]


def _how(requests: int) -> str:
    return (
        f"{requests:,} requests at once; {len(COUNTRIES)} countries, {SLOTS} slots; HTTP, SQLite. Each job "
        f"extracts {WEEKS} rows from DuckDB and validates them. Trainings are no-ops: one process, started "
        "before, writes claim, files, manifest and outcome of all"
    )


@contextmanager
def _system(folder: Path) -> Iterator[Ports]:
    """The whole system as `make up` runs it, but for the launcher and the number of slots."""
    settings = local_settings(folder, slots=SLOTS)
    table = pa.Table.from_pandas(generate(weeks=WEEKS).table, preserve_index=False)
    load_table(folder / "warehouse", CONNECTION, "main", "weekly_sales", table)
    with (
        (folder / "host.log").open("w", encoding="utf-8") as lines,
        NoOpLauncher(folder) as launcher,
        LocalHost(settings, 0, Log("text", lines)) as host,
    ):
        ports = replace(host.embedded.ports(), launcher=launcher)
        use(Runtime(ports, settings, Log("text", lines)))
        yield ports


def _publish(ports: Ports, request_id: str, number: int) -> tuple[str, datetime]:
    """Publish one new request; return its job id and the time."""
    request = demo_request(request_id, iterations=1, trials=1)
    request |= {"country": COUNTRIES[number % len(COUNTRIES)], "cache": "refresh"}
    now = datetime.now(UTC)
    ports.bus.publish(TRAIN_REQUESTS, json.dumps(request).encode())
    return job_id_for(request_id), now


def _ended(ports: Ports, job_id: str) -> Job:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        job = ports.jobs.get(Job, job_id)
        if job is not None and job.state.terminal:
            return job
        time.sleep(0.1)
    raise RuntimeError(f"job {job_id} has not ended in {PATIENCE_S:.0f} s")


def _waited(job: Job, asked: datetime) -> float:
    """Seconds from publish to RUNNING."""
    running = next(entry.at for entry in job.timeline if entry.state is JobState.RUNNING)
    return (running - asked).total_seconds()
