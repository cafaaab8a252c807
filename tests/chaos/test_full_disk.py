from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.disk import NO_DISK, can_have_own_mounts
from tests.chaos.full_disk import CASES
from tests.chaos.system import ROOT


@pytest.mark.skipif(not can_have_own_mounts(), reason=NO_DISK)
@pytest.mark.parametrize("case", CASES)
def test_a_full_disk_spoils_nothing_and_its_end_is_noticed(case: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos.full_disk", case, str(tmp_path / "disk")]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
