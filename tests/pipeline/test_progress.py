"""How far a job is: a share of its steps, shown everywhere, that never falls back and is whole at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from contracts import names
from contracts.attempt import Progress
from contracts.job import JobState, share_done
from tests.pipeline.conftest import QuickEngine
from tests.pipeline.world import World, task_settings
from trainer.engines.base import SearchProgress
from trainer.life import Life


def seen(world: World, job_id: str) -> float:
    """What the list of jobs says at this moment, without any sweep."""
    [job] = world.web.get("/api/v1/jobs?page_size=100").json["jobs"]
    progress = Progress.model_validate(job["progress"]) if job["progress"] else None
    return share_done(JobState(job["state"]), progress)


def test_the_share_that_a_list_shows_only_grows(world: World, monkeypatch: pytest.MonkeyPatch):
    shares: list[float] = []
    lives: list[Life] = []

    class Watched(QuickEngine):
        def look(self) -> None:
            lives[-1].pulse.beat()
            shares.append(seen(world, job_id))

        def search(self, trials: range, share: Path) -> None:
            for step in ("prepare", "decompose", "search"):
                with self.host.step(step):
                    self.look()
            with self.host.step("search"):
                for done in (1, 3, 5):
                    self.host.progress(SearchProgress(1, 1, done, 5, 0.07, 0.2))
                    self.look()
            super().search(trials, share)

        def finish(self, shares: Sequence[Path], folder: Path) -> None:
            for step in ("posterior", "select", "outputs"):
                with self.host.step(step):
                    self.look()
            super().finish(shares, folder)

    monkeypatch.setattr("trainer.life.load", lambda _: Watched)
    job_id = world.submit("r1", size="large", search={**world.request("r1")["search"], "trials": 3})
    world.deliver()
    shares.append(seen(world, job_id))
    tasks = world.tasks()
    assert len(tasks) == 3
    for task in tasks:  # one after the other: those to come have not said anything yet
        lives.append(Life(world.runtime, task_settings(task)))
        lives[-1].live()
        shares.append(seen(world, job_id))
        world.embedded.launcher.finish_task(task["execution"], task["task_index"], 0)
    world.run()
    shares.append(seen(world, job_id))
    assert shares == sorted(shares)
    assert len(set(shares)) > 12
    assert shares[-1] == 1
    assert world.job(job_id).state is JobState.SUCCEEDED


def test_a_task_that_begins_again_takes_nothing_back(world: World):
    job_id = world.submit("r1")
    world.deliver()
    [task] = world.tasks()
    first = Life(world.runtime, task_settings(task))
    first.progress = Progress(trial=1, trials=1, iteration=4, iterations=5)
    first.pulse.beat()
    before = seen(world, job_id)
    again: Any = Life(world.runtime, task_settings({**dict(task), "task_attempt": 1}))
    again._remember()
    again.progress = Progress(trials=1, iterations=5)
    again.pulse.beat()
    assert seen(world, job_id) == before > 0.5
    assert world.ports.objects.stat(names.Attempt(job_id, 1).heartbeat(0)) is not None
