"""What a search promises: the same models whatever the number of processes, progress, no traces."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest

from tests.engine.golden import load
from trainer.engines.native.fit import answer, fit_inputs
from trainer.engines.native.pareto import select
from trainer.engines.native.result import Progress
from trainer.engines.native.search import Plan, run_trial, search

PLAN = Plan(iterations=40, trials=2, seed=7)


def test_two_processes_find_what_one_finds_and_report_every_trial() -> None:
    inputs, plan = load("weekly_geometric").inputs, Plan(iterations=40, trials=4, seed=7)
    alone: list[Progress] = []
    together: list[Progress] = []

    def slowly(report: Progress) -> None:
        time.sleep(0.5)  # leaves a trial to the other process, which takes a while to start
        together.append(report)

    one = search(inputs, plan, progress=alone.append)
    two = search(inputs, plan, processes=2, progress=slowly)
    pd.testing.assert_frame_equal(one.table, two.table, check_exact=True)
    np.testing.assert_array_equal(one.coefficients, two.coefficients)
    for reports in (alone, together):
        last = {report.trial: report for report in reports}
        assert sorted(last) == [1, 2, 3, 4]
        for trial, report in last.items():
            found = one.table[one.table["trial"] == trial]
            best = float(found["nrmse"].min()), float(found["decomp.rssd"].min())
            assert report == Progress(trial, 4, 40, 40, *best)


def test_a_spawned_process_finds_the_same() -> None:
    inputs = load("weekly_weibull_pdf").inputs
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        there = pool.submit(run_trial, inputs, PLAN, 2, print).result()
    here = run_trial(inputs, PLAN, 2, print)
    np.testing.assert_array_equal(there.outcome, here.outcome)
    np.testing.assert_array_equal(there.beta, here.beta)


def test_a_failing_caller_is_not_kept_waiting() -> None:
    def give_up(_: Progress) -> None:
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        search(
            load("weekly_geometric").inputs,
            Plan(iterations=200, trials=50, seed=1),
            processes=2,
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


def test_one_candidate_is_enough_where_everything_is_fixed() -> None:
    inputs = load("weekly_geometric").inputs
    robyns = load("weekly_geometric").models.iloc[100]
    bounds = {name: (robyns[name], robyns[name]) for name in inputs.bounds}
    fixed = replace(inputs, bounds=bounds, lambda_range=(robyns["lambda_hp"], robyns["lambda_hp"]))
    result = fit_inputs(fixed, Plan(iterations=500, trials=1, seed=0))
    assert len(result.candidates) == 1
    assert result.best.candidate["nrmse"] == pytest.approx(robyns["nrmse"], rel=1e-12)


def test_few_candidates_are_all_judged_instead_of_failing() -> None:
    result = fit_inputs(load("weekly_geometric").inputs, PLAN)
    judged = result.candidates["robynPareto"].notna()
    assert 0 < judged.sum() < 100
    assert set(result.pareto) == set(result.candidates["solID"][judged])


def test_a_model_answers_the_same_when_asked_again() -> None:
    result = fit_inputs(load("weekly_calibrated").inputs, PLAN)
    again = answer(result, result.best.solution)
    pd.testing.assert_frame_equal(again.contributions, result.best.contributions)
    np.testing.assert_allclose(again.contributions.sum(axis=1), again.fitted, rtol=1e-12)
    for media in again.media:
        np.testing.assert_allclose(media.response, again.contributions[media.name], rtol=1e-12)
        assert (media.response_carryover <= media.response).all()
    with pytest.raises(KeyError, match="9_9_1"):
        answer(result, "9_9_1")


def test_infinite_errors_do_not_stop_the_selection() -> None:
    table = pd.DataFrame(
        {
            "solID": list("abcd"),
            "nrmse": [0.1, 0.2, 0.3, 0.4],
            "nrmse_train": [0.1, 0.2, 0.3, 0.4],
            "nrmse_test": np.nan,
            "decomp.rssd": [np.inf, 0.2, 0.3, np.inf],
            "mape": 0.0,
        }
    )
    assert select(table, calibrated=False).best == "b"
