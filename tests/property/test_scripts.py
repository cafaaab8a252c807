"""At the places where a promise is most at stake, it is kept."""

from __future__ import annotations

import pytest

from tests.property.scripts import SCRIPTS, breaks
from tests.property.simulation import Simulation


@pytest.mark.parametrize("name", SCRIPTS)
def test_promises_are_kept_where(sim: Simulation, name: str):
    assert breaks(sim, name) == ""
