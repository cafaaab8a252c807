"""Each mutation of the production code is found by the schedules that the unmutated code survives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mutants import applied
from tests.property.mutations import MUTATIONS, RECURRING
from tests.property.schedule import broken
from tests.property.scripts import SCRIPTS, breaks
from tests.property.simulation import Simulation
from tests.property.tapes import tape
from tests.property.test_schedules import SCHEDULES, SEED


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_breaks_a_promise(sim: Simulation, name: str):
    scripts = [*reversed(SCRIPTS)] if name in RECURRING else [*SCRIPTS]
    with applied(MUTATIONS[name]):
        assert any(_troubles(sim, scripts)), "it was not noticed"


def _troubles(sim: Simulation, scripts: list[str]) -> Iterator[str]:
    yield from (breaks(sim, name) for name in scripts)
    yield from (broken(sim, tape(SEED, number)) for number in range(SCHEDULES))
