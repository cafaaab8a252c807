"""The search: seeded trials that are independent of each other, in one thread or several."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from queue import SimpleQueue

import numpy as np
import pandas as pd

from contracts.model import Search
from trainer.engines.common import Floats, SearchRange
from trainer.engines.native.records import Inputs, TrialProgress
from trainer.engines.native.search import kernel
from trainer.engines.native.search.evaluator import Evaluator, hyperparameter_names, lambda_range
from trainer.engines.native.search.evolution import evolution
from trainer.engines.native.search.loop import Space, Trace, run

Report = Callable[[TrialProgress], None]

_SECONDS_BETWEEN_REPORTS = 0.5
"""Of one trial."""
_CANDIDATES_BETWEEN_LOOKS = 20
"""Candidates between two readings of the clock; even the slowest take a fraction of a second together."""
_FOR_EVER = 2**62  # iterations


@dataclass(frozen=True)
class Plan:
    """The extent of a search. Trial k, from 1, is seeded with `seed + k`, as Robyn does."""

    iterations: int
    trials: int
    seed: int
    weights: tuple[float, ...] | None = None
    """Of NRMSE, DECOMP.RSSD and, with calibration, MAPE; None: equal."""
    unmoved_iterations: int | None = None
    """Number of iterations without a change of the Pareto front after which a trial ends."""
    seconds: float | None = None
    """Wall time for the trials of one `search`, in equal shares; a trial makes at least some steps."""
    start: tuple[Mapping[str, float], ...] = ()
    """Hyperparameters by name that every trial tries first, at most 30."""

    @classmethod
    def of(cls, search: Search, start: tuple[Mapping[str, float], ...] = ()) -> Plan:
        """The plan that a request asks for."""
        stop = search.stop
        return cls(
            *(search.iterations, search.trials, search.seed),
            weights=tuple(search.objective_weights) if search.objective_weights else None,
            unmoved_iterations=stop.unmoved_iterations if stop else None,
            seconds=stop.seconds if stop else None,
            start=start,
        )


@dataclass(frozen=True, eq=False)
class Candidates:
    """Every candidate of a search in the order of trials and proposals."""

    table: pd.DataFrame
    """(k rows) the columns of `Result.candidates` up to `coef0`."""
    coefficients: Floats
    """(k, 1 + p) the intercept, then the design columns' coefficients."""


def search(
    inputs: Inputs,
    plan: Plan,
    *,
    trials: range | None = None,
    threads: int = 1,
    progress: Report = lambda _: None,
) -> Candidates:
    """Run all trials, or only `trials`, in up to `threads` threads; what a trial finds depends on neither.

    A trial is compiled code that holds no lock, so threads run in parallel as processes would. With
    nothing to search trial 1 has one candidate and the others none. `progress` is called in the caller's
    thread, about twice a second for each trial; it counts the trials that are run here.
    """
    planned = plan.trials if dimensions(inputs) else 1
    ours = [trial for trial in (range(1, planned + 1) if trials is None else trials) if trial <= planned]
    plan, threads = replace(plan, trials=len(ours)), max(1, min(threads, len(ours)))
    seconds = math.inf if plan.seconds is None else plan.seconds / (math.ceil(len(ours) / threads) or 1)
    reports: SimpleQueue[TrialProgress] = SimpleQueue()
    given_up = threading.Event()

    def one(trial: int) -> Trace:
        return run_trial(inputs, plan, trial, reports.put, seconds, given_up)

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(one, trial) for trial in ours]
        try:
            while wait(running, _SECONDS_BETWEEN_REPORTS).not_done or not reports.empty():
                while not reports.empty():
                    progress(reports.get())
        finally:
            given_up.set()
            pool.shutdown(wait=False, cancel_futures=True)
        found = [each.result() for each in running] or [_empty(_evaluator(inputs), 0)]
    return Candidates(_table(inputs, ours or [1], found), np.vstack([trace.beta for trace in found]))


def dimensions(inputs: Inputs) -> dict[str, SearchRange]:
    """What is searched, in nevergrad's order; fixed values left out (robyn-spec §6.3)."""
    train_size = {} if inputs.train_size is None else {"train_size": inputs.train_size}
    everything = inputs.bounds | train_size | {"lambda_hp": inputs.lambda_range} | inputs.penalties
    return {name: bounds for name, bounds in everything.items() if bounds[0] < bounds[1]}


