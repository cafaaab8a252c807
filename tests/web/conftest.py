from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.harness import Site, open_site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return open_site(tmp_path)
