"""Mappings, schedules and batches on the stores of each family, and what they make it read."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from contracts.batch import Batch
from contracts.events import JOB_FINISHED, SUBSCRIPTIONS, SWEEP_REQUESTS
from contracts.job import Job
from contracts.mapping import MappingVersion
from functions.adapters.embedded import Embedded
from functions.entry import deliver
from functions.log import Log
from functions.message import decode
from functions.runtime import Runtime
from functions.settings import EmbeddedSettings
from functions.web.app import create_app
from tests.adapters.families import Family, StepClock

SHARED = {
    "revision": "r1",
    "columns": {"date": "day", "dependent": "sales", "dependent_type": "revenue", "paid_media": ["tv"]},
}
NOWHERE = {"kind": "object", "name": "sources/DE/never-uploaded.csv"}
"""Jobs with this source end as soon as it is read."""
V1 = "/api/v1"


@dataclass
class System:
    """The functions and the page over the stores of a family; messages are delivered when a test says so."""

    family: Family
    runtime: Runtime
    bus: Any
    client: FlaskClient
    finished: list[dict[str, Any]] = field(default_factory=list)
    """Batches whose end was told."""

    def deliver(self) -> None:
        while self.bus.deliver_one():
            pass

    def tick(self) -> None:
        self.bus.publish(SWEEP_REQUESTS, b"{}")
        self.deliver()

    def jobs(self, **equals: Any) -> list[Job]:
        return self.runtime.ports.jobs.find(Job, limit=200, **equals)

    def send(self, name: str, rows: int) -> Batch:
        """A batch with so many rows, all of whose jobs have ended."""
        said = [{"search.seed": row} if row % 3 else {"search.trials": "many"} for row in range(1, rows + 1)]
        base = {"country": "DE", "settings": "weekly", "source": NOWHERE}
        sent = self.client.post(f"{V1}/batches", json={"name": name, "base": base, "rows": said})
        assert sent.status_code == 201, sent.json
        self.deliver()
        for _ in range(4):  # what waits for others to be extracted first is sent again after a minute
            self.runtime.ports.clock.advance(61)  # type: ignore[attr-defined]
            self.tick()
        found = self.runtime.ports.jobs.get(Batch, sent.json["batch_id"])
        assert found
        return found


@pytest.fixture
def system(family: Family, tmp_path: Path, clock: StepClock) -> Iterator[System]:
    queue = Embedded(tmp_path / "bus", clock, push=lambda endpoint, envelope: push(endpoint, envelope))
    ports = replace(family.ports, bus=queue.bus, clock=clock)
    settings = EmbeddedSettings(
        family="embedded", folder=tmp_path, engines=["native"], queues={"default": 1}, log_format="text"
    )
    runtime = Runtime(ports, settings, Log("text"))
    made = System(family, runtime, queue.bus, create_app(runtime).test_client())

    def push(endpoint: str, envelope: dict[str, Any]) -> None:
        if endpoint == "upstream":
            event = json.loads(base64.b64decode(envelope["message"]["data"]))
            made.finished += [event] if event["type"] == "batch-finished" else []
            return
        assert SUBSCRIPTIONS[envelope["subscription"].rsplit("/", 1)[-1]][1] == endpoint
        status, text = deliver(endpoint, decode(envelope), runtime)
        assert status == 204, text

    queue.bus.subscribe("upstream", JOB_FINISHED, "upstream")
    assert made.client.put(f"{V1}/mappings/DE/weekly", json={"settings": SHARED}).status_code == 201
    yield made
    queue.close()


def test_a_mapping_has_versions_and_is_kept_while_it_is_used(system: System) -> None:
    address, changed = f"{V1}/mappings/DE/weekly", SHARED | {"adstock": "weibull_cdf"}
    seen = {"If-Match": '"1"'}
    assert system.client.put(address, json={"settings": changed}, headers=seen).status_code == 200
    assert system.client.put(address, json={"settings": SHARED}, headers=seen).status_code == 412
    assert [one.number for one in system.runtime.ports.jobs.find(MappingVersion, mapping="DE/weekly")] == [1]
    history = system.client.get(f"{address}/history").json["versions"]
    assert [(one["version"], len(one["changes"])) for one in history] == [(2, 1), (1, 0)]
    asked = {
        "request_id": "r1",
        "country": "DE",
        "source": NOWHERE,
        "settings": {"name": "weekly", "version": 1},
    }
    assert system.client.post(f"{V1}/jobs", json=asked).status_code == 201
    assert system.client.post(f"{address}:delete", json={}).status_code == 409
    system.deliver()
    assert [(job.state, job.settings and job.settings.version) for job in system.jobs()] == [("REJECTED", 1)]
    assert system.client.post(f"{address}:delete", json={}).status_code == 200


def test_an_occurrence_comes_once(system: System, clock: StepClock) -> None:
    request = {"country": "DE", "settings": "weekly", "source": NOWHERE, "window": {"end": "last full week"}}
    text = {"cron": "0 13 * * *", "request": request}
    answer = system.client.put(f"{V1}/schedules/daily", json={"version": 0, "schedule": text})
    assert answer.status_code == 200, answer.json
    for _ in range(26):
        clock.advance(3600)
        system.tick()
        system.tick()
    found = [(job.request_id, job.request["window"]["end"]) for job in system.jobs(schedule="daily")]
    assert found == [("daily@20260106T130000Z", "2026-01-04"), ("daily@20260105T130000Z", "2026-01-04")]
    runs = system.client.get(f"{V1}/schedules/daily").json["runs"]
    assert [run["state"] for run in runs] == ["REJECTED", "REJECTED"]


def test_a_batch_becomes_jobs_and_a_tick_reads_no_more_for_those_that_have_ended(system: System) -> None:
    first = system.send("first", 55)
    assert (first.state, first.jobs, first.counts) == ("FINISHED", 55, {"REJECTED": 55})
    assert sorted(job.batch_row or 0 for job in system.jobs(batch_id=first.batch_id)) == list(range(1, 56))
    few = system.family.reads(system.tick)
    for name in ("second", "third"):
        assert system.send(name, 10).state == "FINISHED"
    assert system.family.reads(system.tick) <= 1.2 * few
    listed = partial(system.client.get, f"{V1}/batches")
    assert (system.family.reads(listed) > 0, len(listed().json["batches"])) == (True, 3)
    assert [(event["name"], event["jobs"]) for event in system.finished] == [
        ("first", 55),
        ("second", 10),
        ("third", 10),
    ]
