"""A search that starts from a former front: what it tries first, and that it can only gain by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.model import ModelConfig
from tests.engine.golden import Case, load
from trainer.engines.beginning import begin
from trainer.engines.common import InvalidInputs
from trainer.engines.native import files
from trainer.engines.native.records import Inputs
from trainer.engines.native.result import Result
from trainer.engines.native.search.trials import Plan, dimensions, search
from trainer.engines.native.training import fit
from trainer.engines.refresh.former import Former, front

JOB = "de-weekly-0123456789ab"
OBJECTIVES = ["nrmse", "decomp.rssd"]


def changed(case: Case, **search: Any) -> ModelConfig:
    given = case.config.model_dump()
    return ModelConfig.model_validate({**given, "search": {**given["search"], **search}})


@pytest.fixture(scope="module")
def result() -> Result:
    case = load("weekly_geometric")
    return fit(case.data, changed(case, iterations=150, trials=2), prophet=case.prophet)


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory, result: Result) -> Path:
    folder = tmp_path_factory.mktemp("former")
    files.write(result, load("weekly_geometric").config, folder)
    return folder


def test_every_trial_first_tries_models_from_all_over_the_former_front(former: Path, result: Result) -> None:
    case = load("weekly_geometric")
    config = changed(case, iterations=40, trials=3, start_from=JOB)
    again = fit(case.data, config, former=former, prophet=case.prophet).candidates
    old = result.candidates[result.candidates["robynPareto"] == 1].sort_values("nrmse")
    names = list(dimensions(result.inputs))
    for _, found in again.groupby("trial"):
        first = found.head(min(len(old), 15))
        for edge in (0, -1):  # the best NRMSE and the best DECOMP.RSSD are among them
            np.testing.assert_allclose(first[names].iloc[edge], old[names].iloc[edge], rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(first[OBJECTIVES].iloc[edge], old[OBJECTIVES].iloc[edge], rtol=1e-6)
        assert first["nrmse"].is_monotonic_increasing
    assert again.groupby("trial")["nrmse"].nth(20).nunique() == 3  # what follows is each trial's own


def test_it_is_the_same_for_any_number_of_threads_and_tasks(former: Path) -> None:
    case = load("weekly_geometric")
    config = changed(case, iterations=60, trials=3, start_from=JOB)
    begun = begin(case.data, config, former)
    plan = Plan.of(begun.config.search, begun.start)
    alone = search(case.inputs, plan).table
    together = search(case.inputs, plan, threads=3).table
    tasks = [search(case.inputs, plan, trials=range(first, last)).table for first, last in ((1, 2), (2, 4))]
    pd.testing.assert_frame_equal(alone, together, check_exact=True)
    pd.testing.assert_frame_equal(alone, pd.concat(tasks, ignore_index=True), check_exact=True)


def test_todays_ranges_hold_and_what_the_former_models_do_not_have_is_drawn() -> None:
    inputs = load("weekly_penalty").inputs
    bounds = inputs.bounds | {"tv_spend_thetas": (0.2, 0.3), "tv_spend_gammas": (0.7, 0.7)}
    inputs = replace(inputs, bounds=bounds)
    model = {name: (low + high) / 2 for name, (low, high) in bounds.items()}
    model |= {"tv_spend_thetas": 0.9, "ooh_spend_thetas": -1.0, "tv_spend_gammas": 0.4, "lambda_hp": 0.25}
    started = search(inputs, Plan(iterations=5, trials=2, seed=3, start=(model,))).table
    free = search(inputs, Plan(iterations=5, trials=2, seed=3)).table
    for trial in (1, 2):
        first, draw = (table[table["trial"] == trial].iloc[0] for table in (started, free))
        assert first["tv_spend_thetas"] == 0.3
        assert first["ooh_spend_thetas"] == bounds["ooh_spend_thetas"][0]
        assert first["tv_spend_gammas"] == 0.7
        assert first["lambda_hp"] == 0.25
        for penalty in inputs.penalties:
            assert first[penalty] == draw[penalty]
    pd.testing.assert_frame_equal(*(table[table["iterNG"] > 1] for table in (started, free)))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**31 - 200), count=st.integers(1, 40), iterations=st.integers(1, 60))
def test_nothing_that_it_started_from_is_better_than_all_that_it_found(
    seed: int, count: int, iterations: int
) -> None:
    inputs: Inputs = load("weekly_geometric").inputs
    names = dimensions(inputs)
    known = search(inputs, Plan(iterations=count, trials=1, seed=seed)).table
    start = tuple(known[list(names)].to_dict("records"))
    found = search(inputs, Plan(iterations, trials=1, seed=seed + 100, start=start)).table
    for tried in known.head(min(30, iterations)).itertuples(index=False):
        errors = (found["nrmse"] - tried.nrmse).clip(lower=0) / tried.nrmse
        others = (
            found["decomp.rssd"] - known.loc[known["solID"] == tried.solID, "decomp.rssd"].iloc[0]
        ).clip(lower=0)
        assert ((errors < 1e-6) & (others < 1e-6)).any()


def test_other_media_or_a_result_that_is_not_there_is_said(former: Path, tmp_path: Path) -> None:
    case = load("weekly_geometric")
    config = changed(case, start_from=JOB)
    with pytest.raises(InvalidInputs, match=f"job {JOB} does not exist any more"):
        begin(case.data, config, None)
    with pytest.raises(InvalidInputs, match=r"no pareto_hyperparameters\.csv"):
        begin(case.data, config, tmp_path)
    with pytest.raises(InvalidInputs, match=r"tv_spend_shapes.*other media or adstock"):
        front(Former(former).hyperparameters, config.model_copy(update={"adstock": "weibull_pdf"}))
