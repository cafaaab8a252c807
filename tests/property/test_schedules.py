"""Whatever happens, in whatever order, and whatever dies: the promises are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.property.exploration import Explored, explore
from tests.property.faults import Triple
from tests.property.schedule import broken, run
from tests.property.simulation import Simulation
from tests.property.tapes import KEPT, load, tape

SCHEDULES, PART = 500, 100
SEED = 20261116


@pytest.mark.parametrize("start", range(0, SCHEDULES, PART))
def test_promises_are_kept_in_any_schedule(sim: Simulation, start: int):
    covered: set[Triple] = set()
    for number in range(start, start + PART):
        assert broken(sim, tape(SEED, number)) == "", f"schedule {number} of seed {SEED}"
        covered |= sim.faults.covered
    assert len(covered) > 250, f"the schedules hardly went wrong: {len(covered)}"
    states = {state for state, _, _ in covered}
    assert {"ACCEPTED", "EXTRACTED", "QUEUED", "RUNNING", "TRAINED", "CANCELLING"} <= states


def test_several_processes_run_the_same_schedules(sim: Simulation):
    covered: set[Triple] = set()
    numbers = range(100, 125)
    for number in numbers:
        assert broken(sim, tape(SEED + 1, number)) == ""
        covered |= sim.faults.covered
    *_, explored = explore(SEED + 1, numbers, processes=2)
    assert explored == Explored(25, frozenset(covered))


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(st.integers(0, 255), min_size=20, max_size=160))
def test_hypothesis_finds_no_schedule_that_breaks_a_promise(sim: Simulation, numbers: list[int]):
    assert broken(sim, numbers) == ""


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.json")), ids=lambda path: path.stem)
def test_what_once_broke_a_promise_keeps_it_now(sim: Simulation, path: Path):
    run(sim, load(path))
