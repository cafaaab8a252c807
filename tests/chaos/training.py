"""A task of a training, as production runs it, but with an engine that computes nothing and takes its time.

`CHAOS_WATCH` names a folder that the whole run shares: each task that works holds a lock there, and writes
down if somebody else holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO
from unittest import mock

from tests.pipeline.conftest import QuickEngine
from trainer.__main__ import main
from trainer.engines.base import Host, Material

WATCH = "CHAOS_WATCH"
VIOLATIONS = "violations"
LONGEST_S = 1.5
"""A step of the engine takes a random moment, at most so long."""


class IdleEngine(QuickEngine):
    """Says so if it is not alone, or if its shares are not all trials; computes nothing."""

    def __init__(self, material: Material, host: Host) -> None:
        super().__init__(material, host)
        self._locks: list[TextIO] = []  # held until this process ends

    def search(self, trials: range, share: Path) -> None:
        """Take a moment for every trial."""
        self._be_alone(f"task-{os.environ['CLOUD_RUN_TASK_INDEX']}")
        for _ in trials:
            _take_a_moment()
        super().search(trials, share)

    def finish(self, shares: Sequence[Path], folder: Path) -> None:
        """Take another moment, and leave the files."""
        self._be_alone("merge")
        trials = [trial for share in shares for trial in json.loads(share.read_text())]
        if trials != list(range(1, self.material.config.search.trials + 1)):
            _tell(f"{_attempt()} merged the trials {trials} of {self.material.config.search.trials}")
        _take_a_moment()
        super().finish(shares, folder)

    def _be_alone(self, part: str) -> None:
        lock = (_watch() / f"{_attempt()}.{part}.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _tell(f"two live trainings of {_attempt()}, {part}")
        self._locks.append(lock)


def _watch() -> Path:
    return Path(os.environ[WATCH])


def _attempt() -> str:
    return f"{os.environ['JOB_ID']}.{os.environ['ATTEMPT']}"


def _take_a_moment() -> None:
    time.sleep(random.uniform(0.05, LONGEST_S))  # noqa: S311


def _tell(violation: str) -> None:
    with (_watch() / VIOLATIONS).open("a") as told:
        told.write(violation + "\n")


if __name__ == "__main__":
    with mock.patch("trainer.life.load", return_value=IdleEngine):
        sys.exit(main())
