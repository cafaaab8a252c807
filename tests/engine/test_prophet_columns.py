"""What Prophet separates from the dependent variable, on series whose parts are known."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contracts.model import Prophet
from tests.engine.golden import load
from trainer.engines.common import InvalidInputs
from trainer.engines.native.prepare.prophet_columns import decompose

NO_FACTORS = pd.DataFrame()
HOLIDAYS = Prophet(components=["trend", "holiday"], holiday_country="DE")


def weeks(count: int = 156, weekday: str = "MON") -> pd.DatetimeIndex:
    return pd.date_range("2021-01-01", periods=count, freq=f"W-{weekday}")


def level(dates: pd.DatetimeIndex) -> np.ndarray:
    """A slowly growing series with a little reproducible noise."""
    return 1000.0 + np.arange(len(dates)) + np.random.default_rng(5).normal(0, 5, len(dates))


def test_columns_agree_with_those_that_robyn_computed():
    case = load("weekly_geometric")
    data, config = case.data, case.config
    found = decompose(
        pd.DatetimeIndex(data["date"]), data["revenue"].to_numpy(), data[["promo"]], config.prophet, "week"
    )
    assert list(found.components) == config.prophet.components
    for name, expected in {**case.prophet.components, **case.prophet.factors}.items():
        ours = {**found.components, **found.factors}[name]
        assert np.abs(ours - expected).max() < 0.01 * np.ptp(expected), name


@pytest.mark.parametrize("weekday", ["MON", "SUN"])
def test_a_holiday_has_its_effect_in_the_week_that_contains_it(weekday):
    dates = weeks(weekday=weekday)
    christmas = np.array(
        [
            any(d <= pd.Timestamp(f"{y}-12-25") < d + pd.Timedelta("7D") for y in range(2021, 2024))
            for d in dates
        ]
    )
    effect = decompose(dates, level(dates) + 500.0 * christmas, NO_FACTORS, HOLIDAYS, "week").components[
        "holiday"
    ]
    assert christmas.sum() == 3
    assert effect[christmas].min() > 400
    assert np.abs(effect[~christmas]).max() < 50
    assert np.count_nonzero(effect == 0) > 100


def test_the_holidays_of_a_month_are_one_effect_of_that_month():
    dates = pd.date_range("2018-01-01", periods=60, freq="MS")
    october = dates.month == 10
    effect = decompose(dates, level(dates) + 300.0 * october, NO_FACTORS, HOLIDAYS, "month").components[
        "holiday"
    ]
    assert effect[october].min() > 200
    assert (effect[dates.month == 7] == 0).all()


BLACK = [{"date": date(year, 11, day), "name": "trend"} for year, day in ((2021, 26), (2022, 25), (2023, 24))]


@pytest.mark.parametrize("country", [None, "DE"])
def test_custom_holidays_have_their_effect_beside_those_of_the_country(country):
    dates = weeks()
    black = np.isin(dates, pd.to_datetime(["2021-11-22", "2022-11-21", "2023-11-20"]))
    config = Prophet(components=["trend", "holiday"], holiday_country=country, holidays=BLACK)
    effect = decompose(dates, level(dates) + 500.0 * black, NO_FACTORS, config, "week").components["holiday"]
    assert black.sum() == 3
    np.testing.assert_allclose(effect[black], 500, atol=50)
    assert np.abs(effect[~black]).max() < 50
    assert (np.count_nonzero(effect) == 3) == (country is None)


def test_custom_holidays_of_one_day_have_an_effect_each():
    dates = pd.date_range("2022-01-01", periods=700, freq="D")
    fair, sale = (dates.day_of_year % 90 == 1), (dates.day_of_year % 60 == 1)
    days = [(name, day) for name, flags in (("fair", fair), ("a_delim_b", sale)) for day in dates[flags]]
    config = Prophet(
        components=["holiday"], holidays=[{"date": day.date(), "name": name} for name, day in days]
    )
    truth = 300.0 * fair + 100.0 * sale
    effect = decompose(dates, level(dates) + truth, NO_FACTORS, config, "day").components["holiday"]
    assert (fair & sale).any()
    np.testing.assert_allclose(effect, truth, atol=15)


def test_weekdays_of_daily_data():
    dates = pd.date_range("2023-01-01", periods=400, freq="D")
    weekend = dates.day_of_week >= 5
    config = Prophet(components=["weekday", "trend"])
    found = decompose(dates, level(dates) + 70.0 * weekend, NO_FACTORS, config, "day").components
    assert list(found) == ["weekday", "trend"]
    assert found["weekday"][weekend].min() - found["weekday"][~weekend].max() == pytest.approx(70, abs=5)


def test_monthly_season():
    dates = pd.date_range("2022-01-01", periods=500, freq="D")
    swing = 40 * np.sin(2 * np.pi * (dates - pd.Timestamp(0)).days.to_numpy() / 30.5)
    found = decompose(dates, level(dates) + swing, NO_FACTORS, Prophet(components=["monthly"]), "day")
    np.testing.assert_allclose(found.components["monthly"], swing, atol=5)


def test_a_factor_becomes_its_effect_and_is_never_negative():
    dates = weeks()
    event = np.where(np.arange(156) % 13 == 5, "sale", np.where(np.arange(156) % 13 == 9, "blackout", "none"))
    truth = 200.0 * (event == "sale") - 100.0 * (event == "blackout")
    factors = pd.DataFrame({"event": event})
    effect = decompose(dates, level(dates) + truth, factors, Prophet(components=["trend"]), "week").factors[
        "event"
    ]
    assert effect.min() == 0
    np.testing.assert_allclose(effect, truth + 100, atol=10)


def test_factors_that_share_a_prefix_or_a_name_of_prophet_stay_apart():
    dates, rows = weeks(), np.arange(156)
    truth = {
        "promo": 300.0 * (rows % 7 == 1),
        "promo_tv": 50.0 * (rows % 5 == 2),
        "trend_": 120.0 * (rows % 11 == 3),
    }
    factors = pd.DataFrame({name: np.where(effect > 0, "on", "off") for name, effect in truth.items()})
    factors = factors.rename(columns={"trend_": "yearly"})
    found = decompose(
        dates, level(dates) + sum(truth.values()), factors, Prophet(components=["trend"]), "week"
    )
    for name, expected in zip(("promo", "promo_tv", "yearly"), truth.values(), strict=True):
        np.testing.assert_allclose(found.factors[name], expected, atol=10, err_msg=name)


def test_factors_without_any_component():
    dates, on = weeks(), np.arange(156) % 6 == 0
    factors = pd.DataFrame({"promo": np.where(on, "yes", "no")})
    found = decompose(dates, level(dates) + 80.0 * on, factors, Prophet(components=[]), "week")
    assert found.components == {}
    np.testing.assert_allclose(found.factors["promo"], 80.0 * on, atol=5)


def test_rare_levels_are_estimated_together():
    rows = np.arange(156)
    names = np.where(rows < 120, [f"city{row % 10}" for row in rows], [f"village{row}" for row in rows])
    found = decompose(
        weeks(),
        level(weeks()) + 90.0 * (rows >= 120),
        pd.DataFrame({"place": names}),
        Prophet(components=["trend"]),
        "week",
    )
    assert len(np.unique(found.factors["place"][120:])) == 1


def test_nothing_asked_for_gives_nothing():
    found = decompose(weeks(), level(weeks()), NO_FACTORS, Prophet(components=[]), "week")
    assert (found.components, found.factors) == ({}, {})


def test_the_same_data_give_the_same_columns():
    first, second = (decompose(weeks(), level(weeks()), NO_FACTORS, HOLIDAYS, "week") for _ in range(2))
    for name in first.components:
        np.testing.assert_array_equal(first.components[name], second.components[name])


def test_every_problem_is_named_at_once():
    factors = pd.DataFrame(
        {"same": ["a"] * 156, "each": [f"x{i}" for i in range(156)], "gap": ["a", None] * 78}
    )
    config = Prophet(components=["weekday"])
    with pytest.raises(InvalidInputs, match="weekday") as caught:
        decompose(weeks(), level(weeks()), factors, config, "week")
    assert all(f"'{name}'" in str(caught.value) for name in factors)


def test_a_country_without_a_calendar_is_named():
    config = Prophet(components=["holiday"], holiday_country="XX")
    with pytest.raises(InvalidInputs, match="XX"):
        decompose(weeks(), level(weeks()), NO_FACTORS, config, "week")


def test_a_fresh_process_imports_prophet_late_and_prints_nothing():
    program = """
import sys
import numpy as np, pandas as pd
from contracts.model import Prophet
from trainer.engines.native.prepare.prophet_columns import decompose
assert "prophet" not in sys.modules and "matplotlib" not in sys.modules
dates = pd.date_range("2021-01-04", periods=156, freq="W-MON")
decompose(dates, np.arange(156.0), pd.DataFrame(), Prophet(components=["trend"]), "week")
assert "prophet" in sys.modules
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
