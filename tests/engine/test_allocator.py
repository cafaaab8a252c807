"""The allocator: never less response than Robyn's, constraints kept, and a question without an answer."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from contracts.budget import BudgetQuestion
from contracts.model import ModelConfig
from tests.engine.golden import load, read
from tests.engine.test_golden import searched
from trainer.engines.base import Host, Material
from trainer.engines.common import InvalidInputs
from trainer.engines.native.budget import files as reallocated
from trainer.engines.native.budget.allocator import Curves, best_roas, reach_target, spend_budget
from trainer.engines.native.budget.reallocation import Infeasible, Reallocation, reallocate
from trainer.engines.native.engine import NativeEngine
from trainer.engines.native.pictures import allocator_picture
from trainer.engines.native.training import answer

QUESTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "bounds": {"bounds": {"low": 0.7, "high": 1.5}},
    "budget": {"start": "2024-01-08", "end": "2024-12-30", "total": 5.2e6},
    "target": {"scenario": "target_efficiency"},
}
FREE = ("default", "bounds", "budget")
"""The calls that Robyn solves."""

TODAY = np.array([20000.0, 15000, 8000, 30000, 12000])
CURVES = Curves(
    coefficient=np.array([6e5, 2.5e5, 1.2e5, 9e5, 3e5]),
    alpha=np.array([1.2, 0.8, 2.1, 1.5, 0.6]),
    inflexion=np.array([30000.0, 20000, 9000, 60000, 10000]),
    carryover=np.array([8000.0, 3000, 1000, 20000, 500]),
)


def asked(**question: Any) -> Reallocation:
    result = searched("weekly_search")
    model = answer(result, read("weekly_outputs")["best"])
    return reallocate(result.inputs, model, BudgetQuestion.model_validate(question))


def robyns(call: str) -> pd.DataFrame:
    return pd.DataFrame(read("weekly_outputs")["allocator"][call]).drop(columns="_row")


@pytest.mark.parametrize("call", QUESTIONS)
def test_never_less_response_than_robyns_and_all_constraints_kept(call: str):
    ours, theirs = reallocated.table(asked(**QUESTIONS[call])), robyns(call)
    for suffix, bounds in (("", ""), ("Unbound", "_unb")):
        gain = ours[f"optmResponseUnitTotal{suffix}"] / theirs[f"optmResponseUnitTotal{suffix}"] - 1
        assert (gain > (0.1 if call == "target" else -1e-10)).all()
        spend = ours[f"optmSpendUnit{suffix}"]
        assert (spend >= ours[f"constr_low{bounds}_abs"] * (1 - 1e-6)).all()
        assert (spend <= ours[f"constr_up{bounds}_abs"] * (1 + 1e-6)).all()
        if call in FREE:
            assert spend.sum() == pytest.approx(ours["total_budget_unit"][0], rel=1e-9)
    if call == "target":
        roas = ours["optmResponseUnitTotal"][0] / ours["optmSpendUnitTotal"][0]
        assert roas == pytest.approx(0.8 * ours["initResponseUnitTotal"][0] / ours["initSpendUnitTotal"][0])


@pytest.mark.parametrize("call", QUESTIONS)
def test_the_table_is_robyns(call: str):
    """Same columns in the same order; what does not depend on the solver's last steps within 1e-9."""
    ours, theirs = reallocated.table(asked(**QUESTIONS[call])), robyns(call)
    assert list(ours) == list(theirs)
    names = [name for name in ours if not name.startswith("optm")]
    if call in FREE:
        names += [name for name in ours if name.startswith("optm") and not name.endswith("Unbound")]
    for name in names:
        if not pd.api.types.is_numeric_dtype(theirs[name]):
            assert ours[name].tolist() == theirs[name].tolist()
            continue
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-8, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("low", "high", "spend", "response"),
    [
        (0.5, 2.0, [22893.2295, 7500, 9527.9761, 37901.4662, 7177.3282], 1044666.503),
        (0.0, 4.0, [23712.4388, 4627.3903, 9738.2473, 39524.6923, 7397.2314], 1046753.341),
    ],
)
def test_the_best_split_of_a_budget(low: float, high: float, spend: list[float], response: float):
    """The exact optimum by its conditions of first order."""
    found = spend_budget(CURVES, low * TODAY, high * TODAY, 85_000, TODAY)
    np.testing.assert_allclose(found, spend, rtol=1e-6)
    assert CURVES.response(found).sum() == pytest.approx(response, abs=1e-3)


