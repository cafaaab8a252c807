"""The promises under real kills, small: `make chaos-real` runs hundreds of jobs."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.chaos.system import ROOT

SEED = 7
pytestmark = pytest.mark.timeout(0)
"""How long it takes depends on the machine; a run that is stuck says so and ends by itself."""


def run(family: str, *options: str) -> str:
    command = [sys.executable, "-m", "tests.chaos", family, "--seed", str(SEED), *options]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for reason in re.findall("not run: (.*)", answer.stdout):
        pytest.skip(reason)
    assert "every promise was kept" in answer.stdout
    return answer.stdout


def kills(told: str) -> dict[str, int]:
    return {whom: int(times) for times, whom in re.findall(r"(\d+) × ([\w, ]+)$", told, re.MULTILINE)}


def test_host_and_trainings_are_killed_the_disk_is_full_once_and_every_promise_is_kept() -> None:
    killed = kills(run("embedded", "--jobs", "10", "--kills", "8", "--full", "3"))
    assert killed.pop("host")
    assert killed, "no training was killed"


def test_functions_and_trainings_of_the_cloud_are_killed_and_every_promise_is_kept() -> None:
    killed = kills(run("gcp", "--jobs", "5", "--kills", "6", "--full", "3"))
    assert killed.keys() & {"first", "second"}
    assert killed.keys() - {"first", "second"}, "no training was killed"
