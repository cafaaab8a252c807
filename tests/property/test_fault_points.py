"""A crash and an error at every call of a port, one at a time, on each way that a job may take.

One fault breaks no promise, and changes nothing of what the job comes to.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from contracts.job import JobState
from functions.web import actions
from tests.property.faults import Frame
from tests.property.scripts import Script, a_batch_is_done, troubles
from tests.property.simulation import SHORT, Simulation
from trainer.engines.base import EngineError

S = JobState


def _alone(script: Script) -> None:
    script.last = S.SUCCEEDED
    with script.struck():
        script.sim.request(0)
        script.until(S.SUCCEEDED)


def _uploaded(script: Script) -> None:
    script.last = S.SUCCEEDED
    with script.struck():
        script.sim.upload("data.csv")
        script.sim.upload("request.yaml")
        script.until(S.EXTRACTED)


def _rejected(script: Script) -> None:
    script.last = S.REJECTED
    with script.struck():
        script.sim.request(7, table=SHORT)
        script.until(S.REJECTED)


def _fanned_out(script: Script) -> None:
    script.last = S.SUCCEEDED
    script.sim.request(1)
    script.until(S.RUNNING)
    with script.struck():
        script.until(S.TRAINED)


def _cancelled(script: Script) -> None:
    script.last = S.CANCELLED
    script.sim.request(0)
    script.until(S.RUNNING)
    with script.struck():
        script.click(actions.cancel)
        script.until(S.CANCELLING)
        script.until(S.CANCELLED)


def _retried(script: Script) -> None:
    script.last = S.SUCCEEDED
    script.sim.invariants.failing.add("q0-341c0a3e67c3")
    script.sim.trainings.error = lambda _: EngineError("nothing can be made of this")
    script.sim.request(0)
    script.until(S.FAILED)
    script.sim.trainings.error = lambda _: None
    with script.struck():
        script.click(actions.retry)
        script.until(S.RUNNING, attempt=2)


def _killed_for_good(script: Script) -> None:
    script.last = S.SUCCEEDED
    script.sim.request(0)
    script.until(S.RUNNING)
    for _ in range(2):
        script.train("crash-before", "engine.works")
        script.sim.trainings.reap()
    with script.struck():
        script.until(S.RUNNING, attempt=2)


def _unfolded(script: Script) -> None:
    with script.struck():
        script.sim.recurring.batch(0)
        script.until(S.REJECTED)


def _ended(script: Script) -> None:
    a_batch_is_done(script)
    with script.struck():
        script.sweep(minutes=1)


def _come_by_itself(script: Script) -> None:
    with script.struck():
        script.sim.recurring.mapping("a")
        script.sim.recurring.mapping("b")
        script.sim.recurring.schedule(of_rows=False)
        script.sweep()


WAYS = (
    *(_alone, _uploaded, _rejected, _fanned_out, _cancelled, _retried, _killed_for_good),
    *(_unfolded, _ended, _come_by_itself),
)


@pytest.mark.parametrize("fault", ["crash-after", "error-before", "error-after"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
def test_a_fault_at_any_point_breaks_no_promise(sim: Simulation, way: Callable[[Script], None], fault: str):
    calm = Frame("", "")
    assert troubles(sim, way, calm) == ""
    assert calm.calls > 10
    for at in range(1, calm.calls + 1):
        assert troubles(sim, way, Frame("", "", fault, at)) == "", f"{fault} at {sim.faults.covered}"