def test_the_most_response_at_a_target():
    found = reach_target(CURVES, 0.9 * TODAY, 28 * TODAY, 1.0, TODAY)
    assert CURVES.response(found).sum() == pytest.approx(2077594.6, abs=0.1)
    assert CURVES.response(found).sum() / found.sum() == pytest.approx(1, abs=1e-9)


def test_the_slope_is_the_derivative_of_the_response():
    one = Curves(np.array([5e5]), np.array([1.4]), np.array([9000.0]), np.array([2500.0]))
    assert one.response(np.array([10000.0]))[0] == pytest.approx(306495.90192)
    assert one.slope(np.array([10000.0]))[0] == pytest.approx(13.2850397268)


@pytest.mark.parametrize("seed", range(12))
def test_s_shaped_curves_are_split_as_well_as_by_trying_everything(seed: int):
    """Three strongly S-shaped channels, against every split on a grid of 2 % steps."""
    rng = np.random.default_rng(seed)
    curves = Curves(
        rng.uniform(1e4, 1e5, 3), rng.uniform(1.5, 4, 3), rng.uniform(500, 3000, 3), rng.uniform(0, 200, 3)
    )
    low, high, budget = np.zeros(3), np.array([3000.0, 2500, 2000]), rng.uniform(800, 5000)
    found = spend_budget(curves, low, high, budget, np.full(3, budget / 3))
    assert found.sum() == pytest.approx(budget, rel=1e-9)
    steps = np.linspace(0, 1, 51)
    splits = np.array([[a, b, budget - a - b] for a, b in product(steps * high[0], steps * high[1])])
    splits = splits[(splits[:, 2] >= 0) & (splits[:, 2] <= high[2])]
    best = max(curves.response(split).sum() for split in splits)
    assert curves.response(found).sum() >= best * (1 - 1e-9)
    target = 0.9 * best_roas(curves, low + 100, high)
    at_target = reach_target(curves, low + 100, high, target, low + 500)
    splits = np.array(list(product(*(100 + steps[::2] * (limit - 100) for limit in high))))
    responses = np.array([curves.response(split).sum() for split in splits])
    reached = responses[responses >= target * splits.sum(axis=1)]
    assert curves.response(at_target).sum() >= target * at_target.sum() * (1 - 1e-9)
    assert curves.response(at_target).sum() >= reached.max(initial=0) * (1 - 1e-9)


def test_channel_bounds_hold_for_their_channel_only():
    found = asked(channel_bounds={"search_spend": {"low": 1.0, "high": 1.1}})
    place = found.frame.names.index("search_clicks")
    factors = found.spend / found.frame.today
    assert 1 - 1e-9 <= factors[place] <= 1.1 + 1e-9
    assert factors.min() == pytest.approx(0.5)


def test_a_channel_gets_the_budget_that_is_set_for_it():
    budgets = {"tv_spend": 1.1e6, "search_spend": [0, 2.5e5]}
    dates = {"start": "2024-01-08", "end": "2024-12-30"}
    found = asked(channel_budgets=budgets, **dates)
    document = reallocated.document(found)
    after = {channel["name"]: channel["after"]["spend"] for channel in document["channels"]}
    assert after["tv_spend"] == pytest.approx(1.1e6, rel=1e-9)
    assert after["search_spend"] <= 2.5e5 * (1 + 1e-9)
    assert document["after"]["spend"] == pytest.approx(document["before"]["spend"], rel=1e-9)
    place = found.frame.spend_names.index("tv_spend")
    assert found.wider[place] * document["periods"] == pytest.approx(1.1e6, rel=1e-9)
    bounds = {channel["name"]: channel["bounds"] for channel in document["channels"]}
    np.testing.assert_allclose(bounds["search_spend"]["spend"], [0, 2.5e5])
    table = reallocated.table(found).set_index("channels")
    assert table.loc["tv_spend", "constr_up_abs"] * 52 == pytest.approx(1.1e6, rel=1e-9)
    free = asked(**dates)
    assert found.frame.curves.response(found.spend).sum() < free.frame.curves.response(free.spend).sum()


def test_where_every_channel_has_a_budget_their_sum_is_spent(tmp_path):
    model = searched("weekly_search")
    budgets = {name: 1e5 * (i + 1) for i, name in enumerate(model.inputs.spend_names)}
    found = asked(channel_budgets=budgets)
    document = reallocated.document(found)
    assert document["after"]["spend"] == pytest.approx(1.5e6, rel=1e-9)
    assert {channel["name"]: channel["after"]["spend"] for channel in document["channels"]} == pytest.approx(
        budgets, rel=1e-9
    )
    allocator_picture.draw(model, found, tmp_path / "allocator.png")


