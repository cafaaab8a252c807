"""The platform that runs trainings, and an engine that computes nothing but takes its time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from functions.errors import Transient
from functions.ports import Conflict
from tests.pipeline.conftest import QuickEngine
from tests.pipeline.world import task_settings
from tests.property.faults import Crash, Frame
from trainer.engines.base import Host, Material
from trainer.heartbeat import Pulse
from trainer.life import Life

if TYPE_CHECKING:
    from tests.property.simulation import Simulation

DIED, FOR_MEMORY = 139, 137
"""What the platform says of a process that did not exit by itself."""


def constantly(answer: Any) -> Callable[..., Any]:
    """A function with one answer; a `Mock` would keep every call of many thousand schedules."""
    return lambda *_, **__: answer


class Left(BaseException):
    """The training ended itself, because its attempt has an outcome."""


class SteppedPulse(Pulse):
    """Beats when the engine says so."""

    def __enter__(self) -> Pulse:
        self.beat()
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _leave(self) -> None:
        raise Left


class SteppedLife(Life):
    def _pulse(self) -> Pulse:
        pulse = super()._pulse()
        return SteppedPulse(**{f.name: getattr(pulse, f.name) for f in fields(pulse) if f.init})


class SlowEngine(QuickEngine):
    """Computes nothing, but takes its time: the world goes on at three points of a search, and in a merge."""

    def __init__(self, trainings: Trainings, life: SteppedLife, material: Material, host: Host) -> None:
        super().__init__(material, host)
        self.trainings, self.life = trainings, life

    def search(self, trials: range, share: Path) -> None:
        with self.trainings.working(self.life):
            for _ in range(3):
                self.trainings.go_on(self.life)
        if error := self.trainings.error(self.life):
            raise error
        super().search(trials, share)

    def finish(self, shares: Sequence[Path], folder: Path) -> None:
        with self.trainings.working(self.life):
            self.trainings.sim.invariants.merges(self.life, shares, self.material.config.search.trials)
            self.trainings.go_on(self.life)
        super().finish(shares, folder)


def process(task: Any) -> str:
    """The name of the process of a task of an execution."""
    return f"{task['execution']}-{task['task_index']}"


class Trainings:
    """Which processes live, which are gone, and what the platform believes."""

    def __init__(self, simulation: Simulation) -> None:
        self.sim = simulation
        self.faults = simulation.faults
        self.launcher = simulation.embedded.launcher
        self.dead: set[str] = set()  # gone, which the platform has not noticed
        self.executing: list[str] = []  # on the stack
        self.engines: dict[str, tuple[str, int, str]] = {}  # process → job, attempt, execution
        self.meanwhile: Callable[[], object] = lambda: None
        self.error: Callable[[SteppedLife], Exception | None] = lambda _: None  # of a search

    def tasks(self) -> list[Any]:
        """What the platform believes to run, one row per task."""
        self.launcher.step()
        return list(self.launcher._tasks("RUNNING"))

    def startable(self) -> list[Any]:
        """The tasks of which no process lives or has died unnoticed."""
        return [task for task in self.tasks() if process(task) not in {*self.dead, *self.executing}]

    def train(self, task: Any, frame: Frame, twin: bool = False) -> None:
        """Let a process of a task live, until it ends or is killed.

        A `twin` lives beside the task's own process, which the platform may have started twice; when that has
        ended, the platform stops the twin.
        """
        name = frame.process = process(task) + ("-twin" if twin else "")
        self.executing.append(name)
        try:
            with self.faults.process(frame):
                code = self._live(task)
        finally:
            self.executing.remove(name)
        if twin or name in self.faults.doomed:
            self.faults.doomed.discard(name)
        elif code == DIED:
            self.dead.add(name)
        else:
            self._ended(task, code)

    def _live(self, task: Any) -> int:
        life = SteppedLife(self.sim.runtime, task_settings(task))
        with mock.patch("trainer.life.load", constantly(functools.partial(SlowEngine, self, life))):
            try:
                life.live()
            except (Crash, Left) as end:
                return 0 if isinstance(end, Left) else DIED
            except (Transient, Conflict):  # the interpreter ends with 1
                return 1
        return 0

    @contextmanager
    def working(self, life: SteppedLife) -> Iterator[None]:
        """An engine is at work."""
        name, task = self.executing[-1], life.task
        self.engines[name] = (task.job_id, task.attempt, task.cloud_run_execution)
        try:
            self.sim.invariants.check()
            yield
        finally:
            self.engines.pop(name, None)

    def go_on(self, life: SteppedLife) -> None:
        """Time for everybody else, then a heartbeat, which may be lost."""
        self.faults.around("engine.works()", (), self.meanwhile)
        with suppress(Transient):
            life.pulse.look()

    def living(self) -> dict[tuple[str, int], set[str]]:
        """The executions whose engines are at work, of each attempt; a process that was killed is not."""
        alive: dict[tuple[str, int], set[str]] = {}
        for name, (job_id, attempt, execution) in self.engines.items():
            if name not in self.faults.doomed:
                alive.setdefault((job_id, attempt), set()).add(execution)
        return alive

    def _ended(self, task: Any, code: int) -> None:
        """The platform takes note of the end of a task."""
        twin = f"{process(task)}-twin"
        if twin in self.executing:
            self.faults.doomed.add(twin)
        self.launcher.finish_task(task["execution"], task["task_index"], code)

    def reap(self) -> None:
        """The platform notices which processes are gone, and kills those of cancelled executions."""
        for task in self.tasks():
            name = process(task)
            if name in self.dead:
                self.dead.remove(name)
            elif not task["cancelled"] or name in self.faults.doomed:
                continue
            elif name in self.executing:
                self.faults.doomed.add(name)
            self._ended(task, DIED)

    def kill(self, task: Any, code: int = DIED) -> None:
        """SIGKILL to a process; the platform notices at once."""
        name = process(task)
        if name in self.executing:
            if name in self.faults.doomed:
                return
            self.faults.doomed.add(name)
        self.dead.discard(name)
        self._ended(task, code)

    def start_again(self, task: Any) -> None:
        """One more execution of an attempt: a start that answered an error, or was asked for twice."""
        self.launcher.start(task["job_id"], task["attempt"], task["size"], task["task_count"])

    def vanish(self, task: Any) -> None:
        """The platform forgets an execution, unless one of its processes is on the stack."""
        execution = task["execution"]
        if any(name.startswith(f"{execution}-") for name in self.executing):
            return
        with self.sim.embedded._database.transaction() as connection:
            connection.execute("DELETE FROM executions WHERE name = ?", (execution,))
            connection.execute("DELETE FROM tasks WHERE execution = ?", (execution,))
        self.dead = {name for name in self.dead if not name.startswith(f"{execution}-")}
