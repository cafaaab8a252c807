"""One job's trouble is that job's: whatever a deploy, a role or a store did to it, the others go on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from contracts import names
from contracts.attempt import Manifest, ManifestFile
from contracts.job import DeadLetter, JobState
from functions import runtime
from functions.errors import Permanent, Unavailable
from tests.pipeline.test_attempts import patience
from tests.pipeline.world import World
from trainer.heartbeat import Pulse

S = JobState


def outdate(world: World, job_id: str) -> None:
    """The job was accepted by an older version, with a field that is not known any more."""
    job = world.job(job_id)
    changed = job.model_copy(update={"request": {**job.request, "annotations": "notes"}})
    assert world.ports.jobs.replace(changed, job.version)


def test_a_job_that_the_platform_refuses_to_tell_of_keeps_no_other_from_being_swept(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    bad, good = world.submit("bad"), world.submit("good")
    world.until(bad, S.RUNNING)
    world.until(good, S.RUNNING)
    for _ in range(2):  # both die without a word, and so does the platform's own retry
        world.train(exit_code=139)
    get, refused = world.ports.launcher.get, world.job(bad).execution

    def refusing(execution: str) -> Any:
        if execution == refused:
            raise Permanent("roles/run.viewer is missing")
        return get(execution)

    monkeypatch.setattr(world.ports.launcher, "get", refusing)
    patience(world, 3)
    assert (world.job(good).state, world.job(good).attempt) == (S.SUCCEEDED, 2)
    assert world.job(bad).state is S.RUNNING
    assert world.ports.jobs.find(DeadLetter) == []


@pytest.mark.parametrize("state", [S.EXTRACTED, S.QUEUED])
def test_a_request_that_a_new_version_does_not_take_is_rejected_and_blocks_nobody(world: World, state: S):
    bad = world.submit("bad", priority=5)
    world.until(bad, state)
    outdate(world, bad)
    good = world.submit("good")
    world.run()
    assert world.job(good).state is S.SUCCEEDED
    job = world.job(bad)
    assert (job.state, len(world.finished(bad))) == (S.REJECTED, 1)
    assert job.error is not None
    assert "annotations" in job.error.errors[0]


def test_what_was_trained_by_an_older_version_is_summarized_all_the_same(world: World):
    job_id = world.submit("r1", labels={"team": "north"})
    world.until(job_id, S.TRAINED)
    outdate(world, job_id)
    world.run()
    assert world.job(job_id).state is S.SUCCEEDED
    summary = json.loads(world.ports.objects.read(names.model_summary(world.job(job_id))))
    assert summary["labels"] == {"team": "north"}


def test_a_job_whose_queue_was_removed_is_rejected_with_the_reason(world: World):
    world.web.post("/api/v1/queues/default:pause")
    job_id = world.submit("r1")
    world.deliver()
    settings = world.settings.model_copy(update={"queues": {"other": 1}})
    runtime.use(replace(world.runtime, settings=settings))
    patience(world)
    job = world.job(job_id)
    assert {event["state"] for event in world.finished(job_id)} == {job.state} == {S.REJECTED}
    assert job.error is not None
    assert "default" in job.error.detail


def test_a_training_whose_heartbeat_cannot_be_written_goes_on(world: World, monkeypatch: pytest.MonkeyPatch):
    job_id = world.submit("r1")
    world.until(job_id, S.RUNNING)
    write, failed = world.ports.objects.replace, []

    def refusing(name: str, *args: Any, **kwargs: Any) -> Any:
        if "heartbeat" in name:
            failed.append(name)
            raise [Permanent("not allowed just now"), Unavailable("no answer")][len(failed) % 2]
        return write(name, *args, **kwargs)

    monkeypatch.setattr(world.ports.objects, "replace", refusing)
    world.run()
    assert len(failed) >= 2
    assert (world.job(job_id).state, world.job(job_id).attempt) == (S.SUCCEEDED, 1)


def test_the_heartbeat_still_hears_of_the_end_after_an_error(world: World, monkeypatch: pytest.MonkeyPatch):
    job_id = world.submit("r1")
    world.until(job_id, S.RUNNING)
    [(execution, _, _)] = world.executions()
    pulse, left = world.life(execution, job_id, 1).pulse, []
    monkeypatch.setattr(Pulse, "_leave", lambda _: left.append(1))
    with monkeypatch.context() as patch:
        patch.setattr(world.ports.objects, "stat", lambda _: (_ for _ in ()).throw(Permanent("not allowed")))
        pulse.look()
    world.ports.objects.create(names.Attempt(job_id, 1).outcome, b"{}")
    pulse.look()
    assert left == [1]


def test_a_config_of_newer_functions_ends_the_attempt_with_the_reason_and_another_goes_on(world: World):
    job_id = world.submit("r1")
    world.until(job_id, S.RUNNING)
    path = world.embedded.folder / "bucket" / names.Attempt(job_id, 1).config
    config = json.loads(path.read_text())
    config["model"]["a_field_of_tomorrow"] = 1
    path.write_text(json.dumps(config))
    world.run()
    job = world.job(job_id)
    assert (job.state, job.attempt) == (S.SUCCEEDED, 2)
    first = world.embedded.folder / "bucket" / names.Attempt(job_id, 1).outcome
    assert "a_field_of_tomorrow" in first.read_text()


def test_no_file_of_a_former_result_is_written_outside_its_folder(world: World):
    first = world.submit("first")
    world.run()
    name = f"{names.results(world.job(first))}manifest.json"
    path = world.embedded.folder / "bucket" / name
    manifest = Manifest.model_validate_json(path.read_text())
    evil = ManifestFile(name="../../../escaped.json", size=2, crc32c="")
    path.write_text(manifest.model_copy(update={"files": [*manifest.files, evil]}).model_dump_json())
    second = world.submit("second", refresh_of=first)
    world.run()
    assert world.job(second).state is S.SUCCEEDED
