"""How large a training is: the job definition that it runs on, and its number of tasks."""

from __future__ import annotations

import math
from typing import Literal

from contracts.model import Search
from functions.settings import Engine

Size = Literal["auto", "small", "medium", "large"]

MAX_TASKS = 10
CPU_S = {"robyn": 0.079, "native": 0.0002}
"""Of one iteration on one core: Robyn 3.12.1 as measured; the native engine with years of daily data."""
CORES: dict[Size, int] = {"small": 4, "medium": 8}
"""vCPUs of one task; a trial keeps one of them busy."""
PATIENCE_S = 600.0
"""`auto` takes the smallest size whose search is done within so many seconds."""


def placement(engine: Engine, size: Size, search: Search) -> tuple[str, int]:
    """The job definition and the number of tasks for a search.

    `robyn` has a job definition of each size: small (4 vCPU, 16 GiB), medium and large (8 vCPU, 32 GiB);
    `native` has one. `large` spreads the trials over up to ten tasks, every other size has one task.
    """
    if size == "auto":
        trial_s = search.iterations * CPU_S[engine]
        rounds = {name: math.ceil(search.trials / cores) for name, cores in CORES.items()}
        size = next((name for name, times in rounds.items() if times * trial_s <= PATIENCE_S), "large")
    tasks = min(search.trials, MAX_TASKS) if size == "large" else 1
    return size if engine == "robyn" else "native", tasks
