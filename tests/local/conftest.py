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