def run_trial(
    inputs: Inputs,
    plan: Plan,
    trial: int,
    report: Report,
    seconds: float = math.inf,
    given_up: threading.Event | None = None,
) -> Trace:
    """One trial: propose, evaluate, tell, once per iteration (robyn-spec §6); one iteration if all is fixed.

    It ends early when `plan` says so, after `seconds`, or once `given_up` is set.
    """
    evaluator, searched = _evaluator(inputs), dimensions(inputs)
    iterations = plan.iterations if searched else 1
    weights = plan.weights or (1.0,) * (3 if inputs.studies else 2)
    start = _start(plan.start, searched)
    state = evolution(plan.seed + trial, iterations, len(searched), weights, start)
    space, trace = _space(evaluator, searched), _empty(evaluator, iterations)
    patience = plan.unmoved_iterations or _FOR_EVER
    started = due = time.monotonic()
    done, ended = 0, False
    while not ended:
        goal = min(done + _CANDIDATES_BETWEEN_LOOKS, iterations)
        done = run(evaluator.problem, evaluator.work, space, state, trace, done, goal, patience)
        now = time.monotonic()
        ended = done < goal or done == iterations or now - started >= seconds
        ended |= given_up is not None and given_up.is_set()
        if ended or now >= due:
            nrmse, rssd = trace.outcome[:done, [kernel.NRMSE, kernel.RSSD]].min(axis=0).tolist()
            report(TrialProgress(trial, plan.trials, done, done if ended else iterations, nrmse, rssd))
            due = now + _SECONDS_BETWEEN_REPORTS
    return trace.head(done)


def _start(models: tuple[Mapping[str, float], ...], searched: dict[str, SearchRange]) -> Floats:
    """(s, d) where models lie in the ranges, at the nearer end if outside; NaN where a model has no value."""
    places = [
        [(model.get(name, math.nan) - low) / (high - low) for name, (low, high) in searched.items()]
        for model in models
    ]
    start: Floats = np.clip(np.array(places).reshape(len(models), len(searched)), 0.0, 1.0)
    return start


def _space(evaluator: Evaluator, searched: dict[str, SearchRange]) -> Space:
    return Space(
        positions=np.array([evaluator.names.index(name) for name in searched], dtype=np.int64),
        low=np.array([low for low, _ in searched.values()]),
        width=np.array([high - low for low, high in searched.values()]),
    )


def _empty(evaluator: Evaluator, iterations: int) -> Trace:
    """Empty arrays for a trial; the fixed hyperparameters are filled in."""
    return Trace(
        hyper=np.tile(evaluator.hyper, (iterations, 1)),
        outcome=np.zeros((iterations, len(evaluator.outcome))),
        beta=np.zeros((iterations, len(evaluator.beta))),
    )


def _evaluator(inputs: Inputs) -> Evaluator:
    """An evaluator whose fixed hyperparameters are set; train_size without validation and penalties are 1."""
    evaluator = Evaluator(inputs)
    fixed = inputs.bounds | {"lambda_hp": inputs.lambda_range} | inputs.penalties
    fixed |= {"train_size": inputs.train_size or (1.0, 1.0)}
    for name, (low, _) in fixed.items():
        evaluator.hyper[evaluator.names.index(name)] = low
    return evaluator


def _table(inputs: Inputs, trials: list[int], found: list[Trace]) -> pd.DataFrame:
    """The columns of `Result.candidates` up to `coef0`, all trials one after another."""
    names = hyperparameter_names(inputs)
    hyper = pd.DataFrame(np.vstack([trace.hyper for trace in found]), columns=names)
    media = [f"{name}_{kind}" for kind in ("inflexion", "inflation") for name in inputs.media]
    outcome = pd.DataFrame(np.vstack([trace.outcome for trace in found]), columns=[*kernel.METRICS, *media])
    lengths = [len(trace.hyper) for trace in found]
    trial = np.repeat(trials, lengths)
    iteration = np.concatenate([np.arange(1, length + 1) for length in lengths])
    head = pd.DataFrame({"trial": trial, "iterNG": iteration, "iterPar": 1})
    head.insert(0, "solID", [f"{t}_{i}_1" for t, i in zip(trial, iteration, strict=True)])
    parts = kernel.METRICS[kernel.RSQ_PARTS : kernel.LAMBDA]
    metrics = outcome[[*parts, *kernel.METRICS[: kernel.RSQ_PARTS], "lambda"]]
    table = pd.concat(
        [head, hyper[[*inputs.bounds, "train_size", *inputs.penalties]], outcome[media], metrics], axis=1
    )
    first_paid = 1 + len(inputs.prophet) + len(inputs.context)
    paid = np.vstack([trace.beta for trace in found])[:, first_paid : first_paid + len(inputs.paid)]
    return table.assign(
        lambda_hp=hyper["lambda_hp"],
        lambda_max=lambda_range(inputs)[1],
        lambda_min_ratio=kernel.LAMBDA_MIN_RATIO,
        coef0=paid.min(axis=1) == 0,
    )