def test_the_past_is_what_the_data_cost_and_the_model_says_it_earned():
    result = searched("weekly_search")
    model = answer(result, read("weekly_outputs")["best"])
    question = BudgetQuestion.model_validate(
        {"scenario": "historical", "start": "2024-01-01", "end": "2024-03-25"}
    )
    document = reallocated.historical_document(result.inputs, model, question)
    rows = slice("2024-01-01", "2024-03-25")
    data = load("weekly_search").data.assign(date=lambda table: pd.to_datetime(table["date"]))
    data = data.set_index("date").loc[rows]
    assert document["periods"] == len(data) == 13
    for channel in document["channels"]:
        past = channel["historical"]
        assert past["spend"] == pytest.approx(data[channel["name"]].sum(), rel=1e-12)
        earned = model.contributions.loc[rows, channel["modelled"]].sum()
        assert past["response"] == pytest.approx(earned, rel=1e-12)
        assert past["roas"] == pytest.approx(earned / past["spend"], rel=1e-12)
    total = document["historical"]
    assert total["spend"] == pytest.approx(data[list(result.inputs.spend_names)].to_numpy().sum(), rel=1e-12)
    assert total["response"] == pytest.approx(
        sum(channel["historical"]["response"] for channel in document["channels"]), rel=1e-12
    )
    with_answer = reallocated.document(asked(start="2024-01-01", end="2024-03-25"))
    assert with_answer["historical"] == pytest.approx(total)


def test_a_very_high_target_leaves_what_the_carry_over_earns():
    found = asked(scenario="target_efficiency", target=1e6, bounds={"low": 0, "high": 10})
    roas = found.frame.curves.response(found.spend).sum() / found.spend.sum()
    assert roas == pytest.approx(1e6, rel=1e-6)


def test_a_channel_without_spend_or_effect_stays_within_its_bounds():
    curves = Curves(np.array([1e5, 0, -1e4, 5e4]), np.full(4, 1.5), np.full(4, 2e3), np.zeros(4))
    today = np.array([1000.0, 800, 600, 0])
    found = spend_budget(curves, 0.5 * today, 2 * today, today.sum(), today)
    np.testing.assert_allclose(found, [1700, 400, 300, 0], rtol=1e-9)


def test_keeping_every_channel_as_it_is_changes_nothing():
    found = asked(bounds={"low": 1.0, "high": 1.0})
    np.testing.assert_allclose(found.spend, found.frame.today, rtol=1e-12)


@pytest.mark.filterwarnings("error")
def test_nothing_at_all_can_be_spent():
    model = searched("weekly_search")
    found = asked(channel_budgets=dict.fromkeys(model.inputs.spend_names, 0))
    document = reallocated.document(found)
    assert document["after"]["spend"] == 0
    assert document["after"]["response"] > 0  # what the carry-over earns


@pytest.mark.parametrize("bounds", [{"low": 0, "high": 1e6}, {"low": 0, "high": 1}, {"low": 1, "high": 1e12}])
def test_the_widest_bounds_have_an_answer_not_worse_than_today(bounds: dict[str, float]):
    found = asked(bounds=bounds)
    curves, today = found.frame.curves, found.frame.today
    assert found.spend.sum() == pytest.approx(today.sum(), rel=1e-9)
    assert (found.spend >= bounds["low"] * today * (1 - 1e-9)).all()
    assert curves.response(found.spend).sum() >= curves.response(today).sum() * (1 - 1e-12)


def test_dates_mean_the_periods_that_begin_in_them():
    weeks = searched("weekly_search").inputs.window_dates
    assert asked(start=str(weeks[-3]), end=str(weeks[-2] + 6)).frame.dates.tolist() == weeks[-3:-1].tolist()
    assert asked(start=str(weeks[-3] + 2), end=str(weeks[-3] + 5)).frame.dates.tolist() == [weeks[-3].item()]


