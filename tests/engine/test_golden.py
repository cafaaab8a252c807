"""The engine against Robyn's own answers: same proposals, same models, same numbers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from tests.engine.golden import CASES, load, read
from trainer.engines.native.explain.answers import Answers
from trainer.engines.native.result import Result
from trainer.engines.native.search.trials import Plan
from trainer.engines.native.training import fit, fit_inputs

TOLERANCE = 1e-9
PROPOSAL_TOLERANCE = 1e-12
MIN_CANDIDATES = {"weekly_search": 60}


@lru_cache
def searched(name: str) -> Result:
    case = load(name)
    search = case.config.search
    plan = Plan(search.iterations, search.trials, search.seed)
    return fit_inputs(case.inputs, plan, min_candidates=MIN_CANDIDATES.get(name, 100))


def assert_same(
    ours: pd.DataFrame, robyns: pd.DataFrame, columns: list[str], tolerance: float = TOLERANCE
) -> None:
    for column in columns:
        actual, expected = ours[column].to_numpy(dtype=float), robyns[column].to_numpy(dtype=float)
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=0, err_msg=column)


@pytest.mark.parametrize("name", CASES)
def test_prepared_columns_are_robyns(name: str) -> None:
    case = load(name)
    inputs = case.inputs
    recorded = case.recorded
    assert list(inputs.columns) == recorded["inputs"]["design_columns"]
    assert (inputs.first + 1, inputs.stop) == (
        recorded["inputs"]["window_first_row"],
        recorded["inputs"]["window_last_row"],
    )
    prepared = np.column_stack([recorded["dt_mod"][column] for column in inputs.columns]).astype(float)
    np.testing.assert_allclose(inputs.values, prepared, rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_every_proposal_and_every_model_is_robyns(name: str) -> None:
    ours, robyns = searched(name).candidates, load(name).models
    assert list(ours["solID"]) == list(robyns["solID"])
    inputs = searched(name).inputs
    proposed = [*inputs.bounds, "train_size", "lambda_hp", *inputs.penalties]
    assert_same(ours, robyns, proposed, PROPOSAL_TOLERANCE)
    assert_same(ours, robyns, [column for column in robyns if column not in ("solID", *proposed)])


@pytest.mark.parametrize("name", CASES)
def test_every_decomposition_is_robyns(name: str) -> None:
    result = searched(name)
    answers = Answers(result.inputs)
    candidates = result.candidates.to_dict("records")
    ours = pd.concat([answers.model(c).summary.assign(solID=c["solID"]) for c in candidates])
    robyns = pd.DataFrame(load(name).recorded["decomposition"])
    both = ours.merge(robyns, on=["solID", "rn"], suffixes=("", "_robyn"), validate="one_to_one")
    assert len(both) == len(ours) == len(robyns)
    columns = [column for column in robyns if column not in ("solID", "rn")]
    expected = both[[f"{column}_robyn" for column in columns]].set_axis(columns, axis=1)
    assert_same(both, expected, columns)
    coefficients = ours["coef"].to_numpy().reshape(len(candidates), -1)
    np.testing.assert_array_equal(result.coefficients, coefficients)


def test_fit_injects_prophet_columns_and_selects_from_the_same_search() -> None:
    case = load("weekly_geometric_split")
    result = fit(case.data, case.config, prophet=case.prophet)
    assert_same(result.candidates, case.models, ["nrmse", "decomp.rssd", "nrmse_test"])
    assert result.best.split.train + result.best.split.validation + result.best.split.test == 183
    pareto = result.candidates[result.candidates["solID"].isin(result.pareto)]
    assert result.best.candidate["error_score"] == pareto["error_score"].min()


def test_pareto_fronts_and_error_scores_are_robyns() -> None:
    result, recorded = searched("weekly_search"), load("weekly_search").recorded
    robyns = pd.DataFrame(recorded["pareto_ranks"])
    ours = result.candidates.set_index("solID").loc[robyns["solID"]].reset_index()
    assert set(result.pareto) == set(recorded["pareto_solutions"])
    assert list(ours["robynPareto"]) == list(robyns["robynPareto"])
    assert list(ours["mape.qt10"]) == list(robyns["mape.qt10"])
    assert_same(ours, robyns, ["error_score"])


def test_the_table_of_pareto_solutions_is_robyns() -> None:
    ours, robyns = (
        searched("weekly_search").aggregated,
        pd.DataFrame(read("weekly_outputs")["pareto_aggregated"]),
    )
    both = ours.merge(robyns, on=["solID", "rn"], suffixes=("", "_robyn"), validate="one_to_one")
    assert len(both) == len(ours) == len(robyns)
    shared = [column for column in ours if column in robyns and column not in ("solID", "rn")]
    assert {"roi_total", "cpa_mean", "mean_carryover", "carryover_pct", "mean_response"} <= set(shared)
    expected = both[[f"{column}_robyn" for column in shared]].set_axis(shared, axis=1).astype(float)
    assert_same(
        both.replace(np.inf, np.nan), expected, shared
    )  # an infinite CPA has no JSON, so it was left out


def test_response_at_the_mean_spend_is_robyns() -> None:
    result, recorded = searched("weekly_search"), load("weekly_search").recorded
    candidates = result.candidates.set_index("solID", drop=False)
    model = Answers(result.inputs).model(candidates.loc[recorded["allocator_model"]].to_dict())
    robyns = pd.DataFrame(recorded["allocator_max_response"]).set_index("channels")
    curves = {answer.name: answer.curve for answer in model.media if answer.spend_name}
    for name, curve in curves.items():
        assert curve.mean_value == pytest.approx(robyns["initSpendUnit"][name], rel=TOLERANCE)
        assert curve.mean_value_response == pytest.approx(robyns["initResponseUnitSim"][name], rel=TOLERANCE)


def test_lift_of_calibration_studies_is_robyns() -> None:
    result, recorded = searched("weekly_calibrated"), load("weekly_calibrated").recorded
    robyns = pd.DataFrame(recorded["lift"])
    answers = Answers(result.inputs)
    candidates = result.candidates.to_dict("records")
    ours = pd.concat([answers.lift(candidate) for candidate in candidates])
    both = ours.merge(robyns, on=["solID", "liftMedia"], suffixes=("", "_robyn"), validate="one_to_one")
    assert len(both) == len(robyns) == len(ours)
    for column in ("liftStart", "liftEnd", "decompStart", "decompEnd"):
        assert list(both[column].astype(str)) == list(both[f"{column}_robyn"])
    numbers = ["decompAbsScaled", "decompAbsTotalScaled", "calibrated_pct", "mape_lift"]
    assert_same(both, both[[f"{n}_robyn" for n in numbers]].set_axis(numbers, axis=1), numbers)
    assert set(result.lift["solID"]) == set(result.pareto)
