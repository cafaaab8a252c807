"""How far a job is: a share of its steps, shown everywhere, that never falls back and is whole at the end."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from contracts import names
from contracts.attempt import Progress, TrainingConfig
from contracts.job import JobState, share_done
from contracts.posterior import PosteriorConfig
from tests.pipeline.conftest import QuickEngine
from tests.pipeline.processes import Untrainable
from tests.pipeline.world import World, task_settings
from trainer.engines.base import SearchProgress
from trainer.life import Life
from trainer.timings import Steps
from trainer.weights import Weights

CONFIG = Path(__file__).parents[2] / "contracts" / "examples" / "training_config.json"


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
            for step in ("posterior", "select"):
                with self.host.step(step):
                    self.look()
            with self.host.step("outputs"):
                with self.host.step("trust"):
                    self.look()
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


def test_what_a_training_used_is_told_although_nobody_looked_while_it_ran(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    good = world.submit("r1", size="large", search={**world.request("r1")["search"], "trials": 3})
    world.run()
    monkeypatch.setattr("trainer.life.load", lambda _: Untrainable)
    bad = world.submit("r2")
    world.run()
    assert [world.job(job_id).state for job_id in (good, bad)] == ["SUCCEEDED", "FAILED"]
    rows = {row["job_id"]: row for row in csv.DictReader(world.web.get("/api/v1/jobs.csv").text.splitlines())}
    for job_id in (good, bad):
        assert float(rows[job_id]["cpu_s"]) > 0
        assert float(rows[job_id]["memory_mb"]) > 0
    assert (world.job(good).progress.trials, world.job(good).progress.iteration) == (3, 15)


def test_a_task_that_begins_again_takes_nothing_back(world: World):
    job_id = world.submit("r1")
    world.deliver()
    [task] = world.tasks()
    first = Life(world.runtime, task_settings(task))
    first.progress, first.done = Progress(trial=1, trials=1, iteration=4, iterations=5), 0.6
    first.pulse.beat()
    before = seen(world, job_id)
    again: Any = Life(world.runtime, task_settings({**dict(task), "task_attempt": 1}))
    again._remember()
    again.progress = Progress(trials=1, iterations=5)
    again.pulse.beat()
    assert seen(world, job_id) == before > 0.5
    assert world.ports.objects.stat(names.Attempt(job_id, 1).heartbeat(0)) is not None


@pytest.mark.parametrize("engine", ["native", "robyn"])
@pytest.mark.parametrize("checks", ["quick", "full"])
def test_the_bar_moves_as_evenly_as_the_clock(
    world: World, monkeypatch: pytest.MonkeyPatch, engine: Any, checks: Any
):
    """Steps that take twice what was measured, in the order of a training: the bar follows the time."""
    config = TrainingConfig.model_validate_json(CONFIG.read_bytes())
    search = config.model.search.model_copy(update={"iterations": 2000, "trials": 5})
    model = config.model.model_copy(
        update={"checks": checks, "search": search, "posterior": PosteriorConfig()}
    )
    weights, clock = Weights(config.model_copy(update={"engine": engine, "model": model}), 1), [0.0]
    monkeypatch.setattr("trainer.timings.time.monotonic", lambda: clock[0])
    steps, seen = Steps(), []
    lengths = {name: 2 * cost for name, cost in weights.costs.items()}

    def spend(name: str) -> None:
        for tick in range(1, 21):
            clock[0] += lengths[name] / 20
            seen.append((clock[0] / sum(lengths.values()), weights.done(steps, tick / 20)))

    for name in ("load", "prepare", "decompose", "search", "posterior", "select", "outputs", "upload"):
        with steps(name):
            if name == "outputs":
                with steps("trust"):
                    spend("trust")
            spend(name)
        if name == "search":
            assert weights.done(steps, 1.0) == pytest.approx(weights.searched, abs=0.01)
    assert max(abs(passed - shown) for passed, shown in seen) < 0.03
