"""A status page over an embedded installation whose time stands still until a test moves it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from contracts import names
from contracts.attempt import Heartbeat, Manifest, ManifestFile, Progress
from contracts.events import CHECKS, SUBSCRIPTIONS
from contracts.job import FileVersion, Job, JobState, TimelineEntry
from contracts.validation import ValidationReport
from functions.adapters.embedded import Embedded
from functions.entry import deliver
from functions.log import Log
from functions.message import Message
from functions.ports import ObjectInfo, Ports
from functions.runtime import Runtime
from functions.settings import EmbeddedSettings
from functions.web.app import create_app

S = JobState
WAY: dict[JobState, list[JobState]] = {
    S.ACCEPTED: [],
    S.EXTRACTED: [S.EXTRACTED],
    S.QUEUED: [S.EXTRACTED, S.QUEUED],
    S.RUNNING: [S.EXTRACTED, S.QUEUED, S.RUNNING],
    S.TRAINED: [S.EXTRACTED, S.QUEUED, S.RUNNING, S.TRAINED],
    S.SUCCEEDED: [S.EXTRACTED, S.QUEUED, S.RUNNING, S.TRAINED, S.SUCCEEDED],
    S.REJECTED: [S.EXTRACTED, S.REJECTED],
    S.FAILED: [S.EXTRACTED, S.QUEUED, S.RUNNING, S.FAILED],
    S.CANCELLING: [S.EXTRACTED, S.CANCELLING],
    S.CANCELLED: [S.EXTRACTED, S.CANCELLING, S.CANCELLED],
}
"""How a job comes into each state."""


class StandingClock:
    """A clock that a test sets."""

    time = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


@dataclass(frozen=True)
class Site:
    """The page, and the installation under it."""

    runtime: Runtime
    clock: StandingClock
    client: FlaskClient
    family: Embedded

    @property
    def ports(self) -> Ports:
        return self.runtime.ports

    def with_ports(self, **ports: Any) -> FlaskClient:
        """A client of the same page, with other ports."""
        return create_app(replace(self.runtime, ports=replace(self.ports, **ports))).test_client()

    def job(self, state: JobState = S.RUNNING, job_id: str = "weekly-1", **changes: Any) -> Job:
        """Store a job that came into a state the usual way."""
        now = self.clock.now()
        job = Job(
            job_id=job_id,
            request_id=changes.pop("request_id", f"{job_id}-request"),
            request=changes.pop("request", {"request_id": f"{job_id}-request", "country": "DE"}),
            country=changes.pop("country", "DE"),
            revision="q4",
            accepted_at=now,
            updated_at=now,
            deadline=now,
            timeline=[TimelineEntry(at=now, state=S.ACCEPTED, attempt=1)],
        )
        for step in WAY[state]:
            job = job.moved(step, now, now + timedelta(minutes=3))
        stored = self.ports.jobs.create(job.model_copy(update=changes))
        assert stored
        return stored

    def stored(self, job_id: str = "weekly-1") -> Job:
        job = self.ports.jobs.get(Job, job_id)
        assert job
        return job

    def heartbeat(self, job: Job, **progress: Any) -> None:
        beat = Heartbeat(
            job_id=job.job_id, attempt=job.attempt, task=0, execution="run-7", progress=Progress(**progress)
        )
        self._put(names.attempt_of(job).heartbeat(0), beat.model_dump_json())

    def result(self, job: Job, **files: bytes) -> None:
        """Store files of a result and the manifest that lists them; `__` in a name stands for a dot."""
        prefix, contents = names.results(job), {name.replace("__", "."): data for name, data in files.items()}
        for name, data in contents.items():
            self.ports.objects.create(prefix + name, data)
        listed = [ManifestFile(name=name, size=len(data), crc32c="AAAA") for name, data in contents.items()]
        manifest = Manifest(job_id=job.job_id, attempt=job.attempt, files=listed)
        self._put(f"{prefix}manifest.json", manifest.model_dump_json())

    def dataset(self, job: Job) -> ObjectInfo:
        return self._put(names.dataset(job.country, job.job_id), "rows")

    def prepared(self, job: Job, valid: bool = True) -> None:
        self._put(names.prepared(job.country, job.job_id), "rows")
        report = ValidationReport(
            request_id="r", country="DE", fingerprint="f", valid=valid, rows_in=1, rows_out=1
        )
        self._put(names.validation(job.country, job.job_id), report.model_dump_json())

    def upload(self, name: str = "drop-zone/DE/sales.csv") -> FileVersion:
        info = self._put(name, "a;b")
        return FileVersion(name=name, generation=info.generation)

    def _put(self, name: str, text: str) -> ObjectInfo:
        return self.ports.objects.replace(name, text.encode(), None)

    def drain(self) -> None:
        """Forget what was published so far."""
        self._seen.update(delivery.id for delivery in self.family.bus.pending())

    @contextmanager
    def functions(self) -> Iterator[None]:
        """Let extract and sweep answer those who ask through the page, while the block lasts."""
        stop = threading.Event()
        worker = threading.Thread(target=self._answer_checks, args=(stop,))
        worker.start()
        try:
            yield
        finally:
            stop.set()
            worker.join()

    def _answer_checks(self, stop: threading.Event) -> None:
        answered: set[int] = set()
        while not stop.wait(0.02):
            for delivery in self.family.bus.pending():
                function = {CHECKS: "extract", "sweep-requests": "sweep"}.get(delivery.subscription)
                if function and delivery.id not in answered:
                    answered.add(delivery.id)
                    told = dict(delivery.attributes)
                    message = Message(delivery.data, told, delivery.message_id, delivery.subscription, 1)
                    deliver(function, message, self.runtime)

    @property
    def _seen(self) -> set[int]:
        seen: set[int] = self.client.application.extensions.setdefault("seen", set())
        return seen

    def published(self) -> list[tuple[str, Any, dict[str, str]]]:
        """Topic, decoded data and attributes of each message since `drain`, once per message."""
        found = {}
        for delivery in self.family.bus.pending():
            if delivery.id not in self._seen:
                topic = SUBSCRIPTIONS[delivery.subscription][0]
                found[delivery.message_id] = (topic, delivery.data, dict(delivery.attributes))
        return [(topic, _decoded(data), attributes) for topic, data, attributes in found.values()]


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data


def open_site(folder: Path) -> Site:
    """A new installation in a folder."""
    clock = StandingClock()
    family = Embedded(folder, clock)
    settings = EmbeddedSettings(
        family="embedded",
        folder=folder,
        engines=["native"],
        queues={"default": 2, "bulk": 4},
    )
    runtime = Runtime(family.ports(), settings, Log(settings.log_format))
    return Site(runtime, clock, create_app(runtime).test_client(), family)
