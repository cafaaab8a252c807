"""Many small jobs at once with real trainings, each forked from a server that is warm."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pyarrow as pa

from contracts import names
from contracts.events import TRAIN_REQUESTS
from contracts.job import Job, JobState
from contracts.request import job_id_for
from contracts.result import Timings
from functions.adapters.embedded.warehouse import load_table
from functions.log import Log
from functions.ports import Ports
from infra.local.bench.figures import Figure
from infra.local.demo_data import demo_request, generate
from infra.local.host import CONNECTION, TRAININGS, LocalHost, local_settings

JOBS, ITERATIONS, TRIALS, WEEKS = 24, 200, 5, 208
PATIENCE_S = 600.0


class _Cost(NamedTuple):
    """What a batch used."""

    seconds: float
    host_cpu_s: float
    training_cpu_s: Sequence[float]
    megabytes: Sequence[float]


def measure(
    folder: Path, jobs: int = JOBS, iterations: int = ITERATIONS, trials: int = TRIALS
) -> list[Figure]:
    """Train one job in new processes, then one and a batch of `jobs` in forked ones; none with a posterior.

    Raises:
        RuntimeError: a job did not succeed.
    """
    asked = (iterations, trials)
    cold = _batch(folder / "cold", 1, asked, warm=False)
    warm = _batch(folder / "warm", jobs, asked, warm=True)
    cores = local_settings(folder).cores
    each, cpu = median(warm.training_cpu_s), sum(warm.training_cpu_s) + warm.host_cpu_s
    how = f"{jobs} jobs of {trials} × {iterations} iterations, {WEEKS} weeks, without a posterior"
    return [
        Figure("training in a new process", f"{cold.training_cpu_s[0]:.2f}", "CPU s", "by its own timings"),
        Figure("training forked from a warm server", f"{each:.2f}", "CPU s", f"median of {how}"),
        Figure("files of a result", f"{median(warm.megabytes):.2f}", "MB", "at most 4"),
        Figure(
            "jobs per minute and core", f"{60 * jobs / warm.seconds / cores:.1f}", "jobs", f"{cores} cores"
        ),
        Figure(
            "the same on a core of its own",
            f"{60 * jobs / cpu:.1f}",
            "jobs",
            "from the CPU used; at least 25",
        ),
    ]


def _batch(folder: Path, jobs: int, asked: tuple[int, int], *, warm: bool) -> _Cost:
    """Train `jobs` after a first one, for which everything is loaded."""
    folder.mkdir(parents=True)
    settings = local_settings(folder)
    settings = settings.model_copy(update={"queues": {"default": settings.cores}})
    table = pa.Table.from_pandas(generate(weeks=WEEKS).table, preserve_index=False)
    load_table(folder / "warehouse", CONNECTION, "main", "weekly_sales", table)
    trainings = TRAININGS if warm else replace(TRAININGS, warm=None)
    with (
        (folder / "host.log").open("w", encoding="utf-8") as lines,
        LocalHost(settings, 0, Log("text", lines), trainings=trainings) as host,
    ):
        ports = host.embedded.ports()
        _succeeded(ports, [_publish(ports, 0, asked)])
        begun, spent = time.monotonic(), time.process_time()
        done = _succeeded(ports, [_publish(ports, number, asked) for number in range(1, jobs + 1)])
        seconds, host_cpu_s = time.monotonic() - begun, time.process_time() - spent
    return _Cost(
        seconds,
        host_cpu_s,
        [_timings(ports, job).cpu_s for job in done],
        [sum(one.size for one in ports.objects.list(names.results(job))) / 1e6 for job in done],
    )


def _publish(ports: Ports, number: int, asked: tuple[int, int]) -> str:
    """Publish one request; return its job id."""
    request_id = f"batch-{number}"
    request = {**demo_request(request_id, *asked), "posterior": "off"}
    ports.bus.publish(TRAIN_REQUESTS, json.dumps(request).encode())
    return job_id_for(request_id)


def _succeeded(ports: Ports, job_ids: Sequence[str]) -> list[Job]:
    end, waiting, done = time.monotonic() + PATIENCE_S, list(job_ids), list[Job]()
    while waiting and time.monotonic() < end:
        job = ports.jobs.get(Job, waiting[0])
        if job is None or not job.state.terminal:
            time.sleep(0.1)
        elif job.state is JobState.SUCCEEDED:
            done.append(job)
            del waiting[0]
        else:
            raise RuntimeError(f"the job ended {job.state}: {job.error}")
    if waiting:
        raise RuntimeError(f"{len(waiting)} jobs have not ended in {PATIENCE_S:.0f} s")
    return done


def _timings(ports: Ports, job: Job) -> Timings:
    return Timings.model_validate_json(ports.objects.read(f"{names.results(job)}timings.json"))
