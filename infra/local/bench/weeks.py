"""A year of weekly batches: real functions and stores, a clock of our own, trainings that compute nothing.

One message in a hundred is lost before its function, one after it; two trainings in a hundred die.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from werkzeug.test import Client

from contracts.base import Timestamp
from contracts.events import SWEEP_REQUESTS
from contracts.job import DeadLetter, Job, JobState
from contracts.names import Attempt
from contracts.schedule import BatchTemplate, Schedule, ScheduleText, run_id
from functions.adapters.embedded import Embedded
from functions.adapters.embedded.warehouse import load_table
from functions.log import Log
from functions.ports import Execution, ExecutionState
from functions.runtime import Runtime, use
from functions.schedules.check import as_schedule
from functions.schedules.occurrences import occurrences
from functions.schedules.runs import until
from infra.local.bench.figures import Figure
from infra.local.bench.noop import train
from infra.local.demo_data import demo_request, generate
from infra.local.functions import functions_app
from infra.local.host import CONNECTION, local_settings

COUNTRIES = ("DE", "AT", "CH", "FR", "IT", "ES", "NL", "BE", "PL", "SE", "DK", "NO")
WEEKS, FAULTS, SLOTS = 52, 0.02, 4
CRON, TIME_ZONE, BEGIN = "0 6 * * MON", "Europe/Berlin", datetime(2026, 1, 1, tzinfo=UTC)
_PATIENCE = 24 * 60
"""Minutes after which a week's jobs must have ended."""


@dataclass(frozen=True)
class Year:
    """What came of it."""

    missing: int
    """Occurrences of countries without a job."""
    twice: int
    """Those with more than one."""
    states: Counter[JobState]
    waited: list[timedelta]
    """The longest time from acceptance to the end of a job, by week."""
    reads: list[float]
    """Documents that the store gave out for each job, by week."""
    faults: int
    letters: int


