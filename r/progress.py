"""Tells how far a trial is, whenever Robyn tells nevergrad how good a candidate was."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

from nevergrad.optimization import registry

ALGORITHM = "TwoPointsDE"
SECONDS_BETWEEN_LINES = 1.0
STDERR = 2
_make: Callable[..., Any] = registry[ALGORITHM]


def watch(trial: int, iterations: int) -> None:
    """Let the next optimizer print `@progress` lines: trial, iteration, iterations, best nrmse and rssd."""

    def make(*args: Any, **kwargs: Any) -> Any:
        optimizer = _make(*args, **kwargs)
        optimizer.register_callback("tell", Watcher(trial, iterations))
        return optimizer

    registry[ALGORITHM] = make


class Watcher:
    """Is called with every candidate that has its losses."""

    def __init__(self, trial: int, iterations: int) -> None:
        self._trial = trial
        self._iterations = iterations
        self._told = 0
        self._best = [float("inf")] * 2
        self._due = 0.0

    def __call__(self, _optimizer: Any, candidate: Any, _loss: float) -> None:
        """Count it; print a line now and then, and with the last one."""
        self._told += 1
        losses = [float(loss) for loss in candidate.losses[:2]]
        self._best = [min(pair) for pair in zip(self._best, losses, strict=True)]
        if self._told == self._iterations or time.monotonic() >= self._due:
            self._due = time.monotonic() + SECONDS_BETWEEN_LINES
            self._print()

    def _print(self) -> None:
        line = {
            "trial": self._trial,
            "iteration": self._told,
            "iterations": self._iterations,
            "nrmse": self._best[0],
            "rssd": self._best[1],
        }
        os.write(STDERR, f"@progress {json.dumps(line)}\n".encode())
