"""What a step costs beside many jobs of the past: it must cost no more than beside few."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
from werkzeug.test import Client

from contracts.events import SWEEP_REQUESTS, TRAIN_REQUESTS
from contracts.job import Job, JobState, Queue
from contracts.names import Attempt
from contracts.request import job_id_for
from functions.adapters.embedded import Embedded
from functions.adapters.embedded.warehouse import load_table
from functions.log import Log
from functions.ports import Execution, ExecutionState, Ports
from functions.runtime import Runtime, use
from functions.web.app import create_app
from infra.local.bench.figures import Figure
from infra.local.bench.noop import train
from infra.local.demo_data import demo_request, generate
from infra.local.host import CONNECTION, LocalHost, functions_app, local_settings

SIZES = (1_000, 10_000, 100_000)
ROUNDS = 9
WAITING = 0.1
"""The part of the past jobs that waits, in a queue that is paused."""
_PAGES = ("/", "/?state=SUCCEEDED", "/?country=DE&state=FAILED", "/dead-letters")


def measure(folder: Path, sizes: tuple[int, ...] = SIZES, rounds: int = ROUNDS) -> list[Figure]:
    """CPU of each handler, sweep tick, page and start of the host, beside as many jobs as `sizes`."""
    folder.mkdir(parents=True)
    costs = [_costs(folder / str(size), size, rounds) for size in sizes]
    beside = " → ".join(f"{size:,}" for size in sizes) + " jobs of the past"
    return [_figure(what, [cost[what] for cost in costs], beside) for what in costs[0]]


def _figure(what: str, ms: list[float], beside: str) -> Figure:
    values = " → ".join(f"{value:.1f}" for value in ms)
    return Figure(what, values, "CPU ms", f"{ms[-1] / ms[0]:.2f} ×; {beside}")


def _costs(folder: Path, size: int, rounds: int) -> dict[str, float]:
    system = _System(folder)
    template = system.job(0)
    _fill(system.ports, template, size)
    system.spent.clear()
    for number in range(1, rounds + 1):
        system.job(number)
        system.sweep()
    costs = {name: median(spent) for name, spent in sorted(system.spent.items())}
    for page in _PAGES:
        costs[f"page {page}"] = median(_cpu_ms(lambda page=page: system.show(page)) for _ in range(rounds))  # type: ignore[misc]
    costs["host start and stop"] = median(_cpu_ms(lambda: _start(folder)) for _ in range(3))
    return costs


class _System:
    """The whole system in this process, stepped by hand; a training only leaves its files."""

    def __init__(self, folder: Path) -> None:
        self.spent: dict[str, list[float]] = defaultdict(list)
        settings = local_settings(folder).model_copy(update={"queues": {"default": 2, "paused": 2}})
        table = pa.Table.from_pandas(generate(weeks=104).table, preserve_index=False)
        load_table(folder / "warehouse", CONNECTION, "main", "weekly_sales", table)
        self._clock = _Clock()
        self._embedded = Embedded(folder, self._clock, push=self._push)
        self._trainings = _Trainings()
        self.ports = replace(self._embedded.ports(), launcher=self._trainings)
        log = Log("text", (folder / "bench.log").open("w", encoding="utf-8"))
        runtime = Runtime(self.ports, settings, log)
        use(runtime)
        self._functions, self._web = Client(functions_app()), create_app(runtime).test_client()

    def job(self, number: int) -> Job:
        """Run one job to its end, a while after the one before."""
        self._clock.ahead += timedelta(seconds=20)
        request_id = f"growth-{number}"
        request = {**demo_request(request_id, iterations=1, trials=1), "cache": "refresh"}
        self.ports.bus.publish(TRAIN_REQUESTS, json.dumps(request).encode())
        self._deliver()
        for attempt, execution in self._trainings.take():
            train(self.ports, attempt, execution)
        self._deliver()
        job = self.ports.jobs.get(Job, job_id_for(request_id))
        if job is None or job.state is not JobState.SUCCEEDED:
            raise RuntimeError(f"the job of {request_id} did not succeed: {job and (job.state, job.error)}")
        return job

    def sweep(self) -> None:
        """One tick."""
        self.ports.bus.publish(SWEEP_REQUESTS, b"{}")
        self._deliver()

    def show(self, page: str) -> None:
        """Ask for one page."""
        answer = self._web.get(page)
        if answer.status_code != 200:
            raise RuntimeError(f"{page}: {answer.status}")

    def _deliver(self) -> None:
        while self._embedded.bus.deliver_one():
            pass

    def _push(self, endpoint: str, envelope: dict[str, Any]) -> None:
        begun = time.process_time()
        answer = self._functions.post(f"/{endpoint}", json=envelope)
        self.spent[f"function {endpoint}"].append(1000 * (time.process_time() - begun))
        if answer.status_code != 204:
            raise RuntimeError(f"{endpoint}: {answer.status_code} {answer.get_data(as_text=True)}")


class _Clock:
    """The clock of the machine, and some time more."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        """Now, UTC."""
        return datetime.now(UTC) + self.ahead


class _Trainings:
    """Implements `functions.ports.Launcher`: remembers what was started."""

    def __init__(self) -> None:
        self._started: list[tuple[Attempt, str]] = []

    def take(self) -> list[tuple[Attempt, str]]:
        """What was started since the last time."""
        started, self._started = self._started, []
        return started

    def start(self, job_id: str, attempt: int, size: str, task_count: int) -> str:
        """Remember one execution."""
        del size, task_count
        self._started.append((Attempt(job_id, attempt), f"no-op-{job_id}-{attempt}"))
        return self._started[-1][1]

    def find(self, job_id: str, attempt: int) -> list[Execution]:
        """None: every start of this launcher succeeds."""
        del job_id, attempt
        return []

    def get(self, execution: str) -> Execution:
        """An execution, always reported as running."""
        return Execution(execution, ExecutionState.RUNNING)

    def cancel(self, execution: str) -> None:
        """Do nothing: no training lives here."""


def _fill(ports: Ports, template: Job, size: int) -> None:
    """Jobs of the past: most succeeded, some failed, some still wait."""
    queue = ports.jobs.get(Queue, "paused")
    if queue is None:
        raise RuntimeError("launch creates every queue")
    ports.jobs.replace(queue.model_copy(update={"paused": True}), queue.version)
    begun = template.accepted_at - timedelta(days=size // 100)
    for number in range(size):
        waits = number % round(1 / WAITING) == 0
        state = JobState.QUEUED if waits else JobState.FAILED if number % 10 == 1 else JobState.SUCCEEDED
        past = {
            "job_id": f"past-{number}",
            "request_id": f"past-{number}",
            "country": ("FR", "IT", "ES")[number % 3] if state is JobState.SUCCEEDED else "DE",
            "queue": "paused" if waits else "default",
            "state": state,
            "accepted_at": begun,
            "deadline": template.updated_at + timedelta(days=1) if waits else None,
        }
        ports.jobs.create(template.model_copy(update=past))


def _cpu_ms(call: Callable[[], object]) -> float:
    begun = time.process_time()
    call()
    return 1000 * (time.process_time() - begun)


def _start(folder: Path) -> None:
    with LocalHost(local_settings(folder), 0, Log("text", (folder / "host.log").open("w", encoding="utf-8"))):
        pass