def test_the_last_day_of_the_window_can_be_asked_about_and_no_later_one():
    week = searched("weekly_search").inputs.window_dates[-1]
    assert asked(start=str(week + 6)).frame.dates.tolist() == [week.item()]
    with pytest.raises(Infeasible, match=f"to {week + 6}; ask for dates within it"):
        asked(start=str(week + 7))


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"total": 1000}, ("budget.total", "lower bounds", "raise it")),
        ({"total": 1e9}, ("budget.total", "upper bounds", "lower it")),
        ({"scenario": "target_efficiency", "target": 50}, ("ROAS", "budget.target", "widen")),
        ({"start": "2021-01-04", "end": "2021-02-01"}, ("window", "2021-07-05")),
        ({"channel_budgets": {"tv_spend": 1e8}}, ("as was spent", "lower", "budget.channel_budgets")),
        ({"total": 9e6, "channel_budgets": {"tv_spend": 1e7}}, ("9,000,000.00", "lower bounds")),
    ],
)
def test_a_question_without_an_answer_is_said_to_have_none_and_why(question: dict[str, Any], words: tuple):
    with pytest.raises(Infeasible) as caught:
        asked(**question)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"channel_budgets": {"radio": 1}, "channel_bounds": {"fax": {"low": 1, "high": 1}}}, "fax, radio"),
        ({"scenario": "historical"}, "`history`"),
    ],
)
def test_a_question_that_does_not_fit_the_model_is_refused(question: dict[str, Any], words: str):
    with pytest.raises(InvalidInputs, match=words):
        asked(**question)


def test_a_cpa_is_a_target_too():
    result = searched("weekly_search")
    orders = type(result.inputs)(**{**vars(result.inputs), "dependent_type": "conversion"})
    model = answer(result, read("weekly_outputs")["best"])
    question = BudgetQuestion.model_validate({"scenario": "target_efficiency", "target": 0.8})
    found = reallocate(orders, model, question)
    document = reallocated.document(found)
    assert document["after"]["cpa"] == pytest.approx(0.8)
    assert found.spend.sum() / found.frame.curves.response(found.spend).sum() == pytest.approx(0.8, rel=1e-6)


def test_the_picture_opens_and_is_wide_enough_to_read(tmp_path):
    allocator_picture.draw(searched("weekly_search"), asked(), tmp_path / "allocator.png")
    with Image.open(tmp_path / "allocator.png") as picture:
        assert picture.width >= 2000
        assert 1.4 < picture.width / picture.height < 2.2


def read_best(folder: Path) -> dict[str, Any]:
    best: dict[str, Any] = json.loads((folder / "best_model.json").read_text(encoding="utf-8"))
    return best


@pytest.mark.parametrize("total", [None, 1.0])
def test_a_training_answers_its_budget_question_or_says_why_not(tmp_path: Path, total: float | None):
    golden = load("weekly_geometric_split")
    config = golden.config.model_dump(mode="json")
    config["prophet"]["components"] = ["trend"]
    config["prophet"]["holiday_country"] = None
    config |= {"search": {"iterations": 60, "trials": 1}, "budget": {"total": total}}
    golden.data.to_parquet(tmp_path / "data.parquet")
    log: list[str] = []
    host = Host(cores=1, step=lambda _: nullcontext(), progress=lambda _: None, log=log.append)
    folder = tmp_path / "result"
    folder.mkdir()
    material = Material(tmp_path / "data.parquet", ModelConfig.model_validate(config), None)
    engine = NativeEngine(material, host)
    engine.search(range(1, 2), tmp_path / "share.parquet")
    engine.finish([tmp_path / "share.parquet"], folder)
    document = json.loads((folder / "allocator.json").read_text(encoding="utf-8"))
    written = {path.name for path in folder.iterdir()}
    table = f"{document['sol_id']}_max_response_reallocated.csv"
    documented = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    winners = {winner["sol_id"] for winner in read_best(folder)["winners"]}
    named = {f"{winner}.png" for winner in winners} | {
        f"{kind}-{winner}.json" for kind in ("RobynModel", "figures") for winner in winners
    }
    tables = {name for name in written if name.endswith(".csv")}
    large = {"models.parquet", "pareto_alldecomp_matrix.parquet"}
    assert {name.replace(".csv", ".parquet") for name in tables} | large == {
        name for name in written if name.endswith(".parquet")
    }
    for name in {name for name in written if not name.endswith(".parquet")} - named - {table}:
        assert f"`{name}`" in documented
    assert {
        *("`<solID>.png`", "`RobynModel-<solID>.json`", "`figures-<solID>.json`", "`<table>.parquet`"),
        "`<solID>_<scenario>_reallocated.csv`",
    } <= set(re.findall("`[^`]+`", documented))
    assert document["feasible"] == (total is None)
    assert ({"allocator.png", table} <= written) == (total is None)
    if total is None:
        assert document["after"]["response"] >= document["before"]["response"]
        assert document["after"]["spend"] == pytest.approx(document["before"]["spend"])
        assert sum(channel["after"]["spend"] for channel in document["channels"]) == pytest.approx(
            document["after"]["spend"]
        )
    else:
        assert "lower bounds" in document["reason"]
        assert any(document["reason"] in line for line in log)
