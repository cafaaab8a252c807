from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.property.chaos import MEMORY
from tests.property.simulation import Simulation, simulation


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulation]:
    """One installation in memory, emptied before each schedule."""
    logging.disable(logging.CRITICAL)
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder, simulation(Path(folder)) as made:
        yield made
    logging.disable(logging.NOTSET)
