"""What loses a compare-and-set begins anew."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from functions.ports import Conflict

T = TypeVar("T")
MAX_RACES = 8
"""How often a lost compare-and-set is begun anew before it is given up."""


def retry_on_conflict(step: Callable[[], T]) -> T:
    """Run a step that reads, decides and writes; run it again after a moment if somebody else wrote first.

    Raises:
        Conflict: it lost `MAX_RACES` times.
    """
    for race in range(1, MAX_RACES):
        try:
            return step()
        except Conflict:
            time.sleep(random.uniform(0, 0.001 * 2**race))  # noqa: S311 (jitter)
    return step()
