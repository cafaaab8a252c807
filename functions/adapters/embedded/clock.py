"""Detects that the clock of the machine was set."""

from __future__ import annotations

import time

from functions.ports import Clock

_TOLERANCE_S = 1.0
"""Smaller differences, in seconds, are gradual corrections and no steps."""


class ClockSteps:
    """Compares the clock with the time that passed while the machine was awake."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_s = self._look()

    def step_s(self) -> float:
        """By how many seconds the clock moved beyond the time that passed since the last call; 0: not at all.

        A machine that slept looks as if its clock was set forward.
        """
        before, self._ahead_s = self._ahead_s, self._look()
        step_s = self._ahead_s - before
        return step_s if abs(step_s) > _TOLERANCE_S else 0.0

    def _look(self) -> float:
        return self._clock.now().timestamp() - time.monotonic()
