"""The checks of a result: forecasts, refits, planted truth, placebos, and their words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from contracts.trust import TrustLine
from mmm.told import trust_lines
from tests.posterior.data import config, sales
from trainer.posterior import Posterior, posterior
from trainer.posterior.forecast import forecast, without_media
from trainer.trust import refits
from trainer.trust.thresholds import THRESHOLDS


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return sales(rows=130)


@pytest.fixture(scope="module")
def found(data: pd.DataFrame) -> Posterior:
    return posterior(data, config(data))


def test_the_last_periods_are_forecast_from_what_was_spent(found: Posterior, data: pd.DataFrame) -> None:
    tried, stability, notes = refits.backtests(found, data, config(data), cores=1)
    assert [one.periods for one in tried] == [4, 8, 12]
    assert [str(one.start) for one in tried] == [
        str(data["date"].dt.date.iloc[-one.periods]) for one in tried
    ]
    for one in tried:
        assert one.error < 0.05
        assert one.error < 0.7 * min(one.error_without_media, one.error_year_before)
    assert np.average([one.covered for one in tried], weights=[4, 8, 12]) > 0.7
    assert [one.name for one in stability] == ["c1", "c2", "c3"]
    for one in stability:
        assert len(one.refits) == 3
        assert one.moved < 2.5
    assert notes == []
    again, *_ = refits.backtests(found, data, config(data), cores=2)
    assert again == tried


def test_a_forecast_knows_nothing_of_the_sales_that_it_forecasts(data: pd.DataFrame) -> None:
    """Sales break down in the last weeks, media go on: error and intervals tell so."""
    broken = data.copy()
    broken.loc[broken.index[-12:], "sales"] -= 800
    found = posterior(broken, config(broken), longest=1)
    tried, *_ = refits.backtests(found, broken, config(broken), cores=1)
    assert tried[-1].error > 0.2
    assert tried[-1].covered < 0.3


def test_a_study_that_reaches_into_the_last_periods_is_left_out_of_the_refit(data: pd.DataFrame) -> None:
    days = data["date"].dt.date
    study = {"channels": ["c1"], "start": str(days.iloc[-10]), "end": str(days.iloc[-2]), "confidence": 0.9}
    asked = config(data, calibration=[{**study, "lift": 900.0, "spend": 100.0, "scope": "total"}])
    found = posterior(data, asked, sweeps=300, longest=1)
    assert len(found.model.studies) == 1
    for periods, kept in ((1, 1), (4, 0)):
        assert len(refits._without_last(found, periods, data, asked, 1).model.studies) == kept


def test_intervals_of_a_forecast_grow_with_its_distance(found: Posterior, data: pd.DataFrame) -> None:
    refit = refits._without_last(found, 12, data, config(data), 1)
    drawn = forecast(refit, len(data), refit.some(400), np.random.default_rng(1))
    assert drawn.shape == (400, 12)
    assert drawn.std(axis=0).min() > 0.8 * np.median(refit.sigma)
    assert without_media(refit.model, len(data)).shape == (12,)


def test_planted_truth_is_found_again_and_a_placebo_gets_little(found: Posterior) -> None:
    planted = refits.planted(found, 1, worlds=5)
    assert planted.worlds == 5
    assert planted.holds >= 0.6
    assert planted.error < 0.3
    apart = {(pair.first, pair.second): pair for pair in planted.pairs}
    assert set(apart) == {("c1", "c2"), ("c1", "c3"), ("c2", "c3")}
    assert apart["c1", "c3"].worlds == apart["c1", "c3"].told == 5
    told = refits.placebos(found, 1)
    assert [one.name for one in told] == ["c1", "c2", "c3"]
    assert max(one.credit for one in told) < 0.5


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("r2", {0.8: "good", 0.79: "doubtful", 0.6: "doubtful", 0.59: "bad"}),
        ("moved", {1.0: "good", 1.1: "doubtful", 2.0: "doubtful", 2.1: "bad"}),
    ],
)
def test_words_follow_the_table(check: str, words: dict[float, str]) -> None:
    assert {value: THRESHOLDS[check].word(value) for value in words} == words


def test_a_terminal_shows_what_is_not_good_worst_first() -> None:
    fields = {"topic": "fit", "check": "r2", "value": 0.5, "reason": "reason"}
    good, doubtful, bad = (
        TrustLine(**fields, word=word, figure=word.upper(), advice=f"{word} advice")
        for word in ("good", "doubtful", "bad")
    )
    assert trust_lines([good, doubtful, bad]) == [
        "  trust: 1 of 3 checks are good",
        "  bad: BAD: reason; bad advice",
        "  doubtful: DOUBTFUL: reason; doubtful advice",
    ]
    assert trust_lines([]) == []
