"""Attempts that fail, crash, vanish or are started twice; cancel and retry in every state."""

from __future__ import annotations

import errno
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from contracts import names
from contracts.attempt import Outcome
from contracts.events import SWEEP_REQUESTS, TRAINING_READY
from contracts.job import DeadLetter, Job, JobState, Queue
from functions.adapters.embedded.warehouse import DuckDbWarehouse
from functions.attempts import claim
from functions.errors import Unavailable
from tests.pipeline.conftest import QuickEngine
from tests.pipeline.world import Crash, World
from trainer.engines.base import EngineError

S = JobState


def break_engine(monkeypatch: pytest.MonkeyPatch, error: Exception, times: int) -> None:
    left = [times]

    class Broken(QuickEngine):
        def search(self, *args: Any) -> None:
            if left[0] > 0:
                left[0] -= 1
                raise error
            super().search(*args)

    monkeypatch.setattr("trainer.life.load", lambda _: Broken)


def patience(world: World, rounds: int = 12, minutes: float = 4) -> None:
    """Time passes, sweep comes by, whatever is due happens."""
    for _ in range(rounds):
        world.clock.pass_(minutes=minutes)
        world.sweep()
        world.run()


def slots(world: World) -> list[Any]:
    queue = world.ports.jobs.get(Queue, "default")
    return queue.slots if queue else []


def test_an_untrainable_input_fails_at_once_with_the_reason(world: World, monkeypatch: pytest.MonkeyPatch):
    break_engine(monkeypatch, EngineError("all media are zero"), times=9)
    job_id = world.submit("r1")
    world.run()
    job = world.job(job_id)
    assert (job.state, job.attempt, job.error.title) == (S.FAILED, 1, "all media are zero")
    assert [e["state"] for e in world.finished(job_id)] == ["FAILED"]
    assert slots(world) == []


def test_documents_that_break_their_contract_are_not_uploaded(world: World, monkeypatch: pytest.MonkeyPatch):
    class Careless(QuickEngine):
        def finish(self, shares: Sequence[Path], folder: Path) -> None:
            super().finish(shares, folder)
            best = json.loads((folder / "best_model.json").read_text())
            del best["window"]["rows"]
            (folder / "best_model.json").write_text(json.dumps({**best, "nrmse": "small"}))

    monkeypatch.setattr("trainer.life.load", lambda _: Careless)
    job_id = world.submit("r1")
    world.run()
    job = world.job(job_id)
    assert (job.state, job.attempt) == (S.FAILED, 1)
    assert job.error is not None
    places = [error.split(": ")[1:3] for error in job.error.errors]
    assert places == [["best_model.json", "nrmse"], ["best_model.json", "window.rows"]]
    assert not [info for info in world.ports.objects.list(names.results(job)) if "best_model" in info.name]


def test_a_failing_engine_gets_three_attempts(world: World, monkeypatch: pytest.MonkeyPatch):
    break_engine(monkeypatch, RuntimeError("boom"), times=9)
    job_id = world.submit("r1")
    patience(world, 2)
    job = world.job(job_id)
    assert (job.state, job.attempt) == (S.FAILED, 3)
    assert "boom" in job.error.title
    assert "Traceback" in job.error.detail
    assert [e["state"] for e in world.finished(job_id)] == ["FAILED"]


def test_the_second_attempt_may_succeed(world: World, monkeypatch: pytest.MonkeyPatch):
    break_engine(monkeypatch, RuntimeError("boom"), times=1)
    job_id = world.submit("r1")
    patience(world, 2)
    job = world.job(job_id)
    assert (job.state, job.attempt) == (S.SUCCEEDED, 2)
    assert [e["state"] for e in world.finished(job_id)] == ["SUCCEEDED"]
    assert "/attempt-2/" in world.finished(job_id)[0]["paths"]["results"]
    assert slots(world) == []


