"""The whole system in one process: SQLite and files as in production, our own clock, faults where we want."""

from __future__ import annotations

import base64
import copy
import functools
import io
import json
import logging
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Literal
from unittest import mock

import pandas as pd
import pyarrow as pa

from contracts.batch import Batch
from contracts.events import JOB_FINISHED, SWEEP_REQUESTS, TRAIN_REQUESTS
from contracts.job import Document, Job, Queue, Upload
from contracts.request import TrainRequest, job_id_for, parse_settings
from functions import entry, runtime
from functions.adapters.embedded import Embedded, LauncherSettings
from functions.adapters.embedded.bus import Delivery, _stage
from functions.adapters.embedded.files import Mark
from functions.errors import Unavailable
from functions.extract import csv_text
from functions.extract import decode as decoding
from functions.log import Log
from functions.message import decode
from functions.notifications import notification
from functions.ports import D, NotFound, ObjectWriter
from functions.runtime import Runtime
from functions.settings import EmbeddedSettings
from functions.validate.prepare import prepare
from functions.web import actions, batch_actions
from infra.local.demo_data import demo_request, demo_settings, generate
from tests.property.faults import Crash, Faults, Frame, watched
from tests.property.invariants import Invariants, Violation, promise
from tests.property.recurring import Recurring
from tests.property.trainings import Trainings, constantly

_MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)
QUEUES = {"default": 1, "wide": 2}
"""The requests of the wide queue are trained by several tasks each."""
CURSED = "cursed"
"""A table that can never be read: its warehouse does not answer, for ever."""
SHORT = "short"
"""A table with too few rows to train on."""
SAID_LATER = (
    "woken_at",
    "waits_for",
    "replaces",
    "replaced_by",
    "result",
    "deletion",
    "posterior",
    "budgets",
)
"""Fields of a job that its first released version did not have; nor had it `defaults`."""
MAX_ROUNDS = 40
"""Of deliver, train and sweep after the last fault: a source that never answers gets four messages, and each
comes to its end after five rounds."""
REFUSED_IN_PEACE = 2
"""A message that comes again in peace after so many deliveries is refused for ever; most of the others are
passed over."""


class Quiet(Log):
    """Says nothing: a schedule's log would be longer than the schedule."""

    def __call__(self, *_: Any, **__: Any) -> None:
        pass


class Clock:
    """Moves when it is told to; `skew` is how wrong the handlers' own clock is."""

    def __init__(self) -> None:
        self.time, self.skew = datetime(2026, 11, 16, 6, 0, tzinfo=UTC), timedelta(0)
        self._latest = self.time

    def now(self) -> datetime:
        return self.time

    def set_back(self, by: timedelta) -> None:
        """As a person does, or a server of time."""
        self._latest = self.latest
        self.time -= by

    @property
    def latest(self) -> datetime:
        """The latest time that it has shown."""
        return max(self._latest, self.time)


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
def _short() -> pa.RecordBatch:
    return _batch()[:3]


@functools.cache
def csv() -> bytes:
    frame: pd.DataFrame = generate().table.iloc[:110]
    return frame.to_csv(index=False, date_format="%Y-%m-%d").encode()


@functools.cache
def _settings() -> bytes:
    return demo_settings(5, 1).encode()


