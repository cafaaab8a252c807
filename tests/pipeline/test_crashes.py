"""The process dies before or after any write of a request's way: the job still ends, once, and whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.job import DeadLetter, Job, JobState, Queue
from functions import runtime
from functions.log import Log
from functions.runtime import Runtime
from tests.pipeline.conftest import QuickEngine
from tests.pipeline.world import Crash, World

WRITES = {
    "jobs": ("create", "replace"),
    "objects": ("create", "replace", "writer", "copy"),
    "bus": ("publish",),
    "launcher": ("start",),
}


class Mortal:
    """A port whose n-th write is the last thing that the process does (or is about to do)."""

    def __init__(self, port: Any, writes: tuple[str, ...], fate: Fate) -> None:
        self._port, self._writes, self._fate = port, writes, fate

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._port, name)
        return self._fate.wrap(name, real) if name in self._writes else real


class Fate:
    def __init__(self, dies_at: int, before: bool) -> None:
        self.dies_at, self.before, self.writes, self.last = dies_at, before, 0, ""

    def wrap(self, name: str, real: Any) -> Any:
        def write(*args: Any, **kwargs: Any) -> Any:
            self.writes += 1
            self.last = f"{name}{args[:1]}"
            if self.writes == self.dies_at and self.before:
                raise Crash
            result = real(*args, **kwargs)
            if self.writes == self.dies_at:
                raise Crash
            return result

        return write


def mortal_world(folder: Path, fate: Fate) -> World:
    world = World(folder)
    world.fill_warehouse()
    ports = replace(world.ports, **{p: Mortal(getattr(world.ports, p), w, fate) for p, w in WRITES.items()})
    world.runtime = Runtime(ports, world.settings, Log("text"))
    runtime.use(world.runtime)
    return world


def live_on(world: World) -> None:
    """Deliver and train; whatever dies is started again by the platform, later."""
    for _ in range(12):
        try:
            world.deliver()
            for name, job_id, attempt in world.executions():
                try:
                    world.life(name, job_id, attempt).live()
                except Crash:
                    world.embedded.launcher.finish_task(name, 0, 137)
                else:
                    world.embedded.launcher.finish_task(name, 0, 0)
            world.deliver()
        except Crash:
            pass  # the delivery was not acknowledged: it comes again after the ack deadline
        world.clock.pass_(minutes=11)
        world.publish({}, "sweep-requests")


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_crash_at_any_write_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool):
    monkeypatch.setattr("trainer.life.load", lambda _: QuickEngine)
    fate = Fate(0, before)
    world = mortal_world(tmp_path / "calm", fate)
    world.submit("r1")
    world.run()
    writes = fate.writes
    assert writes > 20
    for dies_at in range(1, writes + 1):
        fate = Fate(dies_at, before)
        world = mortal_world(tmp_path / str(dies_at), fate)
        job_id = world.submit("r1")
        live_on(world)
        check(world, job_id, f"write {dies_at}")


def check(world: World, job_id: str, where: str) -> None:
    job = world.job(job_id)
    assert job.state is JobState.SUCCEEDED, (where, job.state, job.error, world.states(job_id))
    assert len(world.ports.jobs.find(Job)) == 1, where
    steps = [(entry.state, entry.attempt) for entry in job.timeline]
    assert len(set(steps)) == len(steps), (where, "a step was taken twice", steps)
    assert job.attempt <= 2, (where, "one crash cost more than one attempt")
    answers = world.finished(job_id)
    assert answers, (where, "upstream was not told")
    assert all(answer == answers[0] for answer in answers), where
    assert world.ports.jobs.get(Queue, "default").slots == [], (where, "a slot leaked")
    assert world.ports.jobs.find(DeadLetter) == [], where
    assert "model_summary.json" in world.results(job_id), where
