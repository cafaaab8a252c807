"""Versions meet: documents of a newer one, and folders that released ones left."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from contracts import names
from contracts.job import Document
from contracts.job import JobState as S
from functions import runtime
from functions.attempts import attempt_of
from tests.adapters.families import FAMILIES, skipped_if_missing
from tests.pipeline.release_folder import LEFT_OUT
from tests.pipeline.world import World

RELEASED = sorted((Path(__file__).parent / "released").glob("*.tar.xz"))
"""Folders that released versions left, one for each: jobs in every state; from the second on also results of
the engine `robyn`, batches, a mapping and schedules."""


def change(world: World, job_id: str, **changes: Any) -> None:
    job = world.job(job_id)
    world.ports.jobs.replace(job.model_copy(update=changes), job.version)


# documents of a newer version


def test_a_config_holds_what_was_said_and_the_defaults_on_which_numbers_depend(world: World) -> None:
    job_id = world.submit("r1", search={"iterations": 5, "trials": 1})
    world.until(job_id, S.RUNNING)
    model = json.loads(world.ports.objects.read(attempt_of(world.job(job_id)).config))["model"]
    assert model["search"]["iterations"] == 5
    assert model["search"]["solver"] == "robyn", "nobody said it, but it changes numbers"
    assert "stop" not in model["search"], "a trainer of before it was invented trains the same"
    assert "calibration" not in model


def test_a_default_that_changes_after_acceptance_changes_no_job(world: World) -> None:
    job_id = world.submit("r1", search={"iterations": 5, "trials": 1})
    world.until(job_id, S.QUEUED)
    defaults = world.job(job_id).defaults
    change(world, job_id, defaults={**defaults, "search": {**defaults["search"], "seed": 7}})
    world.until(job_id, S.RUNNING)
    model = json.loads(world.ports.objects.read(attempt_of(world.job(job_id)).config))["model"]
    assert model["search"]["seed"] == 7


def test_a_request_that_only_a_newer_version_knows_waits_for_it(world: World) -> None:
    job_id = world.submit("r1")
    for delivery in world.embedded.bus.pending():
        world.embedded.bus.deliver(delivery.id)
    request = world.job(job_id).request
    change(world, job_id, request={**request, "invented_later": True})
    for _ in range(3):
        world.deliver()
        world.clock.pass_(minutes=5)
    assert world.job(job_id).state is S.EXTRACTED
    assert "invented_later" in world.embedded.bus.pending()[0].last_error
    change(world, job_id, request=request)
    world.clock.pass_(minutes=20)
    world.run()
    assert world.job(job_id).state is S.SUCCEEDED


def test_a_config_that_only_a_newer_version_knows_is_waited_for_by_summarize(world: World) -> None:
    job_id = world.submit("r1")
    world.until(job_id, S.TRAINED)
    name = names.attempt_of(world.job(job_id)).config
    config = world.ports.objects.read(name)
    newer = json.loads(config)
    newer["model"]["invented_later"] = newer["invented_too"] = 1
    world.ports.objects.replace(name, json.dumps(newer).encode(), None)
    world.deliver()
    assert world.job(job_id).state is S.TRAINED
    assert "newer version, which knows model.invented_later" in world.job(job_id).waits_for
    world.ports.objects.replace(name, config, None)
    world.clock.pass_(minutes=20)
    world.run()
    assert world.job(job_id).state is S.SUCCEEDED


def test_a_trainer_that_is_too_old_for_a_config_leaves_the_next_attempt_to_a_newer_one(world: World) -> None:
    job_id = world.submit("r1")
    world.until(job_id, S.RUNNING)
    name = names.attempt_of(world.job(job_id)).config
    newer = json.loads(world.ports.objects.read(name))
    newer["model"]["invented_later"] = 1
    world.ports.objects.replace(name, json.dumps(newer).encode(), None)
    world.run()
    assert world.states(job_id)[-5:] == ["RUNNING", "QUEUED", "RUNNING", "TRAINED", "SUCCEEDED"]


# documents of an older version


class OldJob(Document):
    """A job as a version wrote it that knew neither lanes nor mappings."""

    kind: ClassVar[str] = "jobs"
    job_id: str
    request_id: str
    state: S
    country: str
    revision: str
    queue: str
    priority: int
    deadline: datetime
    accepted_at: datetime

    @property
    def key(self) -> str:
        return self.job_id


@pytest.mark.parametrize("family", FAMILIES)
def test_a_job_that_waited_when_lanes_were_not_known_is_started(family: str, world: World) -> None:
    with skipped_if_missing(), FAMILIES[family](world.embedded.folder / "family") as made:
        world.ports = replace(world.ports, jobs=made.ports.jobs)
        world.runtime = replace(world.runtime, ports=world.ports)
        runtime.use(world.runtime)
        job_id = world.submit("r1")
        world.until(job_id, S.QUEUED)
        job = world.job(job_id)
        old = OldJob.model_validate(job.model_dump(mode="json", exclude={"lane", "mapping"}))
        world.ports.jobs.replace(old, job.version)
        assert '"lane"' not in world.ports.jobs.get(OldJob, job_id).model_dump_json()
        world.run()
        world.clock.pass_(minutes=16)
        world.sweep()
        world.run()
        assert world.job(job_id).state is S.SUCCEEDED


# folders of released versions


@pytest.fixture(params=RELEASED, ids=[path.name.removesuffix(".tar.xz") for path in RELEASED])
def released(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    world = World(tmp_path)
    world.clock.pass_(hours=2)
    return world


STATES = {
    "succeeded": S.SUCCEEDED,
    "validated": S.SUCCEEDED,
    "rejected": S.REJECTED,
    "invalid": S.REJECTED,
    "failed": S.FAILED,
    "cancelled": S.CANCELLED,
    "trained": S.TRAINED,
    "running": S.RUNNING,
    "queued": S.QUEUED,
    "extracted": S.EXTRACTED,
    "cancelling": S.CANCELLING,
    "accepted": S.ACCEPTED,
}


def by_request(world: World) -> dict[str, str]:
    return {
        job["request_id"]: job["job_id"] for job in world.web.get("/api/v1/jobs?page_size=100").json["jobs"]
    }


def shown(world: World, path: str) -> Any:
    """A page, or what the API answers."""
    answer = world.web.get(path)
    assert answer.status_code == 200, (path, answer.text[:500])
    return answer.json if path.startswith("/api/") else answer.text


def test_every_page_of_a_released_folder_is_shown(released: World) -> None:
    jobs = by_request(released)
    assert {name: released.job(job_id).state for name, job_id in jobs.items() if name in STATES} == STATES
    lists = ("batches", "mappings", "schedules", "queues", "countries", "dead-letters")
    for name in (*lists, "jobs", "uploads", "jobs.csv"):
        shown(released, f"/api/v1/{name}")
    for name in ("", *lists, "countries/DE"):
        shown(released, f"/{name}")
    for job_id in jobs.values():
        for path in ("", "/request"):
            shown(released, f"/api/v1/jobs/{job_id}{path}")
        shown(released, f"/jobs/{job_id}")
    for batch in shown(released, "/api/v1/batches")["batches"]:
        assert batch["name"] in shown(released, f"/batches/{batch['batch_id']}")
    for mapping in shown(released, "/api/v1/mappings")["mappings"]:
        assert mapping["name"] in shown(released, f"/mappings/{mapping['country']}/{mapping['name']}")
    for schedule in shown(released, "/api/v1/schedules")["schedules"]:
        assert schedule["next"] in shown(released, f"/api/v1/schedules/{schedule['name']}")["next"]
        shown(released, f"/schedules/{schedule['name']}")


def trained(world: World) -> dict[str, str]:
    """The jobs with results."""
    ended = [world.job(job_id) for job_id in by_request(world).values()]
    return {
        job.request_id: job.job_id
        for job in ended
        if job.state is S.SUCCEEDED and not job.request.get("validate_only")
    }


def test_every_result_of_a_released_folder_is_shown(released: World) -> None:
    results = trained(released)
    assert "succeeded" in results
    for job_id in results.values():
        files = shown(released, f"/api/v1/jobs/{job_id}/attempts/1/files")["files"]
        assert "model_summary.json" in {file["name"] for file in files}
        kept = [file for file in files if not file["name"].endswith(LEFT_OUT)]
        assert len(kept) > 5
        for file in kept:
            assert released.web.get(file["url"]).status_code == 200, file["name"]
        plans = any(file["name"] == "curves.json" for file in files)
        for path in ("attempts/1", "data", *["plan"] * plans):
            assert job_id in shown(released, f"/jobs/{job_id}/{path}")
        for model in shown(released, f"/api/v1/jobs/{job_id}/models")["models"]:
            if model["winner"]:
                shown(released, f"/api/v1/jobs/{job_id}/models/{model['sol_id']}/figures")
    together = [*results.values()][:4]
    if len(together) > 1:
        named = "&".join(f"job={job_id}" for job_id in together)
        compared = shown(released, f"/api/v1/compare?{named}")["jobs"]
        assert [one["job_id"] for one in compared] == together
        page = shown(released, f"/compare?jobs={','.join(together)}")
        assert all(job_id in page for job_id in together)


def test_every_job_of_a_released_folder_goes_on_to_its_end(
    released: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.pipeline.conftest import QuickEngine

    monkeypatch.setattr("trainer.life.load", lambda _: QuickEngine)
    jobs = by_request(released)
    for name in ("failed", "cancelled"):
        assert released.act(jobs[name], "retry") == 200
    for batch in shown(released, "/api/v1/batches")["batches"]:
        if batch["state"] not in ("SUCCEEDED", "ENDED"):
            assert released.web.post(f"/api/v1/batches/{batch['batch_id']}:resume").status_code == 200
    for _ in range(6):
        released.run()
        released.clock.pass_(minutes=16)
        released.sweep()
    ended = {name: released.job(job_id).state for name, job_id in by_request(released).items()}
    rejected = {"rejected": S.REJECTED, "invalid": S.REJECTED, "cancelling": S.CANCELLED}
    assert ended == {name: rejected.get(name, S.SUCCEEDED) for name in ended}
    summary = json.loads(released.ports.objects.read(names.summary("DE")))
    assert {run["job_id"] for run in summary["latest"]} == set(trained(released).values())


@pytest.mark.parametrize("how", ["refresh_of", "start_from"])
def test_a_result_of_a_released_folder_is_continued(released: World, how: str) -> None:
    former = by_request(released)["succeeded"]
    search = {"iterations": 5, "trials": 1}
    if how == "start_from":
        changes: dict[str, Any] = {"search": {**search, "start_from": former}}
    else:
        released.fill_warehouse(name="newer_sales")
        source = {**released.request("any")["source"], "table": "newer_sales"}
        changes = {"search": search, "refresh_of": {"job": former}, "source": source}
    released.settings = released.settings.model_copy(update={"queues": {"default": 9}})
    job_id = released.submit("continued", priority=9, **changes)
    released.until(job_id, S.RUNNING)
    [task] = [task for task in released.tasks() if task["job_id"] == job_id]
    released.life(task["execution"], job_id, 1).live()
    released.embedded.launcher.finish_task(task["execution"], 0, 0)
    released.deliver()
    assert released.job(job_id).state is S.SUCCEEDED, released.job(job_id).error
