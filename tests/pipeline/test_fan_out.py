"""Trials spread over tasks: killed anywhere, started twice, late, in any order, there is one whole result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextvars import Context
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from contracts import names
from contracts.attempt import Heartbeat, Merge, Outcome, Progress
from contracts.job import DeadLetter, JobState, Queue
from contracts.model import Search
from functions.attempts import claim, read_heartbeats
from functions.launch.sizes import placement
from tests.pipeline.conftest import QuickEngine
from tests.pipeline.processes import Death, Endless, Untrainable, ended, start
from tests.pipeline.world import Crash, World, task_settings
from trainer.life import Life, trials_of

S = JobState
SIGKILLED = -9

CREATED = {
    "claim.json": ("before", "after"),
    "share-0.json": ("before", "during", "after"),
    "share-1.json": ("before", "during", "after"),
    "merge.json": ("before", "after"),
    "best_model.json": ("before", "during", "after"),
    "onepager.png": ("before", "during", "after"),
    "console.log": ("before", "after"),
    "timings.json": ("before", "after"),
    "/manifest.json": ("before", "after"),
    "attempt-1.json": ("before", "after"),  # the outcome
}
"""What tasks create, and when they may die of it; only what is streamed can be there in part."""
DEATHS = [Death(name, when) for name, whens in CREATED.items() for when in whens]  # type: ignore[arg-type]


def begin(world: World, trials: int = 2) -> str:
    """A job whose tasks the platform has just started."""
    job_id = world.submit("r1", size="large", search={"iterations": 5, "trials": trials})
    world.deliver()
    assert len(world.tasks()) == trials
    return job_id


def live(world: World, task: Any) -> None:
    """A task in this process, to its end."""
    Life(world.runtime, task_settings(task)).live()
    world.embedded.launcher.finish_task(task["execution"], task["task_index"], 0)


def result(world: World, job_id: str) -> dict[str, bytes]:
    prefix = names.results(world.job(job_id))
    return {
        info.name.removeprefix(prefix): world.ports.objects.read(info.name)
        for info in world.ports.objects.list(prefix)
    }


def check(world: World, job_id: str, trials: int = 2, attempt: int = 1) -> None:
    """One whole result of all trials, told once, and nothing left behind."""
    job = world.job(job_id)
    assert (job.state, job.attempt) == (S.SUCCEEDED, attempt), (job.error, world.states(job_id))
    assert json.loads(result(world, job_id)["provenance.json"])["trials"] == list(range(1, trials + 1))
    assert [answer["state"] for answer in world.finished(job_id)] == ["SUCCEEDED"]
    assert world.ports.jobs.get(Queue, "default").slots == []
    assert world.ports.jobs.find(DeadLetter) == []


@pytest.mark.parametrize(("trials", "tasks"), [(1, 1), (5, 1), (5, 2), (10, 3), (10, 10), (100, 7)])
def test_every_trial_has_one_task_and_tasks_are_as_large_as_each_other(trials: int, tasks: int):
    parts = [trials_of(task, tasks, trials) for task in range(tasks)]
    assert [trial for part in parts for trial in part] == list(range(1, trials + 1))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("engine", "size", "iterations", "trials", "where"),
    [
        ("native", "auto", 2_000, 5, ("native", 1)),
        ("native", "large", 2_000, 5, ("native", 5)),
        ("robyn", "small", 100_000, 100, ("small", 1)),
        ("robyn", "auto", 2_000, 5, ("small", 1)),
        ("robyn", "auto", 4_000, 8, ("medium", 1)),
        ("robyn", "auto", 10_000, 4, ("large", 4)),
        ("robyn", "large", 500, 100, ("large", 10)),
    ],
)
def test_engine_size_and_length_choose_job_definition_and_tasks(
    engine: Any, size: Any, iterations: int, trials: int, where: tuple[str, int]
):
    assert placement(engine, size, Search(iterations=iterations, trials=trials)) == where


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_tasks_may_end_in_any_order(world: World, order: tuple[int, ...]):
    job_id = begin(world, trials=3)
    tasks = world.tasks()
    for index in order:
        live(world, tasks[index])
    world.run()
    check(world, job_id, trials=3)
    attempt = names.attempt_of(world.job(job_id))
    assert Merge.model_validate_json(world.ports.objects.read(attempt.merge)).task == order[-1]
    console = result(world, job_id)["console.log"].decode()
    assert [f"task {number} of 3" in console for number in (1, 2, 3)] == [True] * 3


@pytest.mark.parametrize("death", DEATHS, ids=str)
def test_a_killed_task_is_repeated_and_costs_no_attempt(world: World, death: Death):
    job_id = begin(world)
    codes = []
    while tasks := world.tasks():
        for task in tasks:
            dies = death if task["task_attempt"] == 0 and SIGKILLED not in codes else None
            codes.append(ended(world, task, start(world, task, death=dies)))
    assert codes.count(SIGKILLED) == 1
    world.run()
    check(world, job_id)
    beat = read_heartbeats(world.ports, names.Attempt(job_id, 1))
    assert beat is not None
    assert (beat.progress.iteration, beat.progress.iterations) == (10, 10)  # what was found before counts


@pytest.mark.parametrize("name", ["share-1.json", "merge.json", "onepager.png", "attempt-1.json"])
def test_a_task_that_is_killed_again_and_again_ends_the_attempt_and_the_next_one_is_whole(
    world: World, name: str
):
    job_id = begin(world)
    while tasks := world.tasks():
        for task in tasks:
            ended(world, task, start(world, task, death=Death(name, "before")))
    world.clock.pass_(minutes=4)
    world.sweep()
    first = Outcome.model_validate_json(world.ports.objects.read(names.Attempt(job_id, 1).outcome))
    assert (first.status, first.ended_by) == ("crashed", "sweep")
    world.run()
    check(world, job_id, attempt=2)


def test_tasks_that_all_run_twice_at_the_same_time_leave_one_result(world: World):
    job_id = begin(world, trials=3)
    tasks = world.tasks()
    twins = [start(world, task) for task in tasks]
    codes = [ended(world, task, process) for task, process in [(t, start(world, t)) for t in tasks]]
    for twin in twins:
        twin.join()
    assert codes + [twin.exitcode for twin in twins] == [0] * 6
    world.run()
    check(world, job_id, trials=3)


def test_a_twin_that_searches_past_the_end_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch):
    job_id = begin(world)
    tasks, found = world.tasks(), {}

    def its_twin_and_the_other_task_train_and_the_job_ends() -> None:
        monkeypatch.setattr("trainer.life.load", lambda _: QuickEngine)
        for task in tasks:
            live(world, task)
        world.run()
        found.update(result(world, job_id))

    class Slow(QuickEngine):
        def search(self, trials: range, share: Path) -> None:
            Context().run(its_twin_and_the_other_task_train_and_the_job_ends)  # not as this trainer
            super().search(trials, share)

    monkeypatch.setattr("trainer.life.load", lambda _: Slow)
    Life(world.runtime, task_settings(tasks[0])).live()
    check(world, job_id)
    assert result(world, job_id) == found


def test_while_the_merger_is_away_nobody_else_merges_and_nobody_searches_again(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    job_id, done = begin(world), list[str]()

    class Told(QuickEngine):
        def search(self, trials: range, share: Path) -> None:
            done.append(f"search {trials[0]}")
            super().search(trials, share)

        def finish(self, shares: Sequence[Path], folder: Path) -> None:
            done.append("merge")
            if done.count("merge") == 1:
                raise Crash
            super().finish(shares, folder)

    monkeypatch.setattr("trainer.life.load", lambda _: Told)
    first, second = world.tasks()
    live(world, first)
    with pytest.raises(Crash):
        Life(world.runtime, task_settings(second)).live()
    world.embedded.launcher.finish_task(second["execution"], 1, 137)
    Life(world.runtime, task_settings(first)).live()  # started once more: its share is there, and a merger
    assert done == ["search 1", "search 2", "merge"]
    world.run()
    assert done == ["search 1", "search 2", "merge", "merge"]
    check(world, job_id)


def test_a_failed_share_ends_the_attempt_and_stops_its_siblings(world: World):
    job_id = begin(world, trials=3)
    first, second, third = world.tasks()
    searching = start(world, first, Endless)
    while world.ports.objects.stat(names.Attempt(job_id, 1).heartbeat(0)) is None:
        searching.join(0.01)
    assert ended(world, second, start(world, second, Untrainable)) == 0
    assert ended(world, first, searching) == 0  # it noticed
    assert ended(world, third, start(world, third, Endless)) == 0
    assert world.ports.objects.stat(names.Attempt(job_id, 1).heartbeat(2)) is None  # it did not begin
    world.run()
    job = world.job(job_id)
    assert (job.state, job.attempt, job.error.title) == (S.FAILED, 1, "all media are zero")
    assert world.ports.jobs.get(Queue, "default").slots == []


def beat(world: World, job_id: str, task: int, tasks: int, execution: str, **progress: Any) -> None:
    attempt = names.Attempt(job_id, 1)
    heartbeat = Heartbeat(
        job_id=job_id, attempt=1, task=task, tasks=tasks, execution=execution, progress=Progress(**progress)
    )
    world.ports.objects.replace(attempt.heartbeat(task), heartbeat.model_dump_json().encode(), None)


def claimed(world: World, tasks: int = 3) -> tuple[str, str]:
    job_id = begin(world, trials=tasks)
    [(execution, _, _), *_] = world.executions()
    claim(world.ports, names.Attempt(job_id, 1), execution)
    return job_id, execution


def test_the_progress_of_a_job_is_that_of_all_its_tasks(world: World):
    job_id, execution = claimed(world)
    beat(world, job_id, 0, 3, execution, step="search", trial=1, trials=1, iteration=5, iterations=5,
         best_nrmse=0.1, best_rssd=0.4, memory_mb=200, cpu_s=1.5)  # fmt: skip
    beat(world, job_id, 1, 3, execution, step="search", trial=1, trials=1, iteration=2, iterations=5,
         best_nrmse=0.3, best_rssd=0.2, memory_mb=300, cpu_s=2.5)  # fmt: skip
    beat(world, job_id, 2, 3, execution, step="load", trials=1, iterations=5)
    world.sweep()
    expected = Progress(step="load", trial=2, trials=3, iteration=7, iterations=15, best_nrmse=0.1,
                        best_rssd=0.2, memory_mb=300, cpu_s=4)  # fmt: skip
    assert world.job(job_id).progress == expected
    page = world.web.get(f"/api/v1/jobs/{job_id}").json
    assert (page["progress"]["iteration"], page["progress"]["iterations"]) == (7, 15)


def test_a_task_that_is_silent_does_not_end_an_attempt_whose_sibling_lives(world: World):
    job_id, execution = claimed(world)
    for task in range(3):
        beat(world, job_id, task, 3, execution)
    world.clock.pass_(minutes=5)
    beat(world, job_id, 1, 3, execution)
    world.sweep()
    job = world.job(job_id)
    assert job.state is S.RUNNING
    assert job.deadline == world.clock.now() + timedelta(minutes=3)


def test_while_a_task_has_not_begun_silence_is_no_death(world: World):
    job_id, execution = claimed(world)
    for task in (0, 1):  # done long ago; the third waits for a machine
        beat(world, job_id, task, 3, execution)
    world.clock.pass_(minutes=30)
    world.sweep()
    assert world.ports.objects.stat(names.Attempt(job_id, 1).outcome) is None
    assert world.job(job_id).deadline > world.clock.now()


def test_when_all_tasks_are_silent_the_attempt_ends(world: World):
    job_id, execution = claimed(world)
    for task in range(3):
        beat(world, job_id, task, 3, execution)
    world.clock.pass_(minutes=5)
    world.sweep()
    outcome = Outcome.model_validate_json(world.ports.objects.read(names.Attempt(job_id, 1).outcome))
    assert outcome.status == "timed-out"
