from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.property.simulation import Simulation, simulation


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulation]:
    """One installation in memory, emptied before each schedule."""
    with simulation() as made:
        yield made
