"""The cost of the pipeline itself, measured with trainings that compute nothing, while faults happen."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from contracts.events import TRAIN_REQUESTS
from contracts.job import DeadLetter, Job, JobState
from contracts.request import job_id_for
from functions.adapters.embedded.launcher import LauncherSettings
from functions.adapters.embedded.push import Refused
from functions.adapters.embedded.warehouse import load_table
from functions.log import Log
from functions.paging import every
from functions.ports import Ports
from infra.local.bench.figures import Figure, percentile
from infra.local.bench.noop import NoOpTrainings
from infra.local.demo_data import demo_request, generate
from infra.local.host import CONNECTION, LocalHost, local_settings

REQUESTS, ONE_BY_ONE, SLOTS, WEEKS = 10_000, 40, 50, 104
FAULTS = 0.05
"""The part of deliveries that fail: half of them before the function begins, half after its work is done."""
KILLS = 4
"""How often in a burst a process of the functions is killed."""
COUNTRIES = ("DE", "AT", "CH", "FR", "IT", "ES", "NL", "BE", "PL", "SE")
PATIENCE_S = 240.0
"""How long a burst may go on without a further job that ends."""


def measure(folder: Path, requests: int = REQUESTS, one_by_one: int = ONE_BY_ONE) -> list[Figure]:
    """Run `one_by_one` jobs in a fresh folder, each alone, and then a burst of `requests` with faults.

    Raises:
        RuntimeError: jobs have not ended in time.
    """
    folder.mkdir(parents=True)
    settings = local_settings(folder, slots=SLOTS)
    table = pa.Table.from_pandas(generate(weeks=WEEKS).table, preserve_index=False)
    load_table(folder / "warehouse", CONNECTION, "main", "weekly_sales", table)
    trainings = LauncherSettings(stepping=True, max_parallel=SLOTS)
    with (
        (folder / "host.log").open("w", encoding="utf-8") as lines,
        NoOpTrainings(folder, SLOTS) as trainer,
        _FaultyHost(settings, 0, Log("text", lines), processes=settings.cores, trainings=trainings) as host,
    ):
        ports = host.embedded.ports()
        alone = []
        for number in range(one_by_one):
            job_id, asked = _publish(ports, f"alone-{number}", number)
            alone.append(_waited(_ended(ports, job_id), asked))
        host.faults = FAULTS
        burst = _burst(ports, requests, trainer)
    return [*_figures(burst, host, requests), *_idle(alone)]


class _FaultyHost(LocalHost):
    """The system as `make up` runs it; some deliveries fail as those of an unreliable network."""

    faults, failed = 0.0, 0
    _random = random.Random(1)  # noqa: S311 (faults, no secrets)

    def _push(self, endpoint: str, envelope: dict[str, Any]) -> None:
        drawn = self._random.random()
        if drawn < self.faults / 2:
            self.failed += 1
            raise Refused("a fault: the message was not delivered")
        super()._push(endpoint, envelope)
        if drawn < self.faults:
            self.failed += 1
            raise Refused("a fault: the answer was lost")


@dataclass(frozen=True)
class _Burst:
    seconds: float
    cpu_s: float
    jobs: Sequence[Job]
    waited: Sequence[float]
    """Seconds from publish to RUNNING, of each job."""
    started_again: int
    """Attempts with a second execution, which ends at the claim of the first."""
    trained_twice: int
    more_jobs: int
    """Beside one for each request."""
    letters: int
    memory_mb: Sequence[float]
    """Of the host and the other processes of the functions, after each fifth of the jobs."""


def _burst(ports: Ports, requests: int, trainer: NoOpTrainings) -> _Burst:
    before = ports.jobs.count(Job, state=JobState.SUCCEEDED.value)
    spent, begun = _cpu_s(trainer), time.monotonic()
    asked = dict(_publish(ports, f"burst-{number}", number) for number in range(requests))
    memory = [_memory_mb()]
    for part in range(1, 6):
        _wait_for(ports, before + part * requests // 5)
        memory.append(_memory_mb())
        if part <= KILLS:
            _kill_one()
    seconds, cpu = time.monotonic() - begun, _cpu_s(trainer) - spent
    found = [job for job in every(ports.jobs, Job) if job.request_id.startswith("burst-")]
    jobs = [job for job in found if job.job_id in asked]
    return _Burst(
        seconds,
        cpu,
        jobs,
        [_waited(job, asked[job.job_id]) for job in jobs],
        sum(len(ports.launcher.find(job.job_id, job.attempt)) > 1 for job in jobs),
        trainer.twice(),
        len(found) - requests,
        len(ports.jobs.find(DeadLetter)),
        memory,
    )


def _wait_for(ports: Ports, ended: int) -> None:
    """Until so many jobs have succeeded."""
    last, since = -1, time.monotonic()
    while (now := ports.jobs.count(Job, state=JobState.SUCCEEDED.value)) < ended:
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE_S:
            raise RuntimeError(
                f"{now:,} of {ended:,} jobs have succeeded, and no other in {PATIENCE_S:.0f} s"
            )
        time.sleep(0.5)


def _helpers() -> list[psutil.Process]:
    """The other processes of the functions."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # killed a moment ago
            if "infra.local.functions" in child.cmdline():
                found.append(child)
    return found


