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
from functions.ports import Execution, ExecutionState, JobStore, Ports
from functions.runtime import Runtime, use
from functions.web.app import create_app
from infra.local.bench.figures import Figure
from infra.local.bench.noop import train
from infra.local.demo_data import demo_request, generate
from infra.local.functions import functions_app
from infra.local.host import CONNECTION, LocalHost, local_settings

SIZES = (1_000, 10_000, 100_000)
ROUNDS = 9
WAITING = 0.1
"""The part of the past jobs that waits, in a queue that is paused."""
_TICKS = 5
"""Ticks of sweep in a round: one takes so little that noise would be most of a single figure."""
_Cost = tuple[float, int]
"""CPU milliseconds, and documents read."""
_PAGES = ("/", "/?state=SUCCEEDED", "/?country=DE&state=FAILED", "/dead-letters")


def measure(folder: Path, sizes: tuple[int, ...] = SIZES, rounds: int = ROUNDS) -> list[Figure]:
    """CPU and documents read of each handler, tick, page and start of the host, beside so many jobs.

    The systems take turns, so that what else the machine does meanwhile weighs on all of them alike.
    """
    systems = [_filled(folder / str(size), size) for size in sizes]
    for number in range(1, rounds + 1):
        for system in systems:
            system.round(number)
    beside = " → ".join(f"{size:,}" for size in sizes) + " jobs of the past"
    return [
        _figure(what, [system.spent[what] for system in systems], beside) for what in sorted(systems[0].spent)
    ]


def _figure(what: str, spent: list[list[_Cost]], beside: str) -> Figure:
    ms, read = ([median(cost[of] for cost in costs) for costs in spent] for of in (0, 1))
    values = " → ".join(f"{value:.1f}" for value in ms)
    documents = f"; {' → '.join(f'{count:.0f}' for count in read)} documents read" if any(read) else ""
    return Figure(what, values, "CPU ms", f"{ms[-1] / ms[0]:.2f} ×{documents}; {beside}")


def _filled(folder: Path, size: int) -> _System:
    folder.mkdir(parents=True)
    system = _System(folder)
    _fill(system.ports, system.job(0), size)
    system.spent.clear()
    return system


class _Counted:
    """A job store that counts the documents that it gives."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self.read = 0

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._jobs, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            found = call(*args, **kwargs)
            if name not in ("create", "replace", "count"):
                self.read += len(found) if isinstance(found, list) else found is not None
            return found

        return counted


class _System:
    """The whole system in this process, stepped by hand; a training only leaves its files."""

    def __init__(self, folder: Path) -> None:
        self.spent: dict[str, list[_Cost]] = defaultdict(list)
        self._folder = folder
        settings = local_settings(folder).model_copy(update={"queues": {"default": 2, "paused": 2}})
        table = pa.Table.from_pandas(generate(weeks=104).table, preserve_index=False)
        load_table(folder / "warehouse", CONNECTION, "main", "weekly_sales", table)
        self._clock = _Clock()
        self._embedded = Embedded(folder, self._clock, push=self._push)
        self._trainings = _Trainings()
        ports = self._embedded.ports()
        self._counted = _Counted(ports.jobs)
        self.ports = replace(ports, jobs=self._counted, launcher=self._trainings)
        log = Log("text", (folder / "bench.log").open("w", encoding="utf-8"))
        self._runtime = Runtime(self.ports, settings, log)
        use(self._runtime)
        self._functions, self._web = Client(functions_app()), create_app(self._runtime).test_client()

    def round(self, number: int) -> None:
        """One of everything."""
        use(self._runtime)
        job = self.job(number)
        for _ in range(_TICKS):
            self.sweep()
        for page in _PAGES:
            self._spend(f"page {page}", lambda page=page: self.show(page))  # type: ignore[misc]
        self._spend("page of a result", lambda: self.show(f"/jobs/{job.job_id}"))
        self._spend("host start and stop", lambda: _start(self._folder))

    def _spend(self, what: str, call: Callable[[], object]) -> None:
        read, begun = self._counted.read, time.process_time()
        call()
        ms = 1000 * (time.process_time() - begun)
        self.spent[what].append((ms, self._counted.read - read))

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
        self._spend(f"function {endpoint}", lambda: self._receive(endpoint, envelope))

    def _receive(self, endpoint: str, envelope: dict[str, Any]) -> None:
        answer = self._functions.post(f"/{endpoint}", json=envelope)
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


def _start(folder: Path) -> None:
    with LocalHost(local_settings(folder), 0, Log("text", (folder / "host.log").open("w", encoding="utf-8"))):
        pass
