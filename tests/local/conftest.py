from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.system import System, closed, opened


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    system = opened(tmp_path / "local")
    yield system
    closed(system)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that runs for several tests: each has jobs of its own, and leaves none that goes on."""
    system = opened(tmp_path_factory.mktemp("shared") / "local")
    yield system
    closed(system)
