"""The native engine's search: cost of a candidate, growth with size, a second core, a start."""

from __future__ import annotations

import json
import multiprocessing
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any, get_args

import numba
import numpy as np
import pandas as pd

from contracts.model import DEFAULT_RANGES, HYPERPARAMETERS, Adstock, ModelConfig, Sign
from infra.local.bench.figures import Figure
from infra.local.demo_data import demo_request, generate
from trainer.engines.checks import check
from trainer.engines.common import Floats, SearchRange
from trainer.engines.native.prepare.inputs import build
from trainer.engines.native.prepare.prophet_columns import decompose
from trainer.engines.native.records import Inputs
from trainer.engines.native.search.evolution import evolution, propose, tell
from trainer.engines.native.search.trials import Plan, dimensions, run_trial, search

ITERATIONS, TRIALS = 20_000, 4
"""Iterations and trials: enough that starting the second thread does not matter."""
USUAL = 2_000, 5
"""Iterations and trials that Robyn proposes; Robyn 3.12.1 needs about 790 s of CPU for them."""
GROWTH = ((1095, 20), (548, 20), (1095, 10))
"""Rows and channels: three years of days, half the rows, half the channels."""
ARITHMETIC = 20_000_000
BASELINE = "x86-64-v3"
"""The CPU that images are built for: Haswell and later, everything that clouds rent out."""


def measure(
    iterations: int = ITERATIONS,
    trials: int = TRIALS,
    arithmetic: int = ARITHMETIC,
    usual: tuple[int, int] = USUAL,
    growth: tuple[tuple[int, int], ...] = GROWTH,
    baseline: str = BASELINE,
) -> list[Figure]:
    """Measure on the demo data, and on random numbers where size matters; compiling is not counted.

    `arithmetic`: additions of each half of the work that shows what a second process is worth here.
    """
    inputs = _inputs()
    search(inputs, Plan(iterations=2, trials=1, seed=1))
    return [
        *_usual(inputs, Plan(*usual, seed=123)),
        *_shares(inputs, Plan(usual[0], 1, seed=123)),
        *_growth(growth, Plan(*usual, seed=123)),
        *_second_core(inputs, Plan(iterations, trials, seed=123), arithmetic),
        *_start(baseline),
    ]


def _usual(inputs: Inputs, plan: Plan) -> list[Figure]:
    figures = []
    for adstock in get_args(Adstock):
        seconds = _cpu_seconds(partial(search, _with(inputs, adstock), plan))
        what = f"{plan.trials} × {plan.iterations:,} iterations, {adstock}"
        figures.append(Figure(what, f"{seconds:.2f}", "CPU s", "208 weeks; Robyn, 5 × 2,000: about 790"))
    return figures


def _shares(inputs: Inputs, plan: Plan) -> list[Figure]:
    """The share of the evolution in an iteration: the same losses are told again, without any evaluation."""
    everything = _cpu_seconds(partial(run_trial, inputs, plan, 1, lambda _: None))
    losses = run_trial(inputs, plan, 1, lambda _: None).outcome[:, :2].copy()
    size = len(dimensions(inputs))
    tell_again = numba.njit(_tell_again)
    tell_again(evolution(1, 2, size, (1.0, 1.0)), losses[:2])
    ours = _cpu_seconds(partial(tell_again, evolution(1, len(losses), size, (1.0, 1.0)), losses))
    micro = 1e6 / len(losses)
    parts = [
        ("CPU per iteration", everything, "one thread, compiled before"),
        ("  evaluation of a candidate", everything - ours, "adstock to objectives"),
        ("  evolution", ours, "our ask and tell"),
    ]
    if find_spec("nevergrad"):  # only developers have it
        theirs = _nevergrad_seconds(losses, size)
        parts.append(("nevergrad in its place", theirs, "its ask and tell, same losses"))
    return [Figure(what, f"{seconds * micro:.0f}", "µs", beside) for what, seconds, beside in parts]


def _growth(sizes: tuple[tuple[int, int], ...], plan: Plan) -> list[Figure]:
    figures = []
    for rows, channels in sizes:
        inputs = random_inputs(rows, channels)
        search(inputs, replace(plan, trials=1, iterations=1))  # compiles what is not compiled yet
        seconds = _cpu_seconds(partial(search, inputs, plan))
        what = f"{plan.trials * plan.iterations:,} evaluations, {rows:,} rows × {channels} channels"
        figures.append(Figure(what, f"{seconds:.1f}", "CPU s", "random numbers, geometric"))
    return figures


