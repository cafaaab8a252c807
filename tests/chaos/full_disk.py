"""What happens on a full disk, a small one of its own: `python -m tests.chaos.full_disk <case> <folder>`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from contracts.job import JobState
from contracts.names import Attempt
from functions.adapters.embedded import Embedded
from functions.errors import Unavailable
from tests.chaos.disk import fill, may_mount, mount, own_mounts
from tests.pipeline.conftest import QuickEngine
from tests.pipeline.world import World
from trainer import heartbeat

CONTENT = bytes(100_000)
PERIOD_S = 0.2  # of the heart
PATIENCE_S = 60.0


def objects(disk: Path) -> None:
    """Nothing can be written, nothing is spoilt, and all is well once there is room again."""
    store = Embedded(disk).objects
    store.create("a", b"before")
    fill(disk / "ballast")
    with pytest.raises(Unavailable, match="disk"):
        store.create("b", CONTENT)
    with pytest.raises(Unavailable, match="disk"):
        store.replace("a", CONTENT, None)
    with pytest.raises(Unavailable, match="disk"), store.writer("c") as out:
        out.write(CONTENT)
    assert store.read("a") == b"before"
    (disk / "ballast").unlink()
    assert list(store.partial.iterdir()) == []
    assert store.create("b", CONTENT).size == len(CONTENT)


def training(disk: Path) -> None:
    """A training whose disk is full for a while goes on, its heart beats again, and it succeeds."""
    world = World(disk)
    world.fill_warehouse()
    job_id = world.submit("r1")
    world.deliver()

    def beat() -> int:
        info = world.ports.objects.stat(Attempt(job_id, 1).heartbeat(0))
        return info.generation if info else 0

    class Unlucky(QuickEngine):
        def search(self, trials: range, share: Path) -> None:
            fill(disk / "ballast")
            time.sleep(10 * PERIOD_S)
            (disk / "ballast").unlink()
            last, until = beat(), time.monotonic() + PATIENCE_S
            while beat() == last:
                assert time.monotonic() < until, "the heart stood still, although there was room again"
                time.sleep(PERIOD_S)
            super().search(trials, share)

    with (
        (disk / "log").open("w") as log,
        mock.patch("trainer.life.load", return_value=Unlucky),
        mock.patch.object(heartbeat, "PERIOD_S", PERIOD_S),
        mock.patch.object(sys, "stderr", log),
    ):
        world.run()
    assert world.job(job_id).state is JobState.SUCCEEDED, world.job(job_id).error


def host(disk: Path) -> None:
    """A host that cannot start says why."""
    fill(disk / "ballast")
    command = [sys.executable, "-m", "infra.local", "--folder", str(disk), "up", "--port", "0"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 1
    assert "disk" in answer.stderr
    assert "Traceback" not in answer.stderr


CASES: dict[str, Callable[[Path], None]] = {"objects": objects, "training": training, "host": host}

if __name__ == "__main__":
    if not may_mount():
        own_mounts(["-m", "tests.chaos.full_disk", *sys.argv[1:]])
    place = Path(sys.argv[2])
    assert not mount(place, 16)
    CASES[sys.argv[1]](place)
