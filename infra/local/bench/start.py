"""What a new process of the engine does first, timed from inside."""

from __future__ import annotations

import json
import time


def report(iterations: int = 2_000) -> None:
    """Print seconds: `imported`, `first` candidate, `each` candidate (CPU); and how much was `compiled`."""
    started = time.perf_counter()
    import trainer.engines.native.engine  # noqa: F401

    imported = time.perf_counter() - started

    from numba.core import event

    from infra.local.bench.search import random_inputs
    from trainer.engines.native.search.trials import Plan, search

    inputs = random_inputs(208, 6)
    started = time.perf_counter()
    with event.install_recorder("numba:compile") as recorder:
        search(inputs, Plan(iterations=1, trials=1, seed=1))
    first = time.perf_counter() - started
    started = time.process_time()
    search(inputs, Plan(iterations=iterations, trials=1, seed=1))
    each = (time.process_time() - started) / iterations
    compiled = len(recorder.buffer) // 2  # begin and end
    print(json.dumps({"imported": imported, "first": first, "each": each, "compiled": compiled}))