def measure(folder: Path, weeks: int = WEEKS) -> list[Figure]:
    """Simulate the weeks in a fresh folder."""
    year = simulate(folder, weeks)
    jobs = sum(year.states.values())
    quarter = max(len(year.reads) // 4, 1)
    first, last = (sum(part) / quarter for part in (year.reads[:quarter], year.reads[-quarter:]))
    longest = max(year.waited)
    return [
        Figure(
            "jobs", f"{jobs:,}", "jobs", f"{len(COUNTRIES)} countries × {weeks} weeks; {year.faults} faults"
        ),
        Figure("occurrences without a job", str(year.missing), "", "must be 0"),
        Figure("occurrences with two jobs", str(year.twice), "", "must be 0"),
        Figure("SUCCEEDED", f"{year.states[JobState.SUCCEEDED]:,}", "jobs", f"of {jobs:,}"),
        Figure("dead letters", str(year.letters), "messages", "must be 0"),
        Figure("longest way of a job", f"{longest.total_seconds() / 60:.0f}", "min", "of simulated time"),
        Figure("documents read, first weeks", f"{first:.1f}", "a job", f"mean of {quarter} weeks"),
        Figure("documents read, last weeks", f"{last:.1f}", "a job", f"{last / first:.2f} × the first"),
    ]


def simulate(folder: Path, weeks: int, seed: int = 1, faults: float = FAULTS) -> Year:
    """Let a schedule come each Monday, and every job come to its end before the next.

    Raises:
        RuntimeError: jobs of a week have not ended within a day.
    """
    folder.mkdir(parents=True)
    system = _System(folder, random.Random(seed), faults)  # noqa: S311 (not for secrets)
    system.schedule()
    mondays = list(islice(occurrences(CRON, TIME_ZONE, BEGIN), weeks))
    waited, reads = [], []
    for monday in mondays:
        before = system.reads
        system.week(monday)
        jobs = system.jobs_of(monday)
        waited.append(max((job.updated_at - job.accepted_at for job in jobs), default=timedelta()))
        reads.append((system.reads - before) / len(COUNTRIES))
    found = Counter((job.request_id.rsplit("-", 2)[0], job.country) for job in system.jobs.find(Job))
    names = [run_id("weekly", monday).replace("@", "-") for monday in mondays]
    expected = {(name, country) for name in names for country in COUNTRIES}
    return Year(
        missing=len(expected - found.keys()),
        twice=sum(count > 1 for count in found.values()) + len(found.keys() - expected),
        states=Counter(job.state for job in system.jobs.find(Job)),
        waited=waited,
        reads=reads,
        faults=system.faults,
        letters=system.jobs.count(DeadLetter),
    )


@dataclass
class _Clock:
    """Stands still until it is told to move."""

    time: Timestamp = BEGIN

    def now(self) -> datetime:
        return self.time


class _System:
    """The whole system in this process, stepped by hand."""

    def __init__(self, folder: Path, chance: random.Random, share: float) -> None:
        self._chance, self._share, self.faults = chance, share, 0
        settings = local_settings(folder).model_copy(update={"queues": {"default": SLOTS}})
        table = pa.Table.from_pandas(generate(weeks=104).table, preserve_index=False)
        load_table(folder / "warehouse", CONNECTION, "main", "weekly_sales", table)
        self._clock = _Clock()
        self._embedded = Embedded(folder, self._clock, push=self._push)
        self._trainings = _Trainings()
        own = self._embedded.ports()
        self.jobs = own.jobs
        self._counted = _Counted(own.jobs)
        self._ports = replace(own, launcher=self._trainings, jobs=self._counted)
        log = Log("text", (folder / "bench.log").open("w", encoding="utf-8"))
        use(Runtime(self._ports, settings, log))
        self._functions = Client(functions_app())

    @property
    def reads(self) -> int:
        """Documents that the functions were given so far."""
        return self._counted.reads

    def schedule(self) -> None:
        """Write the schedule: a batch with a row for each country."""
        base = {k: v for k, v in demo_request("", iterations=1, trials=1).items() if k != "request_id"}
        rows = [{"country": country} for country in COUNTRIES]
        batch = BatchTemplate(base=base, rows=rows)
        text = ScheduleText(cron=CRON, time_zone=TIME_ZONE, missed="all", batch=batch)
        schedule = as_schedule(text, "weekly", "bench", BEGIN)
        self.jobs.create(schedule.model_copy(update=until(schedule, BEGIN)))

    def week(self, monday: datetime) -> None:
        """From a Monday's occurrence on tick each minute, until its jobs have ended."""
        self._clock.time = monday
        for _ in range(_PATIENCE):
            self._embedded.bus.publish(SWEEP_REQUESTS, b"{}")
            self._deliver()
            for attempt, execution in self._trainings.take():
                if self._happens(self._share):
                    self._trainings.die(execution)
                else:
                    train(self._ports, attempt, execution)
            self._deliver()
            jobs = self.jobs_of(monday)
            if len(jobs) == len(COUNTRIES) and all(job.state.terminal for job in jobs) and self._is_told():
                return
            self._clock.time += timedelta(minutes=1)
        raise RuntimeError(f"the jobs of {monday} have not ended within a day")

    def jobs_of(self, monday: datetime) -> list[Job]:
        """The jobs of an occurrence."""
        return self.jobs.find(Job, starting=run_id("weekly", monday).replace("@", "-"))

    def _is_told(self) -> bool:
        schedule = self.jobs.get(Schedule, "weekly")
        deadline = schedule.deadline if schedule else None
        return deadline is not None and deadline > self._clock.time and not self._embedded.bus.pending()

    def _deliver(self) -> None:
        while self._embedded.bus.deliver_one():
            pass

    def _happens(self, share: float) -> bool:
        happens = self._chance.random() < share
        self.faults += happens
        return happens

    def _push(self, endpoint: str, envelope: dict[str, Any]) -> None:
        if self._happens(self._share / 2):
            raise RuntimeError("lost before the function")
        answer = self._functions.post(f"/{endpoint}", json=envelope)
        if answer.status_code != 204:
            raise RuntimeError(f"{endpoint}: {answer.status_code} {answer.get_data(as_text=True)}")
        if self._happens(self._share / 2):
            raise RuntimeError("its answer is lost")


@dataclass
class _Trainings:
    """Implements `functions.ports.Launcher`: remembers what was started, and what died."""

    _new: list[tuple[Attempt, str]] = field(default_factory=list)
    _states: dict[str, ExecutionState] = field(default_factory=dict)

    def take(self) -> list[tuple[Attempt, str]]:
        """What was started since the last time."""
        started, self._new = self._new, []
        return started

    def die(self, execution: str) -> None:
        """End an execution without an outcome."""
        self._states[execution] = ExecutionState.FAILED

    def start(self, job_id: str, attempt: int, size: str, task_count: int) -> str:
        """Remember one execution."""
        del size, task_count
        name = f"{job_id}/{attempt}/{len(self._states)}"
        self._new.append((Attempt(job_id, attempt), name))
        self._states[name] = ExecutionState.RUNNING
        return name

    def find(self, job_id: str, attempt: int) -> list[Execution]:
        """The executions of an attempt."""
        return [Execution(*one) for one in self._states.items() if one[0].startswith(f"{job_id}/{attempt}/")]

    def get(self, execution: str) -> Execution | None:
        """An execution by its name."""
        state = self._states.get(execution)
        return Execution(execution, state) if state else None

    def cancel(self, execution: str) -> None:
        """End an execution."""
        self._states[execution] = ExecutionState.CANCELLED


class _Counted:
    """A job store that counts the documents that it gives out."""

    def __init__(self, store: Any) -> None:
        self._store, self.reads = store, 0

    def __getattr__(self, name: str) -> Any:
        return partial(self._read, getattr(self._store, name))

    def _read(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        answer = call(*args, **options)
        self.reads += len(answer) if isinstance(answer, list) else answer is not None
        return answer
