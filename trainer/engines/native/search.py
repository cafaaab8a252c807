"""The search: nevergrad proposes, the kernel evaluates; one seeded, independent trial after another."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from trainer.engines.native import kernel
from trainer.engines.native.evaluator import Evaluator, hyperparameter_names, lambda_range
from trainer.engines.native.result import Floats, Inputs, Progress, Range

Report = Callable[[Progress], None]

_SECONDS_BETWEEN_REPORTS = 0.5


@dataclass(frozen=True)
class Plan:
    """How much is searched. Trial k, from 1, is seeded with `seed + k`, as Robyn does."""

    iterations: int
    trials: int
    seed: int


@dataclass(frozen=True, eq=False)
class Candidates:
    """Every candidate of a search in the order of trials and proposals."""

    table: pd.DataFrame
    """(k rows) the columns of `Result.candidates` up to `coef0`."""
    coefficients: Floats
    """(k, 1 + p) the intercept, then the design columns' coefficients."""


def search(
    inputs: Inputs, plan: Plan, *, processes: int = 1, progress: Report = lambda _: None
) -> Candidates:
    """Run all trials in up to `processes` parallel processes; the result is the same for any number of them.

    `progress` is called in the caller's thread, about twice a second for each trial. Child processes are
    spawned, so a script that calls this needs the usual `if __name__ == "__main__":`.
    """
    _evaluator(inputs).evaluate()  # compiles, or fills the cache that child processes load from
    children = min(processes, plan.trials) - 1
    if children < 1:
        found = {trial: run_trial(inputs, plan, trial, progress) for trial in range(1, plan.trials + 1)}
    else:
        found = _in_parallel(inputs, plan, children, progress)
    in_order = [found[trial] for trial in sorted(found)]
    return Candidates(_table(inputs, in_order), np.vstack([trace.beta for trace in in_order]))


def _in_parallel(inputs: Inputs, plan: Plan, children: int, progress: Report) -> dict[int, Trial]:
    """This process works too: a child needs some seconds to start. Whoever is free takes the next trial."""
    context = multiprocessing.get_context("spawn")
    reports, taken = context.SimpleQueue(), context.Value("i", 0)

    def relay(report: Progress | None = None) -> None:
        if report:
            progress(report)
        while not reports.empty():
            progress(reports.get())

    with ProcessPoolExecutor(children, context, _start_child, (reports, taken)) as pool:
        try:
            running = [pool.submit(_work_in_child, inputs, plan) for _ in range(children)]
            found = _work(inputs, plan, taken, relay)
            while wait(running, _SECONDS_BETWEEN_REPORTS).not_done:
                relay()
            relay()
        finally:
            taken.value = plan.trials  # after an error nobody takes another trial
        for child in running:
            found |= child.result()
    return found


def _work(inputs: Inputs, plan: Plan, taken: Any, report: Report) -> dict[int, Trial]:
    """Run trials until none is left; `taken` is the number of the last one that somebody took."""
    found: dict[int, Trial] = {}
    while True:
        with taken.get_lock():
            if taken.value >= plan.trials:
                return found
            taken.value += 1
            trial = taken.value
        found[trial] = run_trial(inputs, plan, trial, report)


_shared: tuple[Any, Any]
"""In a child process: the queue of its reports, and the number of the last trial taken."""


def _start_child(reports: Any, taken: Any) -> None:
    global _shared
    _shared = reports, taken
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot stop its children, so they watch it."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _work_in_child(inputs: Inputs, plan: Plan) -> dict[int, Trial]:
    reports, taken = _shared
    return _work(inputs, plan, taken, reports.put)


def dimensions(inputs: Inputs) -> dict[str, Range]:
    """What is searched, in nevergrad's order; fixed values left out (robyn-spec §6.3)."""
    train_size = {} if inputs.train_size is None else {"train_size": inputs.train_size}
    everything = inputs.bounds | train_size | {"lambda_hp": inputs.lambda_range} | inputs.penalties
    return {name: bounds for name, bounds in everything.items() if bounds[0] < bounds[1]}


