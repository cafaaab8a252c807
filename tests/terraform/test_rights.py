"""Each identity may do what it does, and hardly anything else."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from contracts.attempt import Heartbeat, Progress
from contracts.cloud import COLLECTIONS, RIGHTS
from contracts.events import BATCH_REQUESTS, SUBSCRIPTIONS
from contracts.job import DeadLetter, Document, JobState
from contracts.names import Attempt
from functions import entry
from functions.errors import Unavailable
from functions.message import Message
from functions.runtime import Runtime
from infra.local.demo_data import demo_csv, demo_settings, generate
from tests.pipeline.conftest import QuickEngine
from tests.pipeline.world import World
from tests.rights import Recorded, beyond, recording, unused


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    with pytest.MonkeyPatch.context() as patch, recording() as found:
        patch.setattr("trainer.life.load", lambda _: QuickEngine)
        world = World(tmp_path_factory.mktemp("rights"), slots=1)
        world.fill_warehouse()
        everything_that_happens(world)
    return found


def everything_that_happens(world: World) -> None:
    """The ways of jobs, of messages and of people that there are, each once."""
    done = world.submit("done")
    world.run()
    assert world.job(done).state is JobState.SUCCEEDED
    world.submit("done")  # sent again
    world.submit("done", priority=3)  # sent again, with another body
    world.submit("bad", columns={"date": "date"})
    world.submit("checked", validate_only=True)
    world.run()
    _uploads(world)
    _batch(world)
    _misfortunes(world)
    _people(world, done)


def _uploads(world: World) -> None:
    objects = world.ports.objects
    objects.create("drop-zone/AT/sales.csv", demo_csv(generate(seed=11, country="AT")))
    world.deliver()
    world.clock.pass_(minutes=20)
    world.sweep()
    objects.create("drop-zone/AT/request.yaml", demo_settings(5, 1).encode())
    world.run()
    for adstock in (b"weibull_cdf", b"weibull_pdf"):  # read in as versions of a mapping
        settings = demo_settings(5, 1).encode() + b"adstock: " + adstock
        objects.replace("drop-zone/AT/request.yaml", settings, if_generation=None)
        world.deliver()
    objects.create("drop-zone/CH/sales.request.yaml", demo_settings(5, 1).encode())
    objects.create("drop-zone/CH/sales.csv", demo_csv(generate(seed=12, country="CH")))
    world.run()


def _batch(world: World) -> None:
    """A table of requests, of which one is cancelled and started again."""
    base = {name: value for name, value in world.request("").items() if name != "request_id"}
    rows = [{"labels": {"row": str(number)}} for number in range(3)]
    world.publish({"name": "markets", "base": base, "rows": rows}, BATCH_REQUESTS)
    world.deliver()
    posted = world.web.post("/api/v1/batches", json={"name": "posted", "base": base, "rows": rows})
    address = f"/api/v1/batches/{posted.json['batch_id']}"
    world.deliver()
    for act in ("pause", "resume", "cancel", "retry"):
        assert world.web.post(f"{address}:{act}").status_code == 200, act
        world.deliver()
    for _ in range(5):
        world.run()
        world.clock.pass_(minutes=1)
        world.sweep()
    assert world.web.get(address).json["state"] == "FINISHED"


def _misfortunes(world: World) -> None:
    """Trainings crash, events are lost, messages make no sense."""
    crashed = world.submit("crashed")
    for _ in range(8):
        world.deliver()
        world.train(exit_code=139)
        world.clock.pass_(minutes=20)
        world.sweep()
    assert world.job(crashed).state is JobState.FAILED
    _refused_by_the_platform(world)
    for name, (topic, _) in SUBSCRIPTIONS.items():
        if name != "bury-dead-letters":
            world.publish(b"nonsense", topic)
    world.deliver()
    for state in (JobState.EXTRACTED, JobState.QUEUED, JobState.TRAINED):
        _lost(world, f"lost-in-{state.value.lower()}", state)


def _refused_by_the_platform(world: World) -> None:
    """No execution can be started at first; launch is delivered again and reads what it has written."""
    job_id = world.submit("later")
    world.until(job_id, JobState.QUEUED)
    with patch.object(
        world.embedded.launcher, "start", side_effect=Unavailable("no execution can be started")
    ):
        world.deliver()
    assert world.job(job_id).state is JobState.QUEUED
    world.clock.pass_(minutes=1)
    world.run()
    assert world.job(job_id).state is JobState.SUCCEEDED


def _lost(world: World, request_id: str, state: JobState) -> None:
    """The message that would move a job on is lost; the sweep sends it again."""
    job_id = world.submit(request_id)
    world.until(job_id, state)
    with world.embedded.bus._database.transaction() as connection:
        connection.execute("DELETE FROM deliveries")
    world.clock.pass_(minutes=20)
    world.sweep()
    world.run()


def _people(world: World, done: str) -> None:
    cancelled = world.submit("cancelled")
    world.until(cancelled, JobState.RUNNING)
    beat = Heartbeat(job_id=cancelled, attempt=1, task=0, execution="run-1", progress=Progress())
    world.ports.objects.create(Attempt(cancelled, 1).heartbeat(0), beat.model_dump_json().encode())
    for path in (
        "/",
        f"/jobs/{cancelled}",
        f"/jobs/{done}",
        "/dead-letters",
        "/countries",
        "/countries/DE",
        f"/jobs/{done}/files/best_model.json",
        *(
            f"/api/v1/jobs/{done}{part}"
            for part in ("", "/attempts/1", "/attempts/1/log", "/attempts/1/files")
        ),
    ):
        assert world.web.get(path).status_code == 200, path
    for settings in ({"adstock": "geometric"}, {"adstock": "weibull_cdf"}):
        answer = world.web.put(
            "/api/v1/mappings/DE/w", json={"settings": settings}, headers={"If-Match": "*"}
        )
        assert answer.status_code in (200, 201)
    world.act(cancelled, "cancel")
    world.deliver()
    world.clock.pass_(minutes=20)
    world.sweep()
    world.run()
    world.act(cancelled, "retry")
    world.run()
    assert world.web.post("/countries/DE/use", data={"job_id": done}).status_code == 303
    world.web.post("/queues/default/pause")
    world.web.post("/queues/default/resume")
    for letter in world.ports.jobs.find(DeadLetter):
        world.web.post(f"/api/v1/dead-letters/{letter.key}:replay")
    world.deliver()
    request = {name: value for name, value in world.request("").items() if name != "request_id"}
    schedule = {"version": 0, "schedule": {"cron": "* * * * *", "request": request}}
    assert world.web.put("/api/v1/schedules/often", json=schedule).status_code == 200
    world.clock.pass_(minutes=1)
    old = {"accepted_before": world.clock.now().isoformat()}
    assert world.web.post("/api/v1/deletions", json=old).status_code == 201
    world.sweep()
    world.run()
    assert "Succeeded" in world.web.get("/schedules/often").text


def test_nobody_does_what_they_may_not(recorded: Recorded) -> None:
    assert beyond(recorded) == {}


def test_nobody_may_do_what_they_never_do_unless_it_says_why(recorded: Recorded) -> None:
    assert unused(recorded) == {}


def test_rare_rights_are_rights_and_have_reasons() -> None:
    for rights in RIGHTS.values():
        assert rights.seldom.keys() <= rights.flat()
        assert all(rights.seldom.values())


def test_every_kind_of_document_is_a_collection_of_the_table() -> None:
    kinds = {kind.kind for kind in Document.__subclasses__() if kind.__module__.startswith("contracts.")}
    assert kinds == set(COLLECTIONS)


def test_a_call_without_a_right_is_noticed(tmp_path: Path) -> None:
    def overreaching(message: Message, runtime: Runtime) -> None:
        runtime.ports.objects.create("robyn/x", b"")

    with recording() as found, pytest.MonkeyPatch.context() as patch:
        patch.setitem(entry.HANDLERS, "validate", lambda: overreaching)
        world = World(tmp_path)
        entry.deliver("validate", Message(b"", {}, "1", "validate-datasets", 1), world.runtime)
    assert beyond(found) == {"validate": {"create:robyn/x"}}