class TableWarehouse:
    """A warehouse in which every table holds the same rows, but one is short and one cannot be read."""

    dialect: Literal["duckdb"] = "duckdb"

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def quote(self, identifier: str) -> str:
        return f'"{identifier}"'

    @contextmanager
    def query(
        self, sql: str, _timeout_s: float, _parameters: Sequence[date] = ()
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        if CURSED in sql:
            raise Unavailable("the warehouse does not answer")
        self._simulation.invariants.queried(sql.rsplit('"', 2)[1], self._simulation.faults.stack[-1])
        yield iter([_short() if SHORT in sql else _batch()])


_PREPARED: dict[str, Any] = {}
_really_prepare = prepare


def _prepare_once(dataset: Any, request: Any, fingerprint: str, former: Any = None) -> Any:
    """Preparing is pure: the same data and settings give the same answer, computed once."""
    settings = request.model_dump_json(exclude={"request_id", "source", "revision", "labels"})
    key = f"{fingerprint} {settings} {former}"
    if key not in _PREPARED:
        _PREPARED[key] = _really_prepare(dataset, request, fingerprint, former)
    return _PREPARED[key]


PARQUET = b"prepared: the engine of a simulation does not read it"
_parsed_settings = functools.cache(parse_settings)


_read_document = Document.model_validate_json.__func__  # type: ignore[attr-defined]
_validated_request = TrainRequest.model_validate.__func__  # type: ignore[attr-defined]
_connect = sqlite3.connect
_read_csv = csv_text.read_batches
_write_batches = decoding.write_batches


@functools.lru_cache(10_000)
def _parsed(kind: type[D], body: str) -> D:
    """Documents are frozen, so the same text may be the same object."""
    document: D = _read_document(kind, body)
    return document


@functools.lru_cache(1000)
def _request(text: str) -> TrainRequest:
    request: TrainRequest = _validated_request(TrainRequest, json.loads(text))
    return request


@functools.cache
def _rows(name: str, content: bytes, wanted: frozenset[str]) -> list[pa.RecordBatch]:
    return list(_read_csv(name, io.BytesIO(content), wanted))


def _read_once(name: str, stream: BinaryIO, wanted: Collection[str] = ()) -> Iterator[pa.RecordBatch]:
    return iter(_rows(name, stream.read(), frozenset(wanted)))


_WRITTEN: dict[tuple[int, ...], tuple[list[pa.RecordBatch], bytes, int]] = {}


def _write_once(batches: Iterator[pa.RecordBatch], out: ObjectWriter) -> int:
    """The batches of a simulation are made once and kept, so that each is known by its identity."""
    here = list(batches)
    key = tuple(map(id, here))
    if key not in _WRITTEN:
        content = io.BytesIO()
        rows = _write_batches(iter(here), content)
        _WRITTEN[key] = here, content.getvalue(), rows
    _, parquet, rows = _WRITTEN[key]
    out.write(parquet)
    return rows


class Simulation:
    """One installation that is emptied between schedules, and what the world can do to it."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.embedded = Embedded(
            folder, self.clock, push=self._push, launcher=LauncherSettings(stepping=True, max_parallel=99)
        )
        self.settings = EmbeddedSettings(
            family="embedded", folder=folder, engines=["native"], queues=QUEUES, log_format="text"
        )
        self.raw = replace(self.embedded.ports(), warehouses={"demo": TableWarehouse(self)})
        record = self.embedded.objects._record
        self.embedded.objects._record = functools.partial(self._tear, record)  # type: ignore[method-assign]
        self.reset()

    def _tear(self, record: Callable[..., Any], connection: Any, name: str, *rest: Any) -> Any:
        if self.torn and self.faults.stack and not name.startswith("drop-zone/"):
            self.torn = False
            raise Crash(f"{name} is half written")
        return record(connection, name, *rest)

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
        self.torn = False  # whether who writes the next object dies between file and index
        self._backup: tuple[sqlite3.Connection, Any] | None = None
        self.faults = Faults()
        self.ports = replace(watched(self.raw, self.faults), clock=SkewedClock(self.clock))
        self.runtime = Runtime(self.ports, self.settings, Quiet("text"))
        runtime.use(self.runtime)
        self.undisturbed = Runtime(self.raw, self.settings, self.runtime.log)
        self.invariants, self.recurring = Invariants(self), Recurring(self)
        self.frame_of_web: Callable[[], Frame] = lambda: Frame("web", "")
        self.faults.told = self.invariants.called
        self.trainings = Trainings(self)
        self.deliveries = 0
        self.taken: dict[int, Delivery] = {}  # every delivery that was begun
        self.answered: set[int] = set()

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
        """Publish a request; those of odd number go to the wide queue, with a task for each trial."""
        queue, trials, size = ("wide", 3, "large") if number % 2 else ("default", 1, "small")
        its = {"queue": queue, "size": size, "revision": revision}
        body = {**demo_request(f"q{number}", iterations=5, trials=trials), **its, **more}
        body["source"] = {**body["source"], "table": table or f"sales{number}"}
        self.invariants.requested(job_id_for(f"q{number}"), body)
        self.raw.bus.publish(TRAIN_REQUESTS, json.dumps(body).encode())

    def garbage(self, topic: str, data: bytes, attributes: Mapping[str, str] | None = None) -> None:
        """Publish a message that can never work."""
        self.raw.bus.publish(topic, data, attributes)
        self.invariants.garbage.add(base64.b64encode(data).decode())

    def upload(self, name: str) -> None:
        data = csv() if name.endswith(".csv") else _settings()
        self.raw.objects.replace(f"drop-zone/AT/{name}", data, None)

    # what the world does

    def deliver(self, delivery: Delivery, frame: Frame, lose_ack: bool = False) -> None:
        self.taken[delivery.id] = delivery
        with self.faults.process(frame), suppress(Crash, NotFound):  # died, or was delivered meanwhile
            if self.embedded.bus.deliver(delivery.id, lose_ack=lose_ack):
                self.answered.add(delivery.id)

    def deliver_due(self, generation: int | None = None) -> bool:
        """Deliver the message that is due longest, in peace; False if none is due."""
        due = self._messages("parked = 0 AND due <= :now ORDER BY due, id")
        if due:
            first = Delivery.of(min(due, key=lambda row: _stage(row["subscription"])))
            newest = self.generation() if generation is None else generation
            self.deliver(first, Frame(first.subscription, self.state_of(first), generation=newest))
        return bool(due)

    def deliverable(self) -> list[sqlite3.Row]:
        """The messages that are not being delivered at this moment, due or not, oldest first."""
        return self._messages("NOT (leased AND due > :now) ORDER BY id")

    def _messages(self, condition: str) -> list[sqlite3.Row]:
        sql = f"SELECT * FROM deliveries WHERE {condition}"  # noqa: S608 (conditions of ours)
        return self.embedded._database.rows(sql, {"now": self.clock.now().timestamp()})

    def generation(self) -> int:
        """Of the newest object."""
        (row,) = self.embedded._database.rows("SELECT value FROM last_generation")
        return int(row["value"])

    def state_of(self, delivery: Delivery) -> str:
        """The state of the job that a message is about."""
        about = delivery.attributes.get("objectId", "") + delivery.data.decode(errors="replace")
        named = [job for job in self.jobs() if job.job_id in about or f'"{job.request_id}"' in about]
        return named[0].state.value if named else ""

    def sweep(self) -> None:
        self.raw.bus.publish(SWEEP_REQUESTS, b"{}")

    def move_folder(self) -> None:
        """The folder is copied and put in its own place: every file has another inode and time."""
        for path in list(self.embedded.objects.bucket.rglob("*")):
            if path.is_file():
                copied = self.embedded.objects.partial / "copied"
                shutil.copyfile(path, copied)
                copied.replace(path)

    def grow(self) -> None:
        """A file that pauses is taken, and goes on growing; whole, it is replaced by a new beginning."""
        whole = csv()
        beginning = whole[: whole.index(b"\n", len(whole) // 2) + 1]
        path = self.embedded.objects.bucket / "drop-zone/AT/growing.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        begun = path.exists() and path.read_bytes() == beginning
        path.write_bytes(whole if begun else beginning)
        self._look_into_the_drop_zone()

    def _look_into_the_drop_zone(self) -> None:
        """As the watcher does when every file there is closed."""
        bucket = self.embedded.objects.bucket
        for path in sorted(bucket.glob("drop-zone/*/*")):
            mark = Mark.at(path)
            if mark is not None:
                self.embedded.objects.adopt(path.relative_to(bucket).as_posix(), mark)

    def keep_or_restore_the_index(self) -> None:
        """A backup of state.db is made, or the one that was made is put beside files that are newer by now.

        All that the system and the world know is what it was then; only the bucket and the time go on.
        """
        connection = self.embedded._database.connection
        if self._backup is None:
            kept = sqlite3.connect(":memory:", isolation_level=None)
            connection.backup(kept)
            self._backup = kept, self._known()
            return
        kept, known = self._backup
        self._backup = None
        kept.backup(connection)
        kept.close()
        invariants, recurring, self.taken, self.answered, self.trainings.dead = known
        self.invariants.__dict__.update(invariants)
        self.recurring.__dict__.update(recurring)
        self._look_into_the_drop_zone()

    def _known(self) -> tuple[dict[str, Any], dict[str, Any], dict[int, Delivery], set[int], set[str]]:
        """What was noted of the world so far."""
        noted = {name: copy.copy(value) for name, value in vars(self.invariants).items() if name != "sim"}
        noted["bodies"] = {job_id: [*bodies] for job_id, bodies in self.invariants.bodies.items()}
        told = {name: copy.copy(value) for name, value in vars(self.recurring).items() if name != "_sim"}
        return noted, told, {**self.taken}, {*self.answered}, {*self.trainings.dead}

    def written_by_a_newer_version(self, document: Job | Queue | Upload) -> None:
        """A newer version adds what this one does not know."""
        newer = document.model_copy(update={"invented_later": "said"})
        self.raw.jobs.replace(newer, document.version)
        self.invariants.newer.add((type(document), document.key))

    def written_by_an_older_version(self, job: Job) -> None:
        """An older version made the document."""
        unsaid = {name for name in SAID_LATER if getattr(job, name) in (None, "", {}, [])} | {"defaults"}
        body = job.model_dump_json(exclude=unsaid)
        with self.embedded._database.transaction() as connection:
            sql = "UPDATE documents SET body = ? WHERE kind = ? AND key = ?"
            connection.execute(sql, (body, job.kind, job.key))

    def sent_by_a_newer_version(self, message: sqlite3.Row) -> None:
        """A message of ours on its way says something that this version does not know."""
        data = json.dumps({**json.loads(message["data"]), "invented_later": "said"}).encode()
        with self.embedded._database.transaction() as connection:
            connection.execute("UPDATE deliveries SET data = ? WHERE id = ?", (data, message["id"]))

    def announce_again(self, name: str) -> None:
        info = self.raw.objects.stat(name)
        if info:
            self.raw.bus.publish(*notification(info))

    def spoil(self, job: Job) -> None:
        """A file of a result is lost."""
        for info in list(self.raw.objects.list("robyn/")):
            if job.job_id in info.name and info.name.endswith(f"attempt-{job.attempt}/best_model.json"):
                with self.embedded._database.transaction() as connection:
                    connection.execute("DELETE FROM objects WHERE name = ?", (info.name,))
                (self.embedded.objects.bucket / info.name).unlink()

    def jobs(self) -> list[Job]:
        return self.documents(Job)

    def documents(self, kind: type[D]) -> list[D]:
        """All of a kind, newest first. The same text is the same object: it is parsed once."""
        sql = "SELECT body FROM documents WHERE kind = ? ORDER BY sequence DESC"
        return [_parsed(kind, row["body"]) for row in self.embedded._database.rows(sql, (kind.kind,))]

    def written(self) -> list[tuple[str, int]]:
        """Name and generation of every object of an attempt, its results left out."""
        sql = "SELECT name, generation FROM objects WHERE name GLOB 'outcomes/*' OR name GLOB 'scratch/*'"
        return [(row["name"], row["generation"]) for row in self.embedded._database.rows(sql)]

    def pending(self) -> list[Delivery]:
        """Messages that are under way."""
        return self.embedded.bus.pending()

    def come_to_rest(self) -> None:
        """Peace: every message arrives, every training lives on, until nothing waits any more."""
        self.faults.outage, self.clock.skew, self.deliveries, self.torn = "", timedelta(0), 0, False
        for queue in self.raw.jobs.find(Queue):
            actions.pause(self.undisturbed, queue.name, False, "somebody")
        for batch in self.raw.jobs.find(Batch, launching="paused"):
            batch_actions.pause(self.undisturbed, batch.batch_id, False, "somebody")
        rounds = 0
        while rounds < MAX_ROUNDS:
            rounds += 1
            self.trainings.reap()
            self._deliver_all()
            while tasks := self.trainings.startable():
                self.trainings.train(tasks[0], Frame("trainer", "RUNNING"))
                self._deliver_all()
                self.invariants.check()
            if self.at_rest() and not self.trainings.dead:
                break
            self._pass_over_refusals()
            self.clock.time += timedelta(minutes=16)
            self.sweep()
        self.sweep()  # what only a sweep frees
        self._deliver_all()
        most = 100 + rounds + 60 * len(self.jobs())
        promise(self.deliveries <= most, f"{self.deliveries} deliveries to come to rest")
        self.invariants.check_rest()

    def _pass_over_refusals(self) -> None:
        """All twenty deliveries to a source that never answers have a script; here they would be alike."""
        last_but_one = self.embedded.bus._settings.max_attempts - 2
        with self.embedded._database.transaction() as connection:
            connection.execute(
                "UPDATE deliveries SET attempt = ? WHERE attempt BETWEEN ? AND ?",
                (last_but_one, REFUSED_IN_PEACE, last_but_one),
            )

    def at_rest(self) -> bool:
        done = all(job.state.terminal for job in self.jobs()) and not self._messages("1 LIMIT 1")
        return done and self.recurring.at_rest()

    def _deliver_all(self) -> None:
        generation = self.generation()
        while self.deliver_due(generation):
            pass


_ONCE = {
    "contracts.job.Document.model_validate_json": classmethod(_parsed),
    "contracts.request.TrainRequest.model_validate": staticmethod(lambda body: _request(json.dumps(body))),
    "functions.extract.csv_text.read_batches": _read_once,
    "functions.extract.decode.write_batches": _write_once,
    "functions.extract.uploads.parse_settings": lambda text: copy.deepcopy(_parsed_settings(text)),
    "functions.validate.prepare.prepare": _prepare_once,
    "functions.validate.prepare.to_parquet": constantly(PARQUET),
}
"""Pure functions, which are computed once for the same arguments."""
_QUICK = {
    "os.path.islink": constantly(False),
    "psutil.Process.children": constantly([]),
    "sqlite3.connect": lambda _, **how: _connect(":memory:", **how),
    "time.sleep": constantly(None),
    "trainer.life.cpu_seconds": constantly(0.0),
    "trainer.life.peak_memory_mb": constantly(0.0),
    "trainer.timings.cpu_seconds": constantly(0.0),
    "trainer.timings.peak_memory_mb": constantly(0.0),
}
"""What the machine is asked all the time: here it has no symbolic links, only one process opens the database,
and a training has no children and takes nothing."""
_SMALL = {
    "functions.extract.batches.AHEAD": 2,
    "functions.extract.batches.CHUNK": 2,
    "functions.sweep.batches.AHEAD": 2,
}


@contextmanager
def simulation() -> Iterator[Simulation]:
    """An installation in memory whose pure and slow parts are computed once, and which never sleeps.

    Nothing that a promise depends on is replaced: see `_ONCE` and `_QUICK`. A step of a batch takes two rows,
    so that three rows take several.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None))
        for name, instead in {"tempfile.tempdir": folder, **_ONCE, **_QUICK, **_SMALL}.items():
            stack.enter_context(mock.patch(name, instead))
        logging.disable(logging.CRITICAL)
        made = Simulation(Path(folder))
        try:
            yield made
        finally:
            made.embedded.close()
            logging.disable(logging.NOTSET)
