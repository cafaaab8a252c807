"""The ridge fit iterated to the optimum, against scipy's bounded least squares."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from contracts.model import Solver
from tests.engine.golden import load
from trainer.engines.common import Floats
from trainer.engines.native.explain.solvers import compare_solvers
from trainer.engines.native.records import InterceptSign
from trainer.engines.native.search import kernel
from trainer.engines.native.search.evaluator import Evaluator
from trainer.engines.native.search.trials import Plan
from trainer.engines.native.training import fit_inputs

CASES = ("weekly_geometric_split", "weekly_penalty", "weekly_weibull_pdf", "daily_geometric")


def converged(name: str, seed: int, sign: InterceptSign) -> Evaluator:
    """A random candidate of a case, evaluated."""
    inputs = replace(load(name).inputs, solver="converged", intercept_sign=sign)
    evaluator = Evaluator(inputs)
    ranges = inputs.bounds | {"lambda_hp": (0.0, 1.0), "train_size": inputs.train_size or (1.0, 1.0)}
    ranges |= inputs.penalties
    draws = np.random.default_rng(seed).random(len(evaluator.names))
    for i, (entry, draw) in enumerate(zip(evaluator.names, draws, strict=True)):
        low, high = ranges.get(entry, (1.0, 1.0))
        evaluator.hyper[i] = low + (high - low) * (draw**4 if entry == "lambda_hp" else draw)
    evaluator.evaluate()
    return evaluator


def optimum(evaluator: Evaluator, intercept: bool = True) -> Floats:
    """argmin |y - b0 - Xb|² / 2n + lambda / (2 sd(y)) Σ r_j (sd_j b_j)², within the limits (spec §5.2)."""
    problem, hyper = evaluator.problem, evaluator.hyper
    rows, columns = evaluator.work.design.shape
    train, _ = kernel.split_rows(rows, hyper[-columns - 1])
    design, dependent = evaluator.work.design[:train], problem.dependent[:train]
    sd = design.std(axis=0)
    scale = dependent.std() if intercept else np.sqrt((dependent**2).mean())
    weights = hyper[-columns:] * columns / hyper[-columns:].sum()
    ridge = evaluator.outcome[9] / scale * weights
    lower, upper = problem.lower * sd / scale, problem.upper * sd / scale
    if problem.trend >= 0 and design[:, problem.trend].sum() < 0:
        lower[problem.trend], upper[problem.trend] = -sd[problem.trend] / scale, 0.0
    centres, centre = (design.mean(axis=0), dependent.mean()) if intercept else (0 * sd, 0.0)
    centred = (design - centres) / sd / np.sqrt(train)
    target = (dependent - centre) / scale / np.sqrt(train)
    found = lsq_linear(
        np.vstack([centred, np.diag(np.sqrt(ridge))]),
        np.concatenate([target, np.zeros(columns)]),
        (lower, upper),
        method="bvls",
        tol=1e-15,
    )
    beta = found.x * scale / sd
    if intercept and problem.non_negative and centre < centres @ beta:
        return optimum(evaluator, intercept=False)
    return np.concatenate([[centre - centres @ beta], beta])


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(CASES), st.integers(0, 10_000), st.sampled_from(get_args(InterceptSign)))
def test_the_converged_solver_is_at_the_optimum(name: str, seed: int, sign: InterceptSign) -> None:
    evaluator = converged(name, seed, sign)
    assert np.isfinite(evaluator.outcome[0])
    sds = np.concatenate([[1.0], evaluator.work.design.std(axis=0)])
    contributions, expected = evaluator.beta * sds, optimum(evaluator) * sds
    np.testing.assert_allclose(contributions, expected, rtol=1e-7, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("solver", get_args(Solver))
def test_a_result_says_how_far_robyns_solver_is_from_the_optimum(solver: Solver) -> None:
    inputs = replace(load("weekly_geometric").inputs, solver=solver)
    result = fit_inputs(inputs, Plan(iterations=60, trials=1, seed=7))
    told = compare_solvers(result)
    assert told["used"] == solver
    models = {model["sol_id"]: model for model in told["models"]}
    assert set(models) == {result.best.solution, *result.clusters.winners}
    best = models[result.best.solution]["channels"]
    own = result.best.summary.set_index("rn")["roi_total"]
    assert [channel["roas"][solver] for channel in best] == list(own[list(inputs.paid)])
    for model in models.values():
        distances = [
            abs(channel["roas"]["robyn"] / channel["roas"]["converged"] - 1)
            for channel in model["channels"]
            if channel["roas"]["converged"]
        ]
        assert model["distance"] == pytest.approx(max(distances), rel=1e-6)
    assert max(model["distance"] for model in models.values()) > 1e-6