def _kill_one() -> None:
    for process in _helpers()[:1]:
        process.suspend()
        _note_cpu()
        process.kill()


_helper_cpu: dict[int, float] = {}
"""CPU seconds of each other process by its number, as when last seen: some are killed on the way."""


def _note_cpu() -> None:
    for process in _helpers():
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            _helper_cpu[process.pid] = times.user + times.system


def _cpu_s(trainer: NoOpTrainings) -> float:
    _note_cpu()
    return time.process_time() + sum(_helper_cpu.values()) + trainer.cpu_s()


def _memory_mb() -> float:
    used = psutil.Process().memory_info().rss
    for process in _helpers():
        with suppress(psutil.NoSuchProcess):
            used += process.memory_info().rss
    return used / 2**20


def _figures(burst: _Burst, host: _FaultyHost, requests: int) -> list[Figure]:
    good = [job for job in burst.jobs if job.state is JobState.SUCCEEDED]
    again = Counter(_why(job) for job in burst.jobs if job.attempt > 1)
    cores = host.settings.cores
    memory = " → ".join(f"{value:.0f}" for value in burst.memory_mb)
    return [
        Figure(
            "burst: jobs per second",
            f"{requests / burst.seconds:.1f}",
            "jobs/s",
            f"{cores} cores; {_how(requests)}",
        ),
        Figure(
            "burst: CPU",
            f"{1000 * burst.cpu_s / requests:.0f}",
            "CPU ms a job",
            "of host, functions and trainings",
        ),
        Figure(
            "burst: faults",
            f"{host.failed:,}",
            "deliveries",
            f"{FAULTS:.0%} failed; {KILLS} times a process was killed",
        ),
        Figure(
            "burst: lost", f"{requests - len(good):,}", "jobs", f"not SUCCEEDED, of {requests:,} published"
        ),
        Figure(
            "burst: twice",
            str(burst.trained_twice + burst.more_jobs),
            "jobs",
            "a second training of an attempt, or a second job of a request",
        ),
        Figure(
            "burst: second executions",
            str(burst.started_again),
            "attempts",
            "the second ends at the claim of the first",
        ),
        Figure(
            "burst: second attempts",
            str(again.total()),
            "jobs",
            "; ".join(f"{count} × {why}" for why, count in again.items()) or "none",
        ),
        Figure("burst: dead letters", str(burst.letters), "messages", "must be 0"),
        Figure("burst: memory", memory, "MB", "host and functions, at each fifth"),
        Figure(
            "burst: publish → RUNNING, p50", f"{percentile(burst.waited, 50):.1f}", "s", "with all others"
        ),
        Figure(
            "burst: publish → RUNNING, p95", f"{percentile(burst.waited, 95):.1f}", "s", "waiting as well"
        ),
    ]


def _why(job: Job) -> str:
    """Why a job had a second attempt."""
    return next((entry.note for entry in job.timeline if entry.state is JobState.QUEUED and entry.note), "?")


def _idle(alone: list[float]) -> list[Figure]:
    return [
        Figure(
            "idle: publish → RUNNING, p50", f"{percentile(alone, 50):.2f}", "s", f"{len(alone)} one by one,"
        ),
        Figure(
            "idle: publish → RUNNING, p95", f"{percentile(alone, 95):.2f}", "s", "before the burst; at most 1"
        ),
    ]


def _how(requests: int) -> str:
    return (
        f"{requests:,} requests at once; {len(COUNTRIES)} countries, {SLOTS} slots. Each job extracts "
        f"{WEEKS} rows from DuckDB and validates them. Trainings are no-ops: one process writes claim, "
        "files, manifest and outcome of all"
    )


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