def run_trial(inputs: Inputs, plan: Plan, trial: int, report: Report) -> Trial:
    """One trial: ask, evaluate, tell, once per iteration (robyn-spec §6); one iteration if all is fixed."""
    evaluator, space = _evaluator(inputs), dimensions(inputs)
    iterations = plan.iterations if space else 1
    trace = Trial.empty(iterations, evaluator)
    positions = np.array([evaluator.names.index(name) for name in space], dtype=np.int64)
    low = np.array([bounds[0] for bounds in space.values()])
    width = np.array([bounds[1] - bounds[0] for bounds in space.values()])
    optimizer = _optimizer(inputs, iterations, plan.seed + trial, len(space)) if space else None
    objectives = 3 if inputs.studies else 2
    due = 0.0
    for i in range(iterations):
        if optimizer:
            proposal = optimizer.ask()
            kernel.scale_proposal(proposal.value, positions, low, width, evaluator.hyper)
        evaluator.evaluate()
        if optimizer:
            optimizer.tell(proposal, tuple(evaluator.outcome[:objectives].tolist()))
        trace.keep(i, evaluator)
        if time.monotonic() >= due or i == iterations - 1:
            best = trace.outcome[: i + 1, :2].min(axis=0)
            report(Progress(trial, plan.trials, i + 1, iterations, float(best[0]), float(best[1])))
            due = time.monotonic() + _SECONDS_BETWEEN_REPORTS
    return trace


@dataclass(frozen=True, eq=False)
class Trial:
    """What the kernel was given and wrote, a row per candidate."""

    hyper: Floats
    outcome: Floats
    beta: Floats

    @classmethod
    def empty(cls, iterations: int, evaluator: Evaluator) -> Trial:
        """Room for a trial's candidates."""
        vectors = (evaluator.hyper, evaluator.outcome, evaluator.beta)
        return cls(*(np.empty((iterations, len(vector))) for vector in vectors))

    def keep(self, row: int, evaluator: Evaluator) -> None:
        """Copy the evaluator's vectors into a row."""
        self.hyper[row] = evaluator.hyper
        self.outcome[row] = evaluator.outcome
        self.beta[row] = evaluator.beta


def _optimizer(inputs: Inputs, budget: int, seed: int, size: int) -> Any:
    """nevergrad's TwoPointsDE as Robyn sets it up, with one worker (robyn-spec §6.2)."""
    ones = (1.0,) * (3 if inputs.studies else 2)
    with _numpy_state_kept():
        import nevergrad  # takes a second, and draws random numbers

        np.random.seed(seed)
        space = nevergrad.p.Array(shape=(size,), lower=0, upper=1)
        optimizer = nevergrad.optimizers.registry["TwoPointsDE"](space, budget=budget, num_workers=1)
        optimizer.tell(nevergrad.p.MultiobjectiveReference(), ones)
    optimizer.set_objective_weights(ones)
    return optimizer


@contextmanager
def _numpy_state_kept() -> Iterator[None]:
    """Put numpy's global random state back afterwards; nevergrad draws a seed of its own from it."""
    before = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(before)


def _evaluator(inputs: Inputs) -> Evaluator:
    """An evaluator whose fixed hyperparameters are set; train_size without validation and penalties are 1."""
    evaluator = Evaluator(inputs)
    fixed = inputs.bounds | {"lambda_hp": inputs.lambda_range} | inputs.penalties
    fixed |= {"train_size": inputs.train_size or (1.0, 1.0)}
    for name, (low, _) in fixed.items():
        evaluator.hyper[evaluator.names.index(name)] = low
    return evaluator


def _table(inputs: Inputs, found: list[Trial]) -> pd.DataFrame:
    """The columns of `Result.candidates` up to `coef0`, all trials one after another."""
    names = hyperparameter_names(inputs)
    hyper = pd.DataFrame(np.vstack([trace.hyper for trace in found]), columns=names)
    media = [f"{name}_{kind}" for kind in ("inflexion", "inflation") for name in inputs.media]
    outcome = pd.DataFrame(np.vstack([trace.outcome for trace in found]), columns=[*kernel.METRICS, *media])
    lengths = [len(trace.hyper) for trace in found]
    trial = np.repeat(np.arange(1, len(found) + 1), lengths)
    iteration = np.concatenate([np.arange(1, length + 1) for length in lengths])
    head = pd.DataFrame({"trial": trial, "iterNG": iteration, "iterPar": 1})
    head.insert(0, "solID", [f"{t}_{i}_1" for t, i in zip(trial, iteration, strict=True)])
    metrics = outcome[[*kernel.METRICS[3:9], *kernel.METRICS[:3], "lambda"]]
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
