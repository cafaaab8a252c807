"""The whole system in one process: SQLite and files as in production, our own clock, faults where we want."""

from __future__ import annotations

import base64
import functools
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import pandas as pd
import pyarrow as pa

from contracts.events import JOB_FINISHED, SWEEP_REQUESTS, TRAIN_REQUESTS
from contracts.job import Job
from contracts.names import Attempt
from contracts.request import job_id_for
from functions import entry, runtime
from functions.adapters.embedded import Embedded, LauncherSettings
from functions.errors import Transient, Unavailable
from functions.log import Log
from functions.message import decode
from functions.notifications import notification
from functions.ports import Conflict, NotFound
from functions.runtime import Runtime
from functions.settings import EmbeddedSettings, TaskSettings
from functions.validate import prepare as preparation
from infra.local.demo_data import demo_request, demo_settings, generate
from tests.pipeline.conftest import BEST_MODEL
from tests.property.faults import Crash, Faults, Frame, watched
from tests.property.invariants import Invariants, Violation
from trainer.heartbeat import Pulse
from trainer.life import Life

SLOTS = 1
CURSED = "cursed"
"""A table that can never be read: its warehouse does not answer, for ever."""


class Quiet(Log):
    """Says nothing: a schedule's log would be longer than the schedule."""

    def __call__(self, *_: Any, **__: Any) -> None:
        pass


class Clock:
    """Moves when it is told to; `skew` is how wrong the handlers' own clock is."""

    def __init__(self) -> None:
        self.time, self.skew = datetime(2026, 11, 16, 6, 0, tzinfo=UTC), timedelta(0)

    def now(self) -> datetime:
        return self.time


class SkewedClock:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.time + self._clock.skew


@functools.cache
def _batch() -> pa.RecordBatch:
    table = pa.Table.from_pandas(generate().table.iloc[:110], preserve_index=False)
    return table.combine_chunks().to_batches()[0]


@functools.cache
def csv() -> bytes:
    frame: pd.DataFrame = generate().table.iloc[:110]
    return frame.to_csv(index=False, date_format="%Y-%m-%d").encode()


class TableWarehouse:
    """A warehouse in which every table holds the same rows, except the one that cannot be read."""

    dialect: Literal["duckdb"] = "duckdb"

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def quote(self, identifier: str) -> str:
        return f'"{identifier}"'

    @contextmanager
    def query(self, sql: str, _timeout_s: float) -> Iterator[Iterator[pa.RecordBatch]]:
        if CURSED in sql:
            raise Unavailable("the warehouse does not answer")
        self._simulation.invariants.queried(sql.rsplit('"', 2)[1], self._simulation.faults.stack[-1])
        yield iter([_batch()])


_PREPARED: dict[str, Any] = {}
_really_prepare = preparation.prepare


def _prepare_once(dataset: Any, request: Any, fingerprint: str) -> Any:
    """Preparing is pure: the same data and settings give the same answer, computed once."""
    key = fingerprint + request.model_dump_json(exclude={"request_id", "source", "revision", "labels"})
    if key not in _PREPARED:
        _PREPARED[key] = _really_prepare(dataset, request, fingerprint)
    return _PREPARED[key]


PARQUET = b"prepared: the engine of a simulation does not read it"


class Left(BaseException):
    """The training ended itself, because its attempt has an outcome."""


class SteppedPulse(Pulse):
    """Beats when the engine says so."""

    def __enter__(self) -> Pulse:
        self.beat()
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _leave(self) -> None:
        raise Left


class SteppedLife(Life):
    def _pulse(self) -> Pulse:
        pulse = super()._pulse()
        self.pulse = SteppedPulse(
            pulse.objects, pulse.attempt, pulse.task, pulse.execution, pulse.progress, pulse.log
        )
        return self.pulse


