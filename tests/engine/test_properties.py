"""What holds for every model of any data: proved on random hyperparameters, scales and divisions of work."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.golden import load
from trainer.engines.native.explain.answers import Answers
from trainer.engines.native.records import Inputs, ModelAnswer
from trainer.engines.native.search.trials import Plan, dimensions, search
from trainer.engines.native.training import fit_inputs

CASES = st.sampled_from(
    [
        "weekly_geometric_split",
        "weekly_weibull_cdf",
        "weekly_weibull_pdf",
        "weekly_penalty",
        "daily_geometric",
    ]
)
SEEDS = st.integers(0, 2**31)


@lru_cache
def answers(case: str) -> Answers:
    return Answers(load(case).inputs)


def drawn(inputs: Inputs, seed: int) -> dict[str, Any]:
    """Hyperparameters anywhere in what is searched, as a candidate."""
    random = np.random.default_rng(seed)
    found = {name: random.uniform(low, high) for name, (low, high) in dimensions(inputs).items()}
    return {"solID": "1_1_1", "train_size": 1.0, **found}


def model(inputs: Inputs, seed: int) -> ModelAnswer:
    return Answers(inputs).model(drawn(inputs, seed))


@given(CASES, SEEDS, st.floats(0.01, 100), st.floats(1, 10), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_more_spend_never_lowers_a_response(
    case: str, seed: int, factor: float, more: float, periods: int
) -> None:
    inputs = load(case).inputs
    candidate = drawn(inputs, seed)
    for media in answers(case).model(candidate).media:
        assert (np.diff(media.curve.response) >= 0).all()
        assert (media.curve.marginal >= 0).all()
        total = factor * float(media.curve.value.max()) * periods
        rows = inputs.values[inputs.stop - periods : inputs.stop, inputs.columns.index(media.name)]
        if rows.any():
            low, high = (
                answers(case).response(candidate, media.name, spend, periods)
                for spend in (total, more * total)
            )
            assert high >= low * (1 - 1e-12)


@given(CASES, SEEDS)
@settings(max_examples=60, deadline=None)
def test_contributions_add_up_to_the_prediction(case: str, seed: int) -> None:
    found = answers(case).model(drawn(load(case).inputs, seed))
    size = np.abs(found.contributions.to_numpy()).sum(axis=1)
    assert (np.abs(found.contributions.sum(axis=1) - found.fitted) <= 1e-13 * size).all()
    summary = found.summary.set_index("rn")
    np.testing.assert_allclose(summary["xDecompPerc"].sum(), 1, rtol=1e-12)
    for media in found.media:
        np.testing.assert_allclose(media.response, found.contributions[media.name], rtol=1e-9, atol=1e-9)
        assert (media.response_carryover <= media.response * (1 + 1e-12)).all()


def in_another_currency(inputs: Inputs, spend: float, dependent: float) -> Inputs:
    """The same market, spends (and exposures, which are in currency) and sales counted in other units."""
    values = inputs.values.copy()
    paid = [inputs.columns.index(name) for name in inputs.paid]
    prophet_and_factors = [inputs.columns.index(name) for name in (*inputs.prophet, "promo")]
    values[:, paid] *= spend
    values[:, prophet_and_factors] *= dependent
    return replace(inputs, values=values, spend=inputs.spend * spend, dependent=inputs.dependent * dependent)


@given(CASES, SEEDS, st.floats(1e-4, 1e4), st.floats(1e-4, 1e4))
@settings(max_examples=60, deadline=None)
def test_another_currency_scales_the_answers(case: str, seed: int, spend: float, dependent: float) -> None:
    inputs = load(case).inputs
    before, after = model(inputs, seed), model(in_another_currency(inputs, spend, dependent), seed)
    size = float(np.abs(before.contributions.to_numpy()).max()) * dependent
    np.testing.assert_allclose(
        after.contributions, before.contributions * dependent, rtol=1e-6, atol=1e-9 * size
    )
    old, new = (one.summary.set_index("rn").loc[list(inputs.paid)] for one in (before, after))
    np.testing.assert_allclose(new["total_spend"], old["total_spend"] * spend, rtol=1e-12)
    np.testing.assert_allclose(
        new["roi_total"] * new["total_spend"], old["xDecompAgg"] * dependent, rtol=1e-6, atol=1e-9 * size
    )
    np.testing.assert_allclose(new["spend_share"], old["spend_share"], rtol=1e-12)


@given(st.floats(0.01, 100))
@settings(max_examples=3, deadline=None)
def test_a_search_in_another_currency_finds_the_same_models(factor: float) -> None:
    inputs, plan = load("weekly_geometric_split").inputs, Plan(iterations=60, trials=2, seed=3)
    before = fit_inputs(inputs, plan)
    after = fit_inputs(in_another_currency(inputs, factor, 1.0), plan)
    same = ["solID", "nrmse", "decomp.rssd", "robynPareto", "error_score", "tv_spend_thetas", "lambda_hp"]
    pd.testing.assert_frame_equal(after.candidates[same], before.candidates[same], rtol=1e-9, atol=0)
    assert after.best.solution == before.best.solution
    old, new = (result.best.summary["roi_total"] for result in (before, after))
    pd.testing.assert_series_equal(new, old / factor, rtol=1e-9, atol=0)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 1000), st.integers(1, 5))
@settings(max_examples=12, deadline=None)
def test_how_the_work_is_divided_changes_nothing(trials: int, threads: int, seed: int, first: int) -> None:
    """Over threads of one process, and over processes that take some of the trials each."""
    inputs, plan = load("weekly_calibrated").inputs, Plan(iterations=45, trials=trials, seed=seed)
    whole = search(inputs, plan)
    cut = min(first, trials) + 1
    parts = [
        search(inputs, plan, trials=some, threads=threads) for some in (range(1, cut), range(cut, trials + 1))
    ]
    table = pd.concat([part.table for part in parts if len(part.table)], ignore_index=True)
    pd.testing.assert_frame_equal(table, whole.table, check_exact=True)
    np.testing.assert_array_equal(np.vstack([part.coefficients for part in parts]), whole.coefficients)


def test_the_best_model_has_the_smallest_of_what_was_asked_for() -> None:
    inputs, plan = load("weekly_geometric_split").inputs, Plan(300, 2, 7)
    by_score, by_fit = (fit_inputs(replace(inputs, best_by=by), plan) for by in ("error_score", "nrmse"))
    assert by_score.pareto == by_fit.pareto
    chosen = by_fit.candidates[by_fit.candidates["solID"].isin(by_fit.pareto)]
    assert by_fit.best.candidate["nrmse"] == chosen["nrmse"].min()
    assert by_score.best.candidate["error_score"] == chosen["error_score"].min()
    assert by_score.best.solution != by_fit.best.solution