def _second_core(inputs: Inputs, plan: Plan, arithmetic: int) -> list[Figure]:
    one, two = (_wall_seconds(partial(search, inputs, plan, threads=threads)) for threads in (1, 2))
    machine = f"two processes of arithmetic: {1 / _machine_ratio(arithmetic):.2f} ×"
    size = f"{plan.trials} × {plan.iterations:,} iterations, 208 weeks"
    return [
        Figure("one thread", f"{one:.1f}", "s", size),
        Figure("two threads", f"{two:.1f}", "s", size),
        Figure("two threads against one", f"{one / two:.2f}", "×", machine),
    ]


def _start(baseline: str) -> list[Figure]:
    """New processes with the machine code in the cache: for this CPU, and for the one that images are for."""
    warm = _started({})
    figures = [
        Figure("import of the engine", f"{warm['imported']:.2f}", "s", "a new process"),
        Figure("first candidate", f"{warm['first']:.2f}", "s", f"{warm['compiled']:.0f} functions compiled"),
    ]
    if platform.machine() == "x86_64" and baseline:
        target = {"NUMBA_CPU_NAME": baseline, "NUMBA_CPU_FEATURES": ""}
        _started(target)
        general = _started(target)
        beside = f"against {warm['each'] * 1e6:.0f} µs of code for this very CPU"
        each = f"{general['each'] * 1e6:.0f}"
        figures.append(Figure(f"CPU per iteration, code for {baseline}", each, "µs", beside))
    return figures


def _started(environment: dict[str, str]) -> dict[str, float]:
    added = [f"{name}={value}" for name, value in environment.items()]
    command = ["env", *added, sys.executable, "-c", "from infra.local.bench import start; start.report()"]
    done = subprocess.run(command, capture_output=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def _inputs() -> Inputs:
    data = generate().table
    request = demo_request("bench")
    config = ModelConfig.model_validate({name: request[name] for name in ("columns", "prophet")})
    interval = check(data, config)
    factors = data[[factor.name for factor in config.columns.factors]]
    prophet = decompose(
        pd.DatetimeIndex(data["date"]), data["revenue"].to_numpy(), factors, config.prophet, interval
    )
    return build(data, config, prophet)


def random_inputs(rows: int, channels: int) -> Inputs:
    """Days of paid channels and a trend, all random."""
    random = np.random.default_rng(1)
    names = tuple(f"channel_{i}" for i in range(channels))
    spend = random.gamma(2.0, 500.0, (rows, channels)) * (random.random((rows, channels)) < 0.7)
    trend = np.linspace(1e4, 2e4, rows)
    signs: list[Sign] = ["positive" for _ in names]
    return Inputs(
        dates=np.datetime64("2022-01-01") + np.arange(rows),
        interval="day",
        dependent_name="revenue",
        dependent_type="revenue",
        dependent=trend + spend @ random.random(channels) + random.normal(0, 500, rows),
        prophet=("trend",),
        context=(),
        paid=names,
        organic=(),
        values=np.column_stack([trend, spend]),
        signs=("default", *signs),
        spend_names=names,
        spend=spend,
        exposure=np.full_like(spend, np.nan),
        first=0,
        stop=rows,
        adstock="geometric",
        bounds=_bounds(names, "geometric"),
    )


def _with(inputs: Inputs, adstock: Adstock) -> Inputs:
    return replace(inputs, adstock=adstock, bounds=_bounds(inputs.media, adstock))


def _bounds(media: tuple[str, ...], adstock: Adstock) -> dict[str, SearchRange]:
    names = sorted(f"{name}_{kind}" for name in media for kind in HYPERPARAMETERS[adstock])
    return {name: DEFAULT_RANGES[name.rsplit("_", 1)[1]] for name in names}


def _tell_again(state: Any, losses: Any) -> None:
    for i in range(len(losses)):
        propose(state, i)
        state.losses[i] = losses[i]
        tell(state, i)


def _nevergrad_seconds(losses: Floats, size: int) -> float:
    import nevergrad

    space = nevergrad.p.Array(shape=(size,), lower=0, upper=1)
    optimizer = nevergrad.optimizers.registry["TwoPointsDE"](space, budget=len(losses), num_workers=1)
    optimizer.tell(nevergrad.p.MultiobjectiveReference(), (1.0, 1.0))
    optimizer.set_objective_weights((1.0, 1.0))
    told = [tuple(pair) for pair in losses.tolist()]
    return _cpu_seconds(lambda: [optimizer.tell(optimizer.ask(), pair) for pair in told])


def _cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _wall_seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
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
