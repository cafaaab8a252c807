"""What a search promises: the same models whatever the number of processes, progress, no traces."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from contracts.model import ModelConfig
from tests.engine.golden import load
from trainer.engines.common import Floats
from trainer.engines.native.explain.answers import Answers
from trainer.engines.native.prepare.inputs import build
from trainer.engines.native.records import TrialProgress
from trainer.engines.native.result import candidate_of
from trainer.engines.native.search.trials import Plan, run_trial, search
from trainer.engines.native.select.pareto import select
from trainer.engines.native.training import fit_inputs

PLAN = Plan(iterations=40, trials=2, seed=7)


def test_three_threads_find_what_one_finds_and_report_every_trial() -> None:
    inputs, plan = load("weekly_geometric").inputs, Plan(iterations=40, trials=4, seed=7)
    alone: list[TrialProgress] = []
    together: list[TrialProgress] = []
    one = search(inputs, plan, progress=alone.append)
    two = search(inputs, plan, threads=3, progress=together.append)
    pd.testing.assert_frame_equal(one.table, two.table, check_exact=True)
    np.testing.assert_array_equal(one.coefficients, two.coefficients)
    for reports in (alone, together):
        last = {report.trial: report for report in reports}
        assert sorted(last) == [1, 2, 3, 4]
        for trial, report in last.items():
            found = one.table[one.table["trial"] == trial]
            best = float(found["nrmse"].min()), float(found["decomp.rssd"].min())
            assert report == TrialProgress(trial, 4, 40, 40, *best)


def test_a_spawned_process_finds_the_same() -> None:
    inputs = load("weekly_weibull_pdf").inputs
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        there = pool.submit(run_trial, inputs, PLAN, 2, print).result()
    here = run_trial(inputs, PLAN, 2, print)
    np.testing.assert_array_equal(there.outcome, here.outcome)
    np.testing.assert_array_equal(there.beta, here.beta)


def test_a_failing_caller_is_not_kept_waiting() -> None:
    def give_up(_: TrialProgress) -> None:
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        search(
            load("weekly_geometric").inputs,
            Plan(iterations=100_000, trials=50, seed=1),
            threads=2,
            progress=give_up,
        )


def test_trials_are_independent_of_each_other() -> None:
    inputs = load("weekly_geometric").inputs
    second = run_trial(inputs, PLAN, 2, lambda _: None)
    both = search(inputs, PLAN).table
    np.testing.assert_array_equal(second.outcome[:, 0], both[both["trial"] == 2]["nrmse"])


def test_numpys_random_state_is_left_alone() -> None:
    np.random.seed(11)
    expected = np.random.rand(3)
    np.random.seed(11)
    search(load("weekly_geometric").inputs, PLAN)
    np.testing.assert_array_equal(np.random.rand(3), expected)


def test_fixed_hyperparameters_are_not_searched() -> None:
    inputs = load("weekly_geometric").inputs
    bounds = inputs.bounds | {"tv_spend_thetas": (0.3, 0.3)}
    table = search(replace(inputs, bounds=bounds), PLAN).table
    assert set(table["tv_spend_thetas"]) == {0.3}
    assert table["tv_spend_alphas"].nunique() > len(table) / 2


def test_a_trial_ends_when_its_front_has_not_moved() -> None:
    inputs = load("weekly_geometric").inputs
    everything = search(inputs, Plan(iterations=1500, trials=2, seed=7)).table
    reports: list[TrialProgress] = []
    stopping = Plan(iterations=1500, trials=2, seed=7, unmoved_iterations=25)
    stopped = search(inputs, stopping, progress=reports.append).table
    for trial, found in stopped.groupby("trial"):
        full = everything[everything["trial"] == trial].reset_index(drop=True)
        last = len(found)
        assert 30 < last < 1500
        pd.testing.assert_frame_equal(found.reset_index(drop=True), full[:last], check_exact=True)
        assert last == _first_pause(full[["nrmse", "decomp.rssd"]].to_numpy(), 25)
        assert max(r.iteration for r in reports if r.trial == trial) == last


def _first_pause(losses: Floats, patience: int) -> int:
    """After how many candidates none of the last `patience` was, when it came, on the front."""
    moved = 30  # the first population counts as one step
    for i in range(30, len(losses)):
        if i - moved >= patience:
            return i
        if (losses[:i] > losses[i]).any(axis=1).all():
            moved = i + 1
    return len(losses)


def test_the_wall_time_is_kept_and_every_trial_gets_some() -> None:
    inputs = load("weekly_geometric").inputs
    table = search(inputs, Plan(iterations=100_000, trials=3, seed=7, seconds=0.3), threads=2).table
    counts = table["trial"].value_counts()
    assert set(counts.index) == {1, 2, 3}
    assert counts.max() < 100_000


def test_weights_of_the_objectives_steer_the_search() -> None:
    inputs = load("weekly_geometric").inputs
    usual, equal, tilted = (
        search(inputs, Plan(iterations=400, trials=1, seed=7, weights=weights)).table
        for weights in (None, (2.0, 2.0), (10.0, 0.0))
    )
    pd.testing.assert_frame_equal(usual, equal)
    pd.testing.assert_frame_equal(usual[:30], tilted[:30])  # the first population is drawn before
    assert not usual["nrmse"].equals(tilted["nrmse"])


@pytest.mark.parametrize(
    ("weights", "problem"),
    [([1, 2, 3], "3 weights for 2 objectives"), ([0, 0], "at least one must be above 0"), ([1, 11], "10")],
)
def test_weights_that_fit_nothing_are_refused(weights: list[float], problem: str) -> None:
    config = load("weekly_geometric").config.model_dump(mode="json")
    config["search"]["objective_weights"] = weights
    with pytest.raises(ValidationError, match=problem):
        ModelConfig.model_validate(config)


def test_a_request_reaches_the_search() -> None:
    config = load("weekly_geometric").config.model_dump(mode="json")
    config["search"] |= {
        "objective_weights": [1, 3],
        "solver": "converged",
        "stop": {"unmoved_iterations": 40, "seconds": 60},
    }
    asked = ModelConfig.model_validate(config)
    plan = Plan.of(asked.search)
    assert (plan.weights, plan.unmoved_iterations, plan.seconds) == ((1.0, 3.0), 40, 60.0)
    case = load("weekly_geometric")
    assert build(case.data, asked, case.prophet).solver == "converged"


def test_one_candidate_is_enough_where_everything_is_fixed() -> None:
    inputs = load("weekly_geometric").inputs
    robyns = load("weekly_geometric").models.iloc[100]
    bounds = {name: (robyns[name], robyns[name]) for name in inputs.bounds}
    fixed = replace(inputs, bounds=bounds, lambda_range=(robyns["lambda_hp"], robyns["lambda_hp"]))
    result = fit_inputs(fixed, Plan(iterations=500, trials=5, seed=0))
    assert len(result.candidates) == 1
    assert result.best.candidate["nrmse"] == pytest.approx(robyns["nrmse"], rel=1e-12)


def test_few_candidates_are_all_judged_instead_of_failing() -> None:
    result = fit_inputs(load("weekly_geometric").inputs, PLAN)
    judged = result.candidates["robynPareto"].notna()
    assert 0 < judged.sum() < 100
    assert set(result.pareto) == set(result.candidates["solID"][judged])


@pytest.mark.parametrize("name", ["weekly_geometric", "weekly_geometric_split", "weekly_calibrated"])
def test_a_handful_of_candidates_is_enough(name: str) -> None:
    """Each may be the worst by one error, so that none is within the quantiles of all."""
    inputs = load(name).inputs
    for iterations in range(1, 6):
        for seed in range(6):
            result = fit_inputs(inputs, Plan(iterations=iterations, trials=1, seed=seed))
            assert result.best.solution in result.pareto


def errors(**columns: list[float]) -> pd.DataFrame:
    table = pd.DataFrame({"nrmse_test": np.nan, "mape": 0.0, **columns})
    return table.assign(solID=list("abcd")[: len(table)], nrmse_train=table["nrmse"])


def test_where_the_quantiles_leave_nobody_the_calibration_error_still_chooses() -> None:
    table = errors(**{"nrmse": [0.9, 0.1, 0.2], "decomp.rssd": [0.1, 0.9, 0.2], "mape": [0.1, 0.5, 0.6]})
    assert select(table, calibrated=True).pareto == ("a",)
    assert select(table[:2], calibrated=False).pareto == ("b", "a")


def test_where_no_study_has_an_error_the_other_errors_choose() -> None:
    table = errors(**{"nrmse": [0.2, 0.1], "decomp.rssd": [0.2, 0.1], "mape": [np.nan, np.nan]})
    assert select(table, calibrated=True).best == "b"


def test_a_model_is_explained_once() -> None:
    result = fit_inputs(load("weekly_geometric").inputs, PLAN)
    assert result.model(result.best.solution) is result.best
    dropped = result.candidates.loc[~result.candidates["solID"].isin(result.pareto), "solID"].iloc[0]
    assert result.model(dropped) is result.model(dropped)
    assert result.model(dropped).solution == dropped


def test_a_model_answers_the_same_when_asked_again() -> None:
    result = fit_inputs(load("weekly_calibrated").inputs, PLAN)
    again = Answers(result.inputs).model(candidate_of(result.candidates, result.best.solution))
    pd.testing.assert_frame_equal(again.contributions, result.best.contributions)
    np.testing.assert_allclose(again.contributions.sum(axis=1), again.fitted, rtol=1e-12)
    for media in again.media:
        np.testing.assert_allclose(media.response, again.contributions[media.name], rtol=1e-12)
        assert (media.response_carryover <= media.response).all()
    with pytest.raises(KeyError, match="9_9_1"):
        result.model("9_9_1")


@pytest.mark.parametrize("best_by", ["error_score", "nrmse"])
def test_a_model_without_any_effect_is_the_best_only_if_there_is_no_other(best_by: str) -> None:
    table = errors(**{"nrmse": [0.1, 0.2, 0.3], "decomp.rssd": [np.inf, 1.9, 2.1]})
    assert select(table, calibrated=False, best_by=best_by).best == "b"
    assert select(table.assign(**{"decomp.rssd": np.inf}), calibrated=False, best_by=best_by).best == "a"


def test_a_refresh_takes_the_best_fit_of_the_models_near_to_the_former_one() -> None:
    table = errors(**{"nrmse": [0.1, 0.2, 0.25, 0.3], "decomp.rssd": [0.3, 0.171, 0.165, 0.162]})
    assert select(table, calibrated=False, refresh=True).best == "b"


def test_infinite_errors_do_not_stop_the_selection() -> None:
    table = errors(**{"nrmse": [0.1, 0.2, 0.3, 0.4], "decomp.rssd": [np.inf, 0.2, 0.3, np.inf]})
    assert select(table, calibrated=False).best == "b"
