"""How large a training is: the job definition that it runs on, and its number of tasks."""

from __future__ import annotations

import math

from contracts.cloud import JOBS
from contracts.engines import ENGINES, EngineName
from contracts.model import Search
from contracts.request import Size

MAX_TASKS = 10
_ONE_TASK: tuple[Size, ...] = ("small", "medium")
PATIENCE_S = 600.0
"""`auto` takes the smallest size whose search is done within so many seconds."""


def placement(engine: EngineName, size: Size, search: Search) -> tuple[str, int]:
    """The job definition and the number of tasks for a search.

    `robyn` has a job definition of each size: small (4 vCPU, 16 GiB), medium and large (8 vCPU, 32 GiB);
    `native` has one. `large` spreads the trials over up to ten tasks, every other size has one task.
    """
    if size == "auto":
        trial_s = search.iterations * ENGINES[engine].iteration_s
        rounds = {name: math.ceil(search.trials / JOBS[name].cpu) for name in _ONE_TASK}  # a core per trial
        size = next((name for name, times in rounds.items() if times * trial_s <= PATIENCE_S), "large")
    tasks = min(search.trials, MAX_TASKS) if size == "large" else 1
    return size if engine == "robyn" else "native", tasks
