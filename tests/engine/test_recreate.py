"""A model comes again from its JSON document and the data, with the numbers that the training found."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.engine.golden import load
from trainer.engines.common import InvalidInputs
from trainer.engines.native import files
from trainer.engines.native.prepare.inputs import build
from trainer.engines.native.records import ModelAnswer
from trainer.engines.native.recreate import document, recreate
from trainer.engines.native.result import Result
from trainer.engines.native.search.trials import Plan
from trainer.engines.native.training import answer, fit_inputs

CASES = (
    "weekly_geometric",
    "weekly_geometric_split",
    "weekly_weibull_cdf",
    "weekly_weibull_pdf",
    "weekly_penalty",
    "weekly_calibrated",
    "weekly_unconstrained_intercept",
    "daily_geometric",
)
RELATIVE = {"robynPareto", "error_score", "mape.qt10"}
"""What compares a model with the others of its search."""


def trained(name: str, **changes: Any) -> Result:
    case = load(name)
    ours = build(case.data, case.config, case.prophet).studies  # not scaled as by Robyn
    inputs = replace(case.inputs, **{"studies": ours, **changes})
    return fit_inputs(inputs, Plan(iterations=60, trials=2, seed=1))


def through_a_file(result: Result, model: ModelAnswer, name: str, path: Path) -> dict[str, Any]:
    files.write_json(document(result, model, load(name).config), path)
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("name", CASES)
def test_a_model_comes_again_with_its_numbers(name: str, tmp_path: Path) -> None:
    result = trained(name)
    for solution in (result.best.solution, "2_17_1"):
        model = answer(result, solution)
        again = recreate(load(name).data, through_a_file(result, model, name, tmp_path / "model.json"))
        assert again.best.solution == solution
        for metric in set(model.candidate) - RELATIVE:
            expected = pytest.approx(model.candidate[metric], rel=1e-12, nan_ok=True)
            assert again.best.candidate[metric] == expected, metric
        pd.testing.assert_frame_equal(again.best.contributions, model.contributions, rtol=1e-12, atol=0)
        pd.testing.assert_frame_equal(again.best.summary, model.summary, rtol=1e-12, atol=0)
        for found, expected in zip(again.best.media, model.media, strict=True):
            np.testing.assert_allclose(found.curve.response, expected.curve.response, rtol=1e-12)


def test_the_solver_is_the_one_that_was_used(tmp_path: Path) -> None:
    case = load("weekly_geometric")
    config = case.config.model_copy(
        update={"search": case.config.search.model_copy(update={"solver": "converged"})}
    )
    result = trained("weekly_geometric", solver="converged")
    files.write_json(document(result, result.best, config), tmp_path / "model.json")
    again = recreate(case.data, json.loads((tmp_path / "model.json").read_text(encoding="utf-8")))
    np.testing.assert_allclose(again.best.summary["coef"], result.best.summary["coef"], rtol=1e-12)


def test_other_data_are_refused(tmp_path: Path) -> None:
    result, data = trained("weekly_geometric"), load("weekly_geometric").data
    saved = through_a_file(result, result.best, "weekly_geometric", tmp_path / "model.json")
    corrected = data.assign(revenue=data["revenue"] * np.where(data.index == 100, 1.01, 1.0))
    with pytest.raises(InvalidInputs, match="trained on"):
        recreate(corrected, saved)


def test_the_document_says_what_users_of_robyn_look_for(tmp_path: Path) -> None:
    result = trained("weekly_geometric_split")
    saved = through_a_file(result, result.best, "weekly_geometric_split", tmp_path / "model.json")
    assert saved["InputCollect"]["paid_media_selected"] == list(result.inputs.paid)
    assert saved["InputCollect"]["rollingWindowLength"] == len(result.inputs.window_dates)
    assert saved["ExportedModel"]["errors"]["nrmse"] == result.best.candidate["nrmse"]
    total = saved["ExportedModel"]["performance"]
    paid = [row for row in saved["ExportedModel"]["summary"] if row["variable"] in result.inputs.paid]
    assert total["response"] == pytest.approx(sum(row["decompAgg"] for row in paid), rel=1e-12)
    assert total["performance"] == pytest.approx(total["response"] / total["spend"], rel=1e-12)
    assert total["metric"] == "ROAS"