class Simulation:
    """One installation that is emptied between schedules, and what the world can do to it."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.embedded = Embedded(
            folder, self.clock, push=self._push, launcher=LauncherSettings(stepping=True, max_parallel=99)
        )
        self.embedded._database.connection.execute("PRAGMA synchronous = OFF")
        self.settings = EmbeddedSettings(
            family="embedded", folder=folder, engines=["native"], queues={"default": SLOTS}, log_format="text"
        )
        self.raw = replace(self.embedded.ports(), warehouses={"demo": TableWarehouse(self)})
        self.reset()

    def reset(self) -> None:
        """Forget everything that a schedule did."""
        with self.embedded._database.transaction() as connection:
            for table in ("documents", "objects", "deliveries", "executions", "tasks", "subscriptions"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 (names of ours)
            connection.execute("DELETE FROM sqlite_sequence")
            connection.execute("UPDATE last_generation SET value = 0")
        shutil.rmtree(self.embedded.objects.bucket)
        self.embedded.objects.bucket.mkdir()
        self.embedded.bus.subscribe("upstream", JOB_FINISHED, "upstream")
        self.clock.__init__()  # type: ignore[misc]
        self.faults = Faults()
        self.ports = replace(watched(self.raw, self.faults), clock=SkewedClock(self.clock))
        self.runtime = Runtime(self.ports, self.settings, Quiet("text"))
        runtime.use(self.runtime)
        self.invariants = Invariants(self)
        self.faults.told = self.invariants.called
        self.dead: set[str] = set()  # executions whose process is gone, which the platform has not noticed
        self.executing: list[str] = []  # on the stack
        self.training: dict[str, tuple[str, int]] = {}  # execution → attempt of the engines at work
        self.while_training: Callable[[], object] = lambda: None
        self.deliveries = 0

    def _push(self, endpoint: str, envelope: dict[str, Any]) -> None:
        self.deliveries += 1
        if endpoint == "upstream":
            self.invariants.told_upstream(json.loads(base64.b64decode(envelope["message"]["data"])))
            return
        status, text = entry.deliver(endpoint, decode(envelope), self.runtime)
        if status == 500:
            raise Violation(f"{endpoint}: a bug: {text}")
        if status != 204:
            raise RuntimeError(f"{status} {text}")

    # what users do

    def request(self, number: int, revision: str = "r1", table: str = "", **more: Any) -> None:
        body = {**demo_request(f"q{number}", iterations=5, trials=1), **more}
        body["source"] = {**body["source"], "table": table or f"sales{number}"}
        body["revision"] = revision
        self.invariants.requested(job_id_for(f"q{number}"), body)
        self.raw.bus.publish(TRAIN_REQUESTS, json.dumps(body).encode())

    def upload(self, name: str) -> None:
        data = csv() if name.endswith(".csv") else demo_settings(5, 1).encode()
        self.raw.objects.replace(f"drop-zone/AT/{name}", data, None)

    # what the world does

    def deliver(self, delivery_id: int, frame: Frame, lose_ack: bool = False) -> None:
        with self.faults.process(frame), suppress(Crash, NotFound):  # died, or was delivered meanwhile
            self.embedded.bus.deliver(delivery_id, lose_ack=lose_ack)

    def sweep(self) -> None:
        self.raw.bus.publish(SWEEP_REQUESTS, b"{}")

    def announce_again(self, name: str) -> None:
        info = self.raw.objects.stat(name)
        if info:
            self.raw.bus.publish(*notification(info))

    def tasks(self) -> list[Any]:
        """What the platform believes to run, one row per task."""
        self.embedded.launcher.step()
        return list(self.embedded.launcher._tasks("RUNNING"))

    def train(self, task: Any, frame: Frame) -> None:
        """Let a process of an execution live, until it ends or is killed."""
        name = task["execution"]
        frame.execution = name
        self.executing.append(name)
        try:
            with self.faults.process(frame):
                code = self._live(task)
        finally:
            self.executing.remove(name)
        if name in self.faults.doomed:
            self.faults.doomed.remove(name)
        elif code == 137:
            self.dead.add(name)
        else:
            self.embedded.launcher.finish_task(name, 0, code)

    def _live(self, task: Any) -> int:
        settings = TaskSettings(
            job_id=task["job_id"],
            attempt=task["attempt"],
            cloud_run_execution=task["execution"],
            cloud_run_task_index=0,
            cloud_run_task_count=1,
            cloud_run_task_attempt=task["task_attempt"],
        )
        life = SteppedLife(self.runtime, settings)
        with mock.patch("trainer.life.load", return_value=functools.partial(self._engine, life)):
            try:
                life.live()
            except (Crash, Left) as end:
                return 0 if isinstance(end, Left) else 137
            except (Transient, Conflict):  # the interpreter ends with 1
                return 1
        return 0

    def _engine(self, life: SteppedLife, _prepared: Path, _config: Any, folder: Path, _host: Any) -> None:
        """Computes nothing, but takes its time: the world goes on at three points."""
        this = (life.task.job_id, life.task.attempt)
        execution = life.task.cloud_run_execution
        self.training[execution] = this
        try:
            self.invariants.check()
            for _ in range(3):
                self.faults.around("engine.train()", (), self.while_training)
                life.pulse.look()
        finally:
            self.training.pop(execution, None)
        for name, content in _files().items():
            (folder / name).write_bytes(content)

    def living(self) -> Counter[tuple[str, int]]:
        """How many engines of each attempt are at work; a process that was killed is not."""
        return Counter(
            this for execution, this in self.training.items() if execution not in self.faults.doomed
        )

    def reap(self) -> None:
        """The platform notices which processes are gone, and kills those of cancelled executions."""
        for task in self.tasks():
            name = task["execution"]
            if name in self.dead:
                self.dead.remove(name)
            elif not task["cancelled"] or name in self.faults.doomed:
                continue
            elif name in self.executing:
                self.faults.doomed.add(name)
            self.embedded.launcher.finish_task(name, 0, 137)

    def kill(self, task: Any) -> None:
        """SIGKILL to a process; the platform notices at once."""
        name = task["execution"]
        if name in self.executing:
            if name in self.faults.doomed:
                return
            self.faults.doomed.add(name)
        self.dead.discard(name)
        self.embedded.launcher.finish_task(name, 0, 137)

    def vanish(self, name: str) -> None:
        """The platform forgets an execution."""
        with self.embedded._database.transaction() as connection:
            connection.execute("DELETE FROM executions WHERE name = ?", (name,))
            connection.execute("DELETE FROM tasks WHERE execution = ?", (name,))
        self.dead.discard(name)

    def spoil(self, job: Job) -> None:
        """A file of a result is lost."""
        for info in list(self.raw.objects.list("robyn/")):
            if job.job_id in info.name and info.name.endswith(f"attempt-{job.attempt}/best_model.json"):
                with self.embedded._database.transaction() as connection:
                    connection.execute("DELETE FROM objects WHERE name = ?", (info.name,))
                (self.embedded.objects.bucket / info.name).unlink()

    def jobs(self) -> list[Job]:
        return self.raw.jobs.find(Job)

    def outcomes(self) -> list[str]:
        return [info.name for info in self.raw.objects.list("outcomes/")]

    def attempt(self, job: Job) -> Attempt:
        return Attempt(job.job_id, job.attempt)


@functools.cache
def _files() -> dict[str, bytes]:
    provenance = {"engine": "native", "seed": 1}
    return {
        "best_model.json": json.dumps(BEST_MODEL).encode(),
        "provenance.json": json.dumps(provenance).encode(),
    }


@contextmanager
def simulation(folder: Path) -> Iterator[Simulation]:
    """An installation whose pure and slow parts are computed once, and which never sleeps."""
    with (
        mock.patch.object(preparation, "prepare", _prepare_once),
        mock.patch.object(preparation, "to_parquet", return_value=PARQUET),
        mock.patch.object(entry.time, "sleep"),
        mock.patch("trainer.life.cpu_seconds", return_value=0.0),
        mock.patch("trainer.steps.cpu_seconds", return_value=0.0),
    ):
        yield Simulation(folder)
