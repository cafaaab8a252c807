"""The native engine's search: our share and nevergrad's, and what a second process brings."""

from __future__ import annotations

import multiprocessing
import time
from typing import Any

import pandas as pd

from contracts.model import ModelConfig
from infra.local.bench.figures import Figure
from infra.local.demo_data import demo_request, generate
from trainer.engines.native import inputs as preparation
from trainer.engines.native.evaluator import Evaluator
from trainer.engines.native.prophet_columns import decompose
from trainer.engines.native.result import Floats, Inputs
from trainer.engines.native.search import Plan, run_trial, search

ITERATIONS, TRIALS = 8_000, 4
"""Enough that the start of the second process does not decide."""
ARITHMETIC = 20_000_000


def measure(iterations: int = ITERATIONS, trials: int = TRIALS, arithmetic: int = ARITHMETIC) -> list[Figure]:
    """Measure on the demo data; compiling is not counted.

    `arithmetic`: additions of each half of the work that shows what a second process is worth here.
    """
    inputs = _inputs()
    plan = Plan(iterations, trials, seed=123)
    search(inputs, Plan(iterations=2, trials=1, seed=1))
    started = time.process_time()
    hyper = run_trial(inputs, plan, 1, lambda _: None).hyper
    everything = (time.process_time() - started) / len(hyper) * 1e6
    evaluation = _evaluation_seconds(inputs, hyper) * 1e6
    one, two = (_wall_seconds(inputs, plan, processes) for processes in (1, 2))
    machine = _machine_ratio(arithmetic)
    size = f"{trials} × {iterations:,} iterations, 208 weeks"
    return [
        Figure("CPU per iteration", f"{everything:.0f}", "µs", "one process, compiled before"),
        Figure("  evaluation of a candidate", f"{evaluation:.0f}", "µs", "ours: adstock to objectives"),
        Figure("  nevergrad", f"{everything - evaluation:.0f}", "µs", "ask and tell; all the rest"),
        Figure("one process", f"{one:.1f}", "s", size),
        Figure("two processes", f"{two:.1f}", "s", "start of the second one included"),
        Figure(
            "two processes / one",
            f"{two / one:.2f}",
            "wall ratio",
            f"pure arithmetic on this machine: {machine:.2f}; at best 0.50",
        ),
    ]


def _inputs() -> Inputs:
    data = generate().table
    request = demo_request("bench")
    config = ModelConfig.model_validate({name: request[name] for name in ("columns", "prophet")})
    interval = preparation.check(data, config)
    factors = data[[factor.name for factor in config.columns.factors]]
    prophet = decompose(
        pd.DatetimeIndex(data["date"]), data["revenue"].to_numpy(), factors, config.prophet, interval
    )
    return preparation.build(data, config, prophet)


def _evaluation_seconds(inputs: Inputs, hyper: Floats) -> float:
    evaluator = Evaluator(inputs)
    started = time.process_time()
    for row in hyper:
        evaluator.hyper[:] = row
        evaluator.evaluate()
    return (time.process_time() - started) / len(hyper)


def _wall_seconds(inputs: Inputs, plan: Plan, processes: int) -> float:
    started = time.perf_counter()
    search(inputs, plan, processes=processes)
    return time.perf_counter() - started


def _machine_ratio(size: int) -> float:
    """Wall time of two processes that add up half each, over that of one that adds up all."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(2)
    other = context.Process(target=_other_half, args=(ready, size), daemon=True)
    started = time.perf_counter()
    _add_up(2 * size)
    one = time.perf_counter() - started
    other.start()
    ready.wait()
    started = time.perf_counter()
    _add_up(size)
    other.join()
    return (time.perf_counter() - started) / one


def _other_half(ready: Any, size: int) -> None:
    ready.wait()
    _add_up(size)


def _add_up(size: int) -> float:
    total = 0.0
    for number in range(size):
        total += number
    return total
