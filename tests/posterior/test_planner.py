"""Answers from curves.json are those of a job, within what is lost between its factors and in rounding."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import product
from typing import Any

import numpy as np
import pytest

from contracts.budget import BudgetQuestion
from contracts.curves import CurvesDocument
from contracts.plans import PlanQuestion
from contracts.result import Allocation
from functions.web import planner
from functions.web.planner.split import best_split, most_at_roas
from tests.posterior.data import config, sales
from trainer.posterior import Posterior, posterior
from trainer.posterior.budget import allocate
from trainer.posterior.budget import document as documents
from trainer.posterior.budget.curves import curves

NEXT = {"start": "2024-12-30", "end": "2025-03-30"}
DATES: dict[str, dict[str, Any]] = {
    "window": {},
    "last-13": {"start": "2024-09-30"},
    "next-13-last-year": NEXT,
    "next-13-even": {**NEXT, "pattern": "even"},
}
QUESTIONS: list[dict[str, Any]] = [
    {},
    {"total": "+10 %", "bounds": {"low": 0.3, "high": 2.5}},
    {
        "channel_bounds": {"c1": {"low": 0, "high": 3}},
        "plans": {"a": {"c1": 0}, "b": {"c2": "+50 %", "c3": "-95 %"}},
    },
    {"scenario": "target_efficiency", "bounds": {"low": 0.1, "high": 3}},
    {"scenario": "historical", "plans": {"half": {"c1": "-50 %"}}},
]


@pytest.fixture(scope="module")
def found() -> Posterior:
    table = sales()
    return posterior(table, config(table), sweeps=600)


@pytest.fixture(scope="module")
def written(found: Posterior) -> CurvesDocument:
    return CurvesDocument.model_validate_json(curves(found).country.model_dump_json())


def planned(written: CurvesDocument, **question: Any) -> Allocation:
    return planner.answer(written, PlanQuestion.model_validate(question))


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("dates", DATES)
def test_it_is_the_answer_of_a_job(
    found: Posterior, written: CurvesDocument, dates: str, question: dict[str, Any]
) -> None:
    job = documents.document(allocate(found, BudgetQuestion.model_validate({**DATES[dates], **question})))
    plan = planned(written, dates=dates, **question)
    assert (plan.start, plan.end, plan.periods, plan.pattern) == (
        job.start,
        job.end,
        job.periods,
        job.pattern,
    )
    assert plan.historical.response == pytest.approx(job.historical.response, rel=1e-10)
    of_job = {channel.name: channel for channel in job.channels}
    if job.before:
        assert plan.before.earned.mean == pytest.approx(job.before.earned.mean, rel=1e-10)
        assert plan.before.earned.q05 == pytest.approx(job.before.earned.q05, rel=0.1)
    if job.after:
        spent = plan.after.spend
        assert spent == pytest.approx(job.after.spend, rel=2e-3)
        assert plan.after.earned.mean == pytest.approx(job.after.earned.mean, rel=2e-3)
        scale = max(abs(job.gain.mean), 0.01 * job.before.earned.mean)
        assert plan.gain.mean == pytest.approx(job.gain.mean, abs=0.03 * scale)
        assert plan.gain.q05 <= plan.gain.q50 <= plan.gain.q95
        for channel in plan.channels:
            # where the sum is flat, money may move without any effect
            assert channel.after.spend == pytest.approx(
                of_job[channel.name].after.spend, abs=0.03 * job.after.spend
            )
    for plan_answer, job_answer in zip(plan.plans, job.plans, strict=True):
        assert plan_answer.after.spend == pytest.approx(job_answer.after.spend)
        assert plan_answer.gain.mean == pytest.approx(job_answer.gain.mean, rel=5e-3)
        width = job_answer.gain.q95 - job_answer.gain.q05
        assert plan_answer.gain.q50 == pytest.approx(job_answer.gain.q50, abs=0.2 * width)


def test_what_a_job_refuses_is_refused_in_the_same_words(found: Posterior, written: CurvesDocument) -> None:
    for question in ({"total": 10}, {"total": 1e9}, {"scenario": "target_efficiency", "target": 50}):
        question = {**question, "bounds": {"low": 0.5, "high": 2}}
        plan = planned(written, **question)
        assert not plan.feasible
        with pytest.raises(ValueError, match="budget") as caught:
            allocate(found, BudgetQuestion.model_validate(question))
        assert [word for word in str(caught.value).split() if not any(map(str.isdigit, word))] == [
            word for word in plan.reason.split() if not any(map(str.isdigit, word))
        ]


def test_what_the_curves_do_not_know_is_refused_with_figures_all_at_once(written: CurvesDocument) -> None:
    with pytest.raises(planner.Unanswerable, match="no dates 'tomorrow'; there are: window, last-4"):
        planned(written, dates="tomorrow")
    plans = {"huge": {"c1": 1e9}, "radio": {"radio": 5}}
    with pytest.raises(planner.Unanswerable) as caught:
        planned(written, plans=plans, channel_bounds={"c2": {"low": 0, "high": 9}})
    told = {line.split(":")[0] for line in caught.value.lines}
    assert told == {"plans.radio.radio", "plans.huge.c1", "channel_bounds.c2.high"}
    assert "1,000,000,000.00 is more than the curves know" in str(caught.value)


def test_a_channel_that_stopped_years_ago_is_answered_as_a_job_does() -> None:
    table = sales(channels=2)
    stopped = table.index >= 70
    table.loc[stopped, "sales"] -= 2 * table.loc[stopped, "c2"]
    table.loc[stopped, "c2"] = 0.0
    one = posterior(table, config(table), sweeps=200, longest=1)
    plans = {"again": {"c2": 1000.0}}
    told = planned(curves(one).country, dates="next-13-even", scenario="historical", plans=plans)
    asked = {**DATES["next-13-even"], "scenario": "historical", "plans": plans}
    job = documents.document(allocate(one, BudgetQuestion.model_validate(asked)))
    assert told.notes == job.notes
    assert told.plans[0].gain.mean == pytest.approx(job.plans[0].gain.mean, rel=1e-3)
    assert told.plans[0].gain.mean > 500


def test_conversions_are_answered_with_cpa() -> None:
    table = sales(rows=100)
    counted = posterior(table, config(table, {"dependent_type": "conversion"}), sweeps=300, longest=1)
    question = {"scenario": "target_efficiency", "target": 0.56, "bounds": {"low": 0.1, "high": 3}}
    job = documents.document(allocate(counted, BudgetQuestion.model_validate(question)))
    plan = planned(curves(counted).country, **question)
    assert plan.metric == "cpa"
    assert plan.after.cpa == pytest.approx(plan.target, rel=1e-3)
    assert plan.after.spend == pytest.approx(job.after.spend, rel=5e-3)
    marginal = [channel.after.marginal_cpa for channel in plan.channels]
    np.testing.assert_allclose(marginal, [_of(job, one.name) for one in plan.channels], rtol=0.05)


def _of(job: Allocation, name: str) -> float:
    return next(channel.after.marginal_cpa for channel in job.channels if channel.name == name)


@pytest.mark.parametrize("seed", range(4))
def test_s_shaped_curves_are_split_as_well_as_by_trying_everything(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, alpha, half = random.uniform((1e4, 1.5, 500), (1e5, 4, 3000), (3, 3)).T
    low, high, budget = [0.0] * 3, [3000.0, 2500.0, 2000.0], float(random.uniform(800, 5000))

    def earned(splits: np.ndarray) -> np.ndarray:
        return (height * splits**alpha / (splits**alpha + half**alpha)).sum(axis=-1)

    earns = [
        lambda spend, h=h, a=a, k=k: h * spend**a / (spend**a + k**a)
        for h, a, k in zip(height.tolist(), alpha.tolist(), half.tolist(), strict=True)
    ]
    spends = best_split(earns, low, high, budget)
    assert sum(spends) == pytest.approx(budget, rel=1e-9)
    pairs = np.array(list(product(np.linspace(0, high[0], 121), np.linspace(0, high[1], 121))))
    splits = np.column_stack([pairs, budget - pairs.sum(axis=1)])
    splits = splits[(splits[:, 2] >= 0) & (splits[:, 2] <= high[2])]
    assert earned(np.array(spends)) >= earned(splits).max() * (1 - 1e-6)
    low = [100.0] * 3
    best = most_at_roas(earns, low, high, np.inf)[1]
    at_target = np.array(most_at_roas(earns, low, high, 0.9 * best)[0])
    assert earned(at_target) >= 0.9 * best * at_target.sum() * (1 - 1e-6)
    splits = np.array(list(product(*(np.linspace(100, top, 41) for top in high))))
    reached = earned(splits)[earned(splits) >= 0.9 * best * splits.sum(axis=1)]
    assert earned(at_target) >= reached.max(initial=0) * (1 - 1e-4)


def test_it_answers_in_a_second_for_many_channels_and_without_numpy(written: CurvesDocument) -> None:
    document = written.model_dump(mode="json")
    for dates in document["dates"]:
        dates["channels"] = [
            {**channel, "name": f"{channel['name']}-{i}"}
            for i in range(7)
            for channel in dates["channels"][:3]
        ]
    many = CurvesDocument.model_validate(document)
    begun = time.process_time()
    one = planned(many)
    one_second = time.process_time() - begun
    begun = time.process_time()
    planned(written)
    assert one.feasible
    assert one_second < 40 * (time.process_time() - begun)  # 21 channels against 3
    program = (
        "import sys, json\n"
        "from contracts.curves import CurvesDocument\n"
        "from contracts.plans import PlanQuestion\n"
        "from functions.web import planner\n"
        "found = planner.answer(CurvesDocument.model_validate_json(sys.stdin.read()), PlanQuestion())\n"
        "heavy = sorted({'numpy', 'pandas', 'numba', 'scipy'} & set(sys.modules))\n"
        "print(json.dumps([found.feasible, heavy]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        input=written.model_dump_json(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout) == [True, []]