def test_a_training_that_dies_without_a_word_is_found_and_tried_again(world: World):
    job_id = world.submit("r1")
    world.deliver()
    assert world.train(exit_code=139) == 1
    assert world.train(exit_code=139) == 1  # the platform's own retry of the task
    patience(world, 2)
    job = world.job(job_id)
    assert (job.state, job.attempt) == (S.SUCCEEDED, 2)
    first = Outcome.model_validate_json(world.ports.objects.read(names.Attempt(job_id, 1).outcome))
    assert (first.status, first.ended_by) == ("crashed", "sweep")


def test_a_training_that_is_killed_for_its_memory_says_so_and_is_not_begun_anew(world: World):
    job_id = world.submit("r1")
    world.deliver()
    assert world.train(exit_code=137) == 1  # what a shell says of signal 9
    assert world.train(exit_code=137) == 1
    patience(world, 2)
    job = world.job(job_id)
    assert (job.state, job.attempt, len(world.executions())) == (S.FAILED, 1, 0)
    assert job.error is not None
    assert job.error.type == "out-of-memory"
    assert "needs more memory than it may have; choose a larger size" in job.error.title


@pytest.mark.parametrize("cause", [MemoryError("800 MiB"), OSError(errno.ENOMEM, "Cannot allocate memory")])
def test_an_engine_without_memory_says_so_and_is_not_begun_anew(
    world: World, monkeypatch: pytest.MonkeyPatch, cause: Exception
):
    error = RuntimeError("the sampler failed")
    error.__cause__ = cause
    break_engine(monkeypatch, error, times=9)
    job_id = world.submit("r1")
    patience(world, 3)
    job = world.job(job_id)
    assert (job.state, job.attempt, job.error and job.error.type) == (S.FAILED, 1, "out-of-memory")
    assert "the sampler failed" in world.ports.objects.read(f"{names.results(job)}console.log").decode()


def test_a_task_retry_goes_on_with_its_own_claim(world: World):
    job_id = world.submit("r1")
    world.deliver()
    [(execution, _, _)] = world.executions()
    claim(world.ports, names.Attempt(job_id, 1), execution)
    world.embedded.launcher.finish_task(execution, 0, 1)
    world.run()
    assert (world.job(job_id).state, world.job(job_id).attempt) == (S.SUCCEEDED, 1)


def test_of_two_executions_of_an_attempt_only_one_trains(world: World, monkeypatch: pytest.MonkeyPatch):
    trained = []
    monkeypatch.setattr("trainer.life.load", lambda _: lambda *args: trained.append(1) or QuickEngine(*args))
    job_id = world.submit("r1")
    world.deliver()
    world.ports.launcher.start(job_id, 1, "auto", 1)
    assert world.train() == 2
    world.run()
    assert len(trained) == 1
    assert world.job(job_id).state is S.SUCCEEDED


