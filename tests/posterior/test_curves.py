"""curves.json: what it says is what the posterior says, for dates in the data and after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.budget import BudgetQuestion
from contracts.curves import CurveChannel, CurveDates, CurvesDocument
from tests.engine.robyn import Heard
from tests.posterior.data import config, sales
from trainer.posterior import Posterior, posterior
from trainer.posterior.budget import allocate
from trainer.posterior.budget.curves import curves
from trainer.posterior.job import Asked

LAGS = 80
"""After which nothing is left of a spend."""


def fitted(rows: int = 156, freq: str = "W-MON", **fields: Any) -> Posterior:
    table = sales(rows=rows, freq=freq)
    return posterior(table, config(table, **fields), sweeps=400, longest=1)


@pytest.fixture(scope="module")
def found() -> Posterior:
    return fitted()


@pytest.fixture(scope="module")
def written(found: Posterior) -> CurvesDocument:
    return CurvesDocument.model_validate_json(curves(found).country.model_dump_json())


def dates_of(document: CurvesDocument, name: str) -> CurveDates:
    return next(dates for dates in document.dates if dates.name == name)


def channel_of(document: CurvesDocument, name: str, channel: str = "c1") -> CurveChannel:
    return next(one for one in dates_of(document, name).channels if one.name == channel)


def test_with_the_spend_as_it_was_it_is_what_was_earned(found: Posterior, written: CurvesDocument) -> None:
    one = written.factors.index(1.0)
    for i, channel in enumerate(dates_of(written, "window").channels):
        assert channel.response[one] == pytest.approx(found.contribution[:, i].mean(), rel=1e-11)
    for name in ("last-4", "last-13", "last-26", "last-52"):
        dates = dates_of(written, name)
        answer = allocate(found, BudgetQuestion(scenario="historical", start=dates.start))
        for place, planned in enumerate(answer.plan.channels):
            channel = channel_of(written, name, planned.name)
            assert channel.today == channel.spend == planned.spend
            within, after = answer.before[place].mean(axis=0)
            assert channel.response[one] == pytest.approx(within, rel=1e-11)
            assert channel.carry_out[one] == pytest.approx(after, rel=1e-11)


def test_the_draws_belong_together_and_their_mean_is_nearly_that_of_all(
    found: Posterior, written: CurvesDocument
) -> None:
    some = found.some(200)
    dates = dates_of(written, "last-13")
    answer = allocate(found, BudgetQuestion(scenario="historical", start=dates.start))
    one = written.factors.index(1.0)
    for place, planned in enumerate(answer.plan.channels):
        channel = channel_of(written, "last-13", planned.name)
        draws = np.array(channel.draws())
        assert draws.shape == (200, 41)
        assert (np.diff(draws, axis=1) >= 0).all()
        exact = answer.before[place][some].sum(axis=1)
        np.testing.assert_allclose(draws[:, one], exact, atol=0.51 * channel.unit)
        mean = np.array(channel.response) + channel.carry_out
        np.testing.assert_allclose(draws.mean(axis=0), mean, rtol=0.1, atol=0.02 * mean[-1])


def test_between_the_exact_factors_the_expected_curve_is_right_too(
    found: Posterior, written: CurvesDocument
) -> None:
    dates = dates_of(written, "next-13-last-year")
    for place, channel in enumerate(dates.channels):
        spends = year_before(found, place, 13)[:, None] * written.factors
        within = np.array([after_the_data(found, place, one)[:, :13].sum(axis=1).mean() for one in spends.T])
        np.testing.assert_allclose(channel.response, within, rtol=2e-4, atol=1e-5 * within[-1])


def year_before(found: Posterior, place: int, periods: int) -> np.ndarray:
    spends: np.ndarray = found.channels[place].series[-52:][:periods]
    return spends


def after_the_data(found: Posterior, place: int, spends: np.ndarray) -> np.ndarray:
    """(S, P + LAGS) what is earned in and after periods that follow the data."""
    series = found.channels[place].series
    longer = np.concatenate([series, spends, np.zeros(LAGS)])
    return found.response(place, longer, found.every)[:, len(series) :]


@pytest.mark.parametrize("pattern", ["last-year", "even"])
def test_after_the_data_it_is_last_year_s_spend_as_it_was_or_evenly(
    found: Posterior, written: CurvesDocument, pattern: str
) -> None:
    one = written.factors.index(1.0)
    dates = dates_of(written, f"next-13-{pattern}")
    assert (str(dates.start), str(dates.end)) == ("2024-12-30", "2025-03-24")
    for place, channel in enumerate(dates.channels):
        spends = year_before(found, place, 13)
        if pattern == "even":
            spends = np.full(13, spends.mean())
        assert channel.spend == pytest.approx(spends.sum())
        earned = after_the_data(found, place, spends)
        without = after_the_data(found, place, np.zeros(13))[:, 13:]
        assert channel.response[one] == pytest.approx(earned[:, :13].sum(axis=1).mean(), rel=1e-9)
        later = (earned[:, 13:] - without).sum(axis=1).mean()
        assert channel.carry_out[one] == pytest.approx(later, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("rows", "freq", "names"),
    [
        (400, "D", ("last-28", "last-91", "last-182", "last-364", "next-91-last-year", "next-364-even")),
        (60, "MS", ("last-1", "last-3", "last-6", "last-12", "next-3-last-year", "next-12-even")),
        (40, "W-MON", ("window", "last-26", "next-13-even", "next-52-even")),
    ],
)
def test_days_and_months_have_dates_of_their_own_and_short_data_no_last_year(
    rows: int, freq: str, names: tuple[str, ...]
) -> None:
    written = curves(fitted(rows, freq)).country
    there = [dates.name for dates in written.dates]
    assert set(names) <= set(there)
    if rows == 40:
        assert not [name for name in there if "last-year" in name or name == "last-52"]
        assert "less than a year" in written.notes[0]


def test_a_job_leaves_curves_unless_the_posterior_has_not_converged(tmp_path: Path) -> None:
    heard = Heard()
    host = heard.host()
    table = sales(rows=80)
    Asked(1, host.step, host.log)(table, config(table), tmp_path, None)
    left = CurvesDocument.model_validate_json((tmp_path / "curves.json").read_bytes())
    assert [channel.name for channel in left.dates[0].channels] == ["c1", "c2", "c3"]
    alike = table.assign(c4=table["c1"])
    folder = tmp_path / "alike"
    folder.mkdir()
    answer = Asked(1, host.step, host.log)(alike, config(alike), folder, None)
    assert answer
    assert (folder / "curves.json").exists() == answer.document.converged
