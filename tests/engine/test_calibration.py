"""What a model says of a lift study, against sums made from its own contributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.engine.test_inputs import config, weekly
from trainer.engines.native.result import Result
from trainer.engines.native.training import answer, fit


def study(start: str, end: str, lift: float = 500.0, scope: str = "total", **changes: Any) -> dict[str, Any]:
    body = {"channels": ["tv"], "start": start, "end": end, "lift": lift, "spend": 50.0, "confidence": 0.9}
    return body | {"scope": scope} | changes


def trained(data: pd.DataFrame, *studies: dict[str, Any]) -> Result:
    return fit(data, config(calibration=list(studies)))


def shares(dates: pd.DatetimeIndex, days: int, start: str, end: str) -> np.ndarray[Any, Any]:
    """Day by day: how many days of each period lie in the study, of all that the period has."""
    inside = pd.date_range(start, end)
    return np.array([pd.date_range(first, periods=days).isin(inside).mean() for first in dates])


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2020-02-03", "2020-02-16"),  # two whole weeks, the end on a Sunday
        ("2020-02-03", "2020-02-10"),  # the end on a Monday
        ("2020-02-03", "2020-02-09"),  # one week
        ("2020-02-05", "2020-02-06"),  # a part of one week
        ("2020-02-05", "2020-03-03"),  # parts of the first and the last week
    ],
)
def test_the_predicted_lift_is_the_sum_of_the_effects_on_the_days_of_the_study(start: str, end: str) -> None:
    result = trained(weekly(), study(start, end))
    lift = result.lift.set_index("solID")
    assert set(lift.index) == set(result.pareto)
    for solution in result.pareto:
        effects = answer(result, solution).contributions["tv"]
        expected = effects.to_numpy() @ shares(pd.DatetimeIndex(effects.index), 7, start, end)
        assert lift.loc[solution, "decompAbsScaled"] == pytest.approx(expected, rel=1e-12)
        assert lift.loc[solution, "mape_lift"] == pytest.approx(abs(expected - 500) / 500, rel=1e-9)


def test_a_study_of_days_is_the_sum_of_its_days() -> None:
    data = weekly().assign(week=pd.date_range("2020-01-06", periods=len(weekly())))
    result = trained(data, study("2020-01-10", "2020-01-14"))
    for solution in result.pareto:
        effects = answer(result, solution).contributions["tv"]
        lift = result.lift.set_index("solID").loc[solution]
        assert lift["decompAbsScaled"] == pytest.approx(effects["2020-01-10":"2020-01-14"].sum(), rel=1e-12)


def test_the_immediate_lift_leaves_out_what_earlier_weeks_still_earn() -> None:
    result = trained(weekly(), study("2020-02-05", "2020-02-16", scope="immediate"))
    weights = np.array([5 / 7, 1.0])
    for solution in result.pareto:
        model = answer(result, solution)
        media = next(answer for answer in model.media if answer.name == "tv")
        theta, coefficient = next(iter(media.adstock.values())), media.coefficient

        def carried(values: list[float], theta: float = theta) -> list[float]:
            kept: list[float] = []
            for value in values:
                kept.append(value + theta * (kept[-1] if kept else 0.0))
            return kept

        spend = weekly()["tv"].to_list()
        everything, own = np.array(carried(spend)[4:6]), np.array(carried(spend[4:6]))

        def effect(adstocked: np.ndarray[Any, Any], media: Any = media, beta: float = coefficient) -> Any:
            return beta * adstocked**media.alpha / (adstocked**media.alpha + media.inflexion**media.alpha)

        expected = weights @ (effect(everything) - effect(np.maximum(everything - own, 0.0)))
        lift = result.lift.set_index("solID").loc[solution]
        assert lift["decompAbsScaled"] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_lift_of_nothing_is_measured_by_a_thousandth_of_what_was_sold() -> None:
    result = trained(weekly(), study("2020-02-03", "2020-02-16", lift=0.0))
    sold = float(weekly()["sales"][4:6].sum())
    for _, row in result.lift.iterrows():
        assert row["mape_lift"] == pytest.approx(abs(row["decompAbsScaled"]) / (0.001 * sold), rel=1e-9)
    assert np.isfinite(result.candidates["mape"]).all()