def test_a_launch_that_answers_an_error_but_started_starts_no_second(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    from functions.errors import Unavailable

    real = world.ports.launcher.start

    def start(*args: Any) -> str:
        real(*args)
        monkeypatch.setattr(world.ports.launcher, "start", real)
        raise Unavailable("deadline exceeded")

    monkeypatch.setattr(world.ports.launcher, "start", start)
    job_id = world.submit("r1")
    world.deliver()
    assert world.job(job_id).state is S.QUEUED
    world.clock.pass_(seconds=2)
    world.run()
    assert world.job(job_id).state is S.SUCCEEDED
    assert len(world.ports.launcher.find(job_id, 1)) == 1


def test_a_launch_that_died_is_taken_over_by_one_other(world: World, monkeypatch: pytest.MonkeyPatch):
    real = world.ports.launcher.start
    job_id = world.submit("r1")
    world.until(job_id, S.QUEUED)
    with world.crash_at(monkeypatch, world.ports.objects, "create"), suppress(Crash):
        world.deliver()
    assert len(slots(world)) == 1, "it died after it had taken a slot"

    def start(*args: Any) -> str:
        monkeypatch.setattr(world.ports.launcher, "start", real)
        world.deliver()  # another launch, while this one starts
        return real(*args)

    monkeypatch.setattr(world.ports.launcher, "start", start)
    world.clock.pass_(minutes=1)
    for _ in range(2):
        world.publish({"job_id": job_id, "attempt": 1}, TRAINING_READY)
    world.deliver()
    assert len(world.ports.launcher.find(job_id, 1)) == 1
    world.run()
    assert world.job(job_id).state is S.SUCCEEDED


def test_a_hanging_training_is_ended_and_its_late_success_is_ignored(world: World):
    job_id = world.submit("r1")
    world.deliver()
    [(execution, _, _)] = world.executions()
    life = world.life(execution, job_id, 1)
    claim(world.ports, names.Attempt(job_id, 1), execution)
    life._pulse().beat()
    world.clock.pass_(minutes=2)
    world.sweep()
    assert world.job(job_id).state is S.RUNNING
    world.clock.pass_(minutes=4)
    world.sweep()
    life._train_and_end(world.embedded.folder)  # it was only slow: everything it does comes too late
    outcome = Outcome.model_validate_json(world.ports.objects.read(names.Attempt(job_id, 1).outcome))
    assert outcome.status == "timed-out"
    assert world.job(job_id).attempt == 1  # not before the execution has ended
    world.embedded.launcher.finish_task(execution, 0, 0)
    patience(world, 2, minutes=1)
    job = world.job(job_id)
    assert (job.state, job.attempt) == (S.SUCCEEDED, 2)
    assert [e["attempt"] for e in world.finished(job_id)] == [2]


def test_progress_reaches_the_job_document(world: World):
    job_id = world.submit("r1")
    world.deliver()
    [(execution, _, _)] = world.executions()
    world.life(execution, job_id, 1)._pulse().beat()
    world.sweep()
    assert world.job(job_id).progress.step == "load"


def test_a_pending_execution_is_alive_however_long_it_waits(world: World):
    job_id = world.submit("r1")
    world.deliver()
    for _ in range(20):
        world.clock.pass_(minutes=4)
        world.sweep()
    assert (world.job(job_id).state, world.job(job_id).attempt) == (S.RUNNING, 1)
    world.run()
    assert world.job(job_id).state is S.SUCCEEDED


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_success_without_whole_files_is_no_success(world: World, damage: str):
    job_id = world.submit("r1")
    world.deliver()
    [(execution, _, attempt)] = world.executions()
    world.life(execution, job_id, attempt).live()
    name = f"{names.results(world.job(job_id))}best_model.json"
    path = world.embedded.folder / "bucket" / name
    path.unlink() if damage == "missing" else path.write_text("{}")
    world.embedded.launcher.finish_task(execution, 0, 0)
    world.run()
    job = world.job(job_id)
    assert (job.state, job.attempt) == (S.SUCCEEDED, 2)
    assert "The result is not whole" in [entry.note for entry in job.timeline]


def test_a_lost_message_is_sent_again_and_at_last_the_job_fails(world: World):
    job_id = world.submit("r1")
    world.until(job_id, S.EXTRACTED)

    def lose() -> None:
        for delivery in world.embedded.bus.pending():
            if delivery.subscription == "validate-datasets":
                world.embedded.bus._acknowledged(delivery)

    lose()
    for _ in range(3):
        world.clock.pass_(minutes=16)
        world.publish({}, "sweep-requests")
        world.embedded.bus.deliver_one()
        assert world.job(job_id).state is S.EXTRACTED
        lose()
    world.clock.pass_(minutes=16)
    world.sweep()
    job = world.job(job_id)
    assert (job.state, job.error.type) == (S.FAILED, "no-progress")
    first, *repeats = world.finished(job_id)
    assert first["state"] == "FAILED"
    assert all(repeat == first for repeat in repeats)
    assert world.act(job_id, "retry") == 200
    world.run()
    assert world.job(job_id).state is S.SUCCEEDED


def _sweeps(world: World, hours: float) -> None:
    for _ in range(int(hours * 4)):
        world.clock.pass_(minutes=15)
        world.publish({}, "sweep-requests")
        world.deliver()


def test_a_dependency_that_answers_later_for_hours_fails_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later(*_: object) -> None:
        raise Unavailable("the warehouse is being moved")

    with monkeypatch.context() as outage:
        outage.setattr(DuckDbWarehouse, "query", later)
        job_ids = [world.submit(f"r{number}") for number in range(3)]
        world.deliver()
        _sweeps(world, hours=4.5)
        for job_id in job_ids:
            assert world.job(job_id).state is S.ACCEPTED
            assert world.job(job_id).waits_for == "the warehouse is being moved"
        assert len(world.embedded.bus.pending()) == 3, "one message for each job"
    _sweeps(world, hours=0.5)
    world.run()
    assert [world.job(job_id).state for job_id in job_ids] == [S.SUCCEEDED] * 3
    assert world.job(job_ids[0]).waits_for == ""


def test_a_dependency_that_never_answers_fails_a_job_at_last_and_the_reason_says_what_it_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later(*_: object) -> None:
        raise Unavailable("the warehouse is being moved")

    monkeypatch.setattr(DuckDbWarehouse, "query", later)
    job_id = world.submit("r1")
    world.deliver()
    _sweeps(world, hours=24)
    job = world.job(job_id)
    assert (job.state, job.error.type) == (S.FAILED, "no-progress")
    assert "the warehouse is being moved" in job.error.detail
    assert len(world.ports.jobs.find(DeadLetter)) == 4


def test_a_job_behind_a_long_backlog_waits_and_gets_no_second_message(world: World) -> None:
    job_ids = [world.submit(f"r{number}") for number in range(3)]
    for delivery in world.embedded.bus.pending():
        assert world.embedded.bus.deliver(delivery.id)
    backlog = world.embedded.bus.pending()
    for _ in range(8):
        world.clock.pass_(minutes=16)
        world.publish({}, "sweep-requests")
        assert world.embedded.bus.deliver(world.embedded.bus.pending()[-1].id)
    assert [delivery.id for delivery in world.embedded.bus.pending()] == [one.id for one in backlog]
    assert [world.job(job_id).state for job_id in job_ids] == [S.EXTRACTED] * 3
    world.run()
    assert [world.job(job_id).state for job_id in job_ids] == [S.SUCCEEDED] * 3


def test_upstream_learns_of_a_job_that_a_sweep_ended_before_it_died(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    job_id = world.submit("r1")
    world.until(job_id, S.EXTRACTED)
    for delivery in world.embedded.bus.pending():
        world.embedded.bus._acknowledged(delivery)
    job = world.job(job_id)
    world.ports.jobs.replace(job.model_copy(update={"wakeups": 3}), job.version)
    world.clock.pass_(minutes=16)
    world.publish({}, "sweep-requests")
    with world.crash_at(monkeypatch, world.ports.jobs, "replace"), pytest.raises(Crash):
        world.deliver()
    assert (world.job(job_id).state, world.finished(job_id)) == (S.FAILED, [])
    world.clock.pass_(minutes=11)
    world.deliver()
    assert {event["state"] for event in world.finished(job_id)} == {"FAILED"}


@pytest.mark.parametrize("state", [S.ACCEPTED, S.EXTRACTED, S.QUEUED, S.RUNNING, S.TRAINED])
def test_cancel_works_in_every_state_and_a_cancelled_job_can_be_retried(world: World, state: JobState):
    if state is S.QUEUED:
        world.web.post("/api/v1/queues/default:pause")
    job_id = world.submit("r1")
    if state is S.ACCEPTED:
        cancel_between_accept_and_extract(world, job_id)
    else:
        world.until(job_id, state)
        assert world.act(job_id, "cancel") == 200
    world.deliver()
    if state is S.RUNNING:
        assert world.job(job_id).state is S.CANCELLING or world.executions() == []
    world.web.post("/api/v1/queues/default:resume")
    for _ in range(3):
        world.embedded.launcher.step()
        for name, _, _ in world.executions():
            world.embedded.launcher.finish_task(name, 0, 143)
        world.clock.pass_(minutes=1)
        world.sweep()
    assert world.job(job_id).state is S.CANCELLED
    assert {e["state"] for e in world.finished(job_id)} == {"CANCELLED"}
    assert slots(world) == []
    assert world.act(job_id, "cancel") == 409
    assert world.act(job_id, "retry") == 200
    world.run()
    job = world.job(job_id)
    assert (job.state, job.attempt) == (S.SUCCEEDED, 2)
    assert world.ports.jobs.find(DeadLetter) == []


def cancel_between_accept_and_extract(world: World, job_id: str) -> None:
    """The warehouse is being read while somebody cancels."""
    real = world.ports.objects.writer

    def writer(*args: Any, **kwargs: Any) -> Any:
        assert world.act(job_id, "cancel") == 200
        world.ports.objects.writer = real
        return real(*args, **kwargs)

    world.ports.objects.writer = writer


@pytest.mark.parametrize("state", [S.ACCEPTED, S.QUEUED, S.RUNNING, S.SUCCEEDED, S.REJECTED])
def test_only_failed_and_cancelled_jobs_can_be_retried(world: World, state: JobState):
    if state is S.QUEUED:
        world.web.post("/api/v1/queues/default:pause")
    changes = {"colour": "red"} if state is S.REJECTED else {}
    job_id = world.submit("r1", **changes)
    if state is S.ACCEPTED:
        with pytest.raises(AssertionError):
            world.job(job_id)
        return
    world.until(job_id, state)
    assert world.act(job_id, "retry") == 409


def test_a_late_event_of_an_earlier_attempt_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch):
    break_engine(monkeypatch, RuntimeError("boom"), times=1)
    job_id = world.submit("r1")
    patience(world, 2)
    before = world.job(job_id)
    from functions.notifications import notification

    info = world.ports.objects.stat(names.Attempt(job_id, 1).outcome)
    topic, data, attributes = notification(info)
    world.ports.bus.publish(topic, data, attributes)
    world.run()
    assert world.job(job_id) == before


def test_a_leaked_slot_is_freed(world: World):
    first, second, third = (world.submit(f"r{i}") for i in range(3))
    world.deliver()
    queue = world.ports.jobs.get(Queue, "default")
    leaked = [slot.model_copy(update={"job_id": "nobody"}) for slot in queue.slots]
    world.run()
    queue = world.ports.jobs.get(Queue, "default")
    world.ports.jobs.replace(queue.model_copy(update={"slots": leaked}), queue.version)
    fourth = world.submit("r4")
    world.run()
    assert world.job(fourth).state is S.QUEUED
    world.sweep()
    world.run()
    assert {world.job(job).state for job in (first, second, third, fourth)} == {S.SUCCEEDED}


def test_jobs_wait_for_a_slot_without_being_failed(world: World):
    world.web.post("/api/v1/queues/default:pause")
    job_id = world.submit("r1")
    patience(world, 10, minutes=20)
    assert world.job(job_id).state is S.QUEUED
    world.web.post("/api/v1/queues/default:resume")
    world.run()
    assert world.job(job_id).state is S.SUCCEEDED
    assert len(world.ports.jobs.find(Job)) == 1


def test_the_platform_is_asked_for_a_list_only_where_no_execution_is_known(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    find, asked = world.ports.launcher.find, []

    def noted(job_id: str, attempt: int) -> Any:
        asked.append(job_id)
        return find(job_id, attempt)

    monkeypatch.setattr(world.ports.launcher, "find", noted)
    done, running = world.submit("r1"), world.submit("r2")
    world.until(running, S.RUNNING)
    world.publish({"job_id": running}, SWEEP_REQUESTS)
    world.deliver()
    assert world.act(running, "cancel") == 200
    world.run()
    assert (world.job(done).state, world.job(running).state) == (S.SUCCEEDED, S.CANCELLED)
    assert asked == []
    waiting = world.submit("r3")
    world.until(waiting, S.QUEUED)
    assert world.act(waiting, "cancel") == 200
    world.run()
    assert set(asked) == {waiting}, "a launch may be about to start it"
