"""The posterior of data by region, and what a job tells of it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from contracts.budget import BudgetQuestion
from contracts.curves import FACTORS
from contracts.model import ModelConfig
from contracts.plans import PlanQuestion
from functions.web import planner
from infra.local.public import public_world
from tests.posterior.data import config
from trainer.engines.native.budget.reallocation import Infeasible
from trainer.posterior import Posterior, document, posterior_by_region
from trainer.posterior.budget import allocate
from trainer.posterior.budget import document as budget
from trainer.posterior.budget.curves import curves
from trainer.posterior.budget.split import Curve, Curves, best_split
from trainer.posterior.job import Asked
from trainer.posterior.regions import ByRegion, chains_by_region
from trainer.trust import refits

ROAS = {"north": (3.0, 1.0), "south": (4.0, 1.0), "west": (2.0, 2.0)}
SIZE = {"north": 1.0, "south": 0.3, "west": 2.0}


@dataclass(frozen=True)
class Country:
    """Three regions; `c2` is only used in two of them."""

    regions: pd.DataFrame
    totals: pd.DataFrame
    config: ModelConfig

    def drawn(self, cores: int = 1, **fields: object) -> Posterior:
        asked = self.config.model_copy(update=fields)
        return posterior_by_region(
            self.regions, self.totals, asked, column="region", cores=cores, sweeps=600, longest=2
        )


@pytest.fixture(scope="module")
def country() -> Country:
    random, rows, parts = np.random.default_rng(4), 104, []
    dates = pd.date_range("2022-01-03", periods=rows, freq="W-MON")
    for name, roas in ROAS.items():
        size = SIZE[name]
        spends = random.lognormal(0, 0.8, (rows, 2)) * (random.uniform(size=(rows, 2)) < 0.6) * 100 * size
        if name == "south":
            spends[:, 1] = 0
        earned = _saturated(spends) * spends.sum(axis=0) @ roas
        sales = 1500 * size + earned + random.normal(0, 60 * size, rows)
        parts.append(pd.DataFrame({"date": dates, "sales": sales, "c1": spends[:, 0], "c2": spends[:, 1]}))
        parts[-1]["region"] = name
    regions = pd.concat(parts, ignore_index=True)
    totals = regions.groupby("date", as_index=False)[["sales", "c1", "c2"]].sum()
    ranges = {f"{name}_{kind}": value for name in ("c1", "c2") for kind, value in SHAPES.items()}
    asked = config(totals, hyperparameters={"ranges": ranges}, prophet={"components": ["trend"]})
    return Country(regions, totals, asked)


FIELDS = ("columns", "calibration")
SHAPES = {"alphas": [0.9, 1.1], "gammas": [0.9, 1.0], "thetas": [0.0, 0.1]}


def _saturated(spends: np.ndarray) -> np.ndarray:
    """Hill with its inflexion at the largest spend; each column's shares of what it earns."""
    effect = spends / (spends + np.maximum(spends.max(axis=0), 1.0))
    return effect / np.maximum(effect.sum(axis=0), 1e-9)


@pytest.fixture(scope="module")
def found(country: Country) -> Posterior:
    return country.drawn()


def test_every_region_has_its_own_answer_and_the_country_is_their_sum(
    country: Country, found: Posterior
) -> None:
    assert found.converged
    total = np.zeros_like(found.contribution)
    for region in found.regions:
        names = [channel.name for channel in region.found.channels]
        assert names == (["c1"] if region.name == "south" else ["c1", "c2"])
        total[:, : len(names)] += region.found.contribution
        low, high = np.quantile(region.found.roas, (0.01, 0.99), axis=0)
        true = np.array(ROAS[region.name])[: len(names)]
        assert (low < true).all()
        assert (true < high).all()
    assert np.allclose(total, found.contribution, rtol=1e-12)
    spread = np.median(found.spread, axis=0)
    assert 0.1 < spread[0] < 1


def test_the_answer_is_the_same_on_two_cores(country: Country, found: Posterior) -> None:
    again = country.drawn(cores=2)
    assert np.array_equal(again.contribution, found.contribution)
    assert np.array_equal(again.regions[1].found.sigma, found.regions[1].found.sigma)


@pytest.mark.parametrize("sweeps", [150, 600])
def test_the_answer_is_the_same_whoever_drew_the_chains(country: Country, sweeps: int) -> None:
    """Also if chains must go on (150 sweeps are too few)."""
    given = country.regions, country.totals, country.config
    written: dict[int, bytes] = {}
    for number in range(2):
        written |= chains_by_region(*given, column="region", numbers=[number], sweeps=sweeps)
    whole = posterior_by_region(*given, column="region", sweeps=sweeps, longest=4)
    for begun in ({1: written[1]}, written):
        parts = posterior_by_region(*given, column="region", sweeps=sweeps, longest=4, begun=begun)
        assert parts.sweeps == whole.sweeps
        assert np.array_equal(parts.contribution, whole.contribution)
        assert np.array_equal(parts.regions[2].found.sigma, whole.regions[2].found.sigma)
    assert whole.sweeps > sweeps or sweeps == 600
    other = country.config.model_copy(update={"search": country.config.search.model_copy(update={"seed": 9})})
    again = posterior_by_region(*given[:2], other, column="region", sweeps=sweeps, longest=1)
    stale = posterior_by_region(*given[:2], other, column="region", sweeps=sweeps, longest=1, begun=written)
    assert np.array_equal(stale.contribution, again.contribution)


def test_what_a_period_earned_is_the_sum_of_the_regions_and_so_is_a_budget_answer(
    found: Posterior,
) -> None:
    draws = found.some(50)
    assert np.allclose(found.contributions(draws).sum(axis=2), found.contribution[draws], rtol=1e-9)
    answer = allocate(found, BudgetQuestion())
    today = answer.before[:, :, 0].mean(axis=1)
    assert np.allclose(today, found.contribution.mean(axis=0), rtol=1e-9)
    assert answer.spend[0] > answer.plan.spend[0]  # c1 earns more
    assert (answer.gain.sum(axis=0) > 0).mean() > 0.9


def test_money_that_may_move_between_regions_earns_nearly_what_the_truth_allows(
    country: Country, found: Posterior
) -> None:
    answer = allocate(found, BudgetQuestion(by_region=True))
    told, fixed = budget.document(answer), budget.document(allocate(found, BudgetQuestion()))
    assert told.before is not None
    assert fixed.before is not None
    assert told.before.earned.mean == pytest.approx(fixed.before.earned.mean, rel=1e-9)
    assert told.gain.mean > fixed.gain.mean
    spends = {(r.name, c.name): c.after.spend for r in told.regions for c in r.channels}
    assert sum(spends.values()) == pytest.approx(told.before.spend, rel=1e-9)
    for channel in told.channels:
        of_regions = sum(spends[name, channel.name] for name in ROAS)
        assert channel.after.spend == pytest.approx(of_regions, rel=1e-9)
    for region in told.regions:
        gains = sum(channel.gain.mean for channel in region.channels)
        assert region.gain.mean == pytest.approx(gains, rel=1e-6)
    assert spends["south", "c2"] == 0
    cells = [
        (name, channel) for name in ROAS for channel in ("c1", "c2") if (name, channel) != ("south", "c2")
    ]
    true = [_true_curve(country, name, channel) for name, channel in cells]
    today = np.array([curve.spend for curve in true])
    best = best_split(Curves([curve.curve for curve in true]), 0.5 * today, 2 * today, float(today.sum()))

    def gained(proposed: np.ndarray) -> float:
        pairs = zip(true, proposed, strict=True)
        return sum(float(curve.curve(spend) - curve.curve(curve.spend)) for curve, spend in pairs)

    assert gained(np.array([spends[cell] for cell in cells])) > 0.9 * gained(best) > 0
    assert told.gain.q05 < gained(np.array([spends[cell] for cell in cells])) < told.gain.q95


class TrueCurve(NamedTuple):
    spend: float
    curve: Curve


def _true_curve(country: Country, region: str, channel: str) -> TrueCurve:
    """What a channel really earns in a region, from nothing to twice what was spent."""
    part = country.regions[country.regions["region"] == region]
    spends = part[["c1", "c2"]].to_numpy()
    i = ("c1", "c2").index(channel)
    spent, most = float(spends[:, i].sum()), max(float(spends[:, i].max()), 1.0)
    today = (spends[:, i] / (spends[:, i] + most)).sum()
    factors = np.linspace(0, 2, 81)
    shown = spends[:, i] * factors[:, None]
    earned = (shown / (shown + most)).sum(axis=1) / today * spent * ROAS[region][i]
    return TrueCurve(spent, Curve(factors * spent, earned))


def test_a_channel_s_budget_by_region_is_that_of_all_regions(found: Posterior) -> None:
    """Money moves between regions within it; the rest of the money between everything else."""
    spent = {channel.name: channel.spend for channel in found.paid}
    for asked in (0.6 * spent["c1"], (0.5 * spent["c1"], 0.8 * spent["c1"])):
        question = BudgetQuestion.model_validate({"by_region": True, "channel_budgets": {"c1": asked}})
        told = budget.document(allocate(found, question))
        c1, c2 = told.channels
        most = asked if isinstance(asked, float) else asked[1]
        assert c1.after.spend == pytest.approx(most)  # c1 earns more, so that it takes all that it may
        assert c1.bounds.spend[1] == pytest.approx(most)
        assert c1.after.spend + c2.after.spend == pytest.approx(sum(spent.values()))
        c1s = [one.channels[0].after.spend for one in told.regions]
        assert sum(c1s) == pytest.approx(most)
        unequal = [one.channels[0].after.spend / one.channels[0].before.spend for one in told.regions]
        assert max(unequal) > 1.2 * min(unequal)
    impossible = BudgetQuestion.model_validate({"by_region": True, "channel_budgets": {"c1": 1e9}})
    with pytest.raises(Infeasible, match="is less than the lower bounds"):
        allocate(found, impossible)


def test_a_plan_by_region_says_what_each_region_spends(country: Country, found: Posterior) -> None:
    asked = {
        "by_region": True,
        "scenario": "historical",
        "plans": {"more": {"c1": "+10 %"}, "sum": {"c2": 900}},
        "region_plans": {"move": {"north": {"c1": "-20 %"}, "west": {"c1": "+5 %", "c2": 1000}}},
    }
    job = budget.document(allocate(found, BudgetQuestion.model_validate(asked)))
    spent = {name: part[["c1", "c2"]].sum() for name, part in country.regions.groupby("region")}
    more, whole, move = job.plans
    for one, today in zip(more.regions, spent.values(), strict=True):
        assert [c.after.spend for c in one.channels] == pytest.approx([1.1 * today["c1"], today["c2"]])
    assert whole.channels[1].after.spend == pytest.approx(900)
    shares = [one.channels[1].after.spend / 900 for one in whole.regions]
    assert shares == pytest.approx(
        [part["c2"] / sum(one["c2"] for one in spent.values()) for part in spent.values()]
    )
    assert [one.channels[0].after.spend / spent[one.name]["c1"] for one in move.regions] == pytest.approx(
        [0.8, 1, 1.05]
    )
    assert move.regions[2].channels[1].after.spend == pytest.approx(1000)
    assert move.gain.mean == pytest.approx(sum(one.gain.mean for one in move.regions))
    assert move.regions[1].gain.mean == 0
    table = budget.plans_table(job)
    assert list(table["region"].unique()) == list(ROAS)
    assert table["planSpend"].sum() == pytest.approx(sum(plan.after.spend for plan in job.plans))
    national, regional = curves(found)
    page = planner.answer(national, PlanQuestion.model_validate(asked), regions=regional)
    for mine, theirs in zip(page.plans, job.plans, strict=True):
        assert mine.gain.mean == pytest.approx(theirs.gain.mean, rel=0.02)
        for one, other in zip(mine.regions, theirs.regions, strict=True):
            assert one.after.spend == pytest.approx(other.after.spend)
    new = {"by_region": True, "region_plans": {"new": {"south": {"c2": 10}}}}
    job = budget.document(allocate(found, BudgetQuestion.model_validate(new)))
    assert job.plans[0].gain.mean == 0
    assert job.notes == [
        "c2 in south: it had no media there in the window, so nothing is known of what it earns; it is taken "
        "to earn nothing"
    ]
    page = planner.answer(national, PlanQuestion.model_validate(new), regions=regional)
    assert page.notes == job.notes
    unknown = {"by_region": True, "region_plans": {"move": {"nrth": {"c1": 1}}}}
    with pytest.raises(planner.Unanswerable, match="nrth: not a region of the result; there are: north"):
        planner.answer(national, PlanQuestion.model_validate(unknown), regions=regional)
    with pytest.raises(Infeasible, match="no region 'nrth'; there are: north, south, west"):
        allocate(found, BudgetQuestion.model_validate(unknown))


def test_a_question_about_one_region_is_about_its_money(found: Posterior) -> None:
    answer = budget.document(allocate(found, BudgetQuestion(region="west", total="+10 %")))
    west = next(region.found for region in found.regions if region.name == "west")
    assert answer.region == "west"
    assert answer.before.spend == pytest.approx(sum(channel.spend for channel in west.paid))
    assert answer.after.spend == pytest.approx(1.1 * answer.before.spend)
    assert answer.before.response == pytest.approx(west.contribution.sum(axis=1).mean(), rel=1e-9)
    with pytest.raises(Infeasible, match="no region 'east'; there are: north, south, west"):
        allocate(found, BudgetQuestion(region="east"))


@pytest.mark.parametrize("pattern", ["last_year", "even"])
def test_after_the_data_each_region_spends_as_it_did_a_year_before(
    country: Country, found: Posterior, pattern: str
) -> None:
    dates = {"start": "2024-01-01", "end": "2024-03-31", "pattern": pattern}
    told = budget.document(allocate(found, BudgetQuestion(by_region=True, scenario="historical", **dates)))
    year = country.regions[country.regions["date"].between("2023-01-02", "2023-04-02")]
    for region in told.regions:
        spent = year[year["region"] == region.name][["c1", "c2"]].to_numpy().sum()
        if pattern == "last_year":
            assert region.historical.spend == pytest.approx(spent)
    fixed = budget.document(allocate(found, BudgetQuestion(scenario="historical", **dates)))
    assert fixed.historical.response == pytest.approx(told.historical.response, rel=1e-9)


def test_the_curves_of_regions_answer_as_a_job_does(found: Posterior) -> None:
    national, regional = curves(found)
    assert regional is not None
    assert national.regions == [region.name for region in regional.regions] == list(ROAS)
    for dates in regional.regions[0].dates:
        [whole] = [one for one in national.dates if one.name == dates.name]
        for i, channel in enumerate(whole.channels):
            of_regions = [
                one.channels[i]
                for region in regional.regions
                for one in region.dates
                if one.name == dates.name
            ]
            assert sum(one.today for one in of_regions) == pytest.approx(channel.today)
            today = [one.response[FACTORS.index(1)] for one in of_regions]
            assert sum(today) == pytest.approx(channel.response[FACTORS.index(1)], rel=1e-9)
    for asked in ({"by_region": True}, {"region": "west", "total": "+10 %"}):
        job = budget.document(allocate(found, BudgetQuestion.model_validate(asked)))
        plan = planner.answer(national, PlanQuestion.model_validate(asked), regions=regional)
        assert plan.region == job.region
        assert plan.gain.mean == pytest.approx(job.gain.mean, rel=0.02)
        assert plan.before.earned.mean == pytest.approx(job.before.earned.mean, rel=1e-6)
        for mine, theirs in zip(plan.regions, job.regions, strict=True):
            assert mine.after.spend == pytest.approx(theirs.after.spend, rel=0.05)
            assert mine.gain.q05 == pytest.approx(theirs.gain.q05, abs=0.05 * abs(job.gain.mean))
        spends = {channel.name: channel.after.spend for channel in job.channels}
        for channel in plan.channels:
            assert channel.after.spend == pytest.approx(spends[channel.name], rel=0.05)
    with pytest.raises(planner.Unanswerable, match="no region 'east'"):
        planner.answer(national, PlanQuestion(region="east"), regions=regional)


def _study(dates: pd.Series[pd.Timestamp], spent: float) -> dict[str, Any]:
    """A sure study of c1 over twenty weeks: it earned 1.6 for each unit that was spent."""
    return {
        "channels": ["c1"],
        "start": str(dates[20].date()),
        "end": str((dates[39] + pd.Timedelta(days=6)).date()),
        "lift": 1.6 * spent,
        "lift_se": 0.01 * spent,
        "spend": spent,
        "confidence": 0.9,
        "scope": "total",
    }


def test_where_a_region_cannot_be_modelled_the_totals_say_so_and_why(
    country: Country, tmp_path: Path
) -> None:
    regions = country.regions.copy()
    regions.loc[regions["region"] == "south", "sales"] = 0
    asked = Asked(1, lambda _: nullcontext(), lambda _: None, regions=ByRegion(regions, "region"))
    assert asked(country.totals, country.config, tmp_path, None)
    assert asked.found
    why = "region south: 'sales' does not add up to more than 0 in the window"
    assert document(asked.found).sentences[0] == (
        f"These are numbers of the totals, without the regions: {why}."
    )
    with pytest.raises(Infeasible, match=f"nothing is known of regions: {why}"):
        allocate(asked.found, BudgetQuestion(by_region=True))


def test_a_study_of_the_country_is_told_to_all_its_regions(country: Country, found: Posterior) -> None:
    dates, spent = country.totals["date"], float(country.totals["c1"][20:40].sum())
    study = _study(dates, spent)
    studied = country.drawn(
        calibration=ModelConfig.model_validate(
            {**country.config.model_dump(), "calibration": [study]}
        ).calibration
    )
    assert np.median(studied.roas[:, 0]) < 0.85 * np.median(found.roas[:, 0])
    assert np.ptp(np.quantile(studied.roas[:, 0], (0.05, 0.95))) < 0.3


def test_a_study_of_one_region_tells_of_that_region(country: Country, found: Posterior) -> None:
    dates, north = country.totals["date"], country.regions.query("region == 'north'")
    spent = float(north["c1"].iloc[20:40].sum())
    study = {**_study(dates, spent), "region": "north"}
    elsewhere = {**study, "channels": ["c2"], "region": "south"}  # which has no such channel
    fields = {**country.config.model_dump(), "calibration": [study, elsewhere]}
    fields["columns"]["region"] = "region"
    studied = country.drawn(**{name: getattr(ModelConfig.model_validate(fields), name) for name in FIELDS})
    for region in range(3):
        before, now = (np.median(one.regions[region].found.roas[:, 0]) for one in (found, studied))
        assert now < 0.75 * before if region == 0 else 0.85 < now / before < 1.15
    [note] = [note for note in studied.model.notes if "the study of c2" in note]
    assert note.endswith("is left out: c2 has no posterior [south]")


def test_forecasts_and_refits_are_those_of_the_regions(country: Country, found: Posterior) -> None:
    regions = ByRegion(country.regions, "region")
    tried, stability, notes = refits.backtests(found, country.totals, country.config, 1, regions)
    assert [one.periods for one in tried] == [4, 8, 12]
    assert np.average([one.covered for one in tried], weights=[4, 8, 12]) > 0.7
    for one in tried:
        assert one.error < 0.6 * one.error_without_media
    spends = {name: country.regions.query(f"region == '{name}'")["c1"].sum() for name in ROAS}
    true = sum(spends[name] * ROAS[name][0] for name in ROAS) / sum(spends.values())
    [c1, _] = stability
    assert all(one.q05 < true < one.q95 for one in c1.refits)
    assert c1.moved < 2.5
    assert notes == []


def test_saturation_of_a_region_is_its_own() -> None:
    """Half the spend earns three quarters in the north, where it saturates, and a seventh in the south."""
    random, dates, parts = (
        np.random.default_rng(3),
        pd.date_range("2022-01-03", periods=104, freq="W-MON"),
        [],
    )
    half = {}
    for name, power, inflexion in (("north", 0.6, 0.35), ("south", 3.0, 1.0)):
        spend = random.lognormal(0, 0.5, len(dates)) * 100 * (random.uniform(size=len(dates)) < 0.7)

        def earned(spend: np.ndarray, power: float = power, most: float = inflexion * spend.max()) -> Any:
            return spend**power / (spend**power + most**power)

        half[name] = earned(spend / 2).sum() / earned(spend).sum()
        sales = (
            1500 + 3 * spend.sum() * earned(spend) / earned(spend).sum() + random.normal(0, 30, len(dates))
        )
        parts.append(pd.DataFrame({"date": dates, "sales": sales, "c1": spend, "region": name}))
    regions = pd.concat(parts, ignore_index=True)
    totals = regions.groupby("date", as_index=False)[["sales", "c1"]].sum()
    found = posterior_by_region(regions, totals, config(totals), column="region", longest=1)
    draws = found.some(100)
    for region in found.regions:
        series = region.found.channels[0].series
        whole, less = (region.found.response(0, one, draws).sum(axis=1) for one in (series, series / 2))
        assert half[region.name] == pytest.approx(float((less / whole).mean()), abs=0.1)
    assert half["north"] - half["south"] > 0.4
    shapes = found.regions_table().groupby("region")["c1_alphas"].median()
    assert shapes["north"] < 1 < 2 < shapes["south"]


def test_the_document_tells_of_every_region_in_numbers_and_words(found: Posterior) -> None:
    answer = document(found)
    assert [region.name for region in answer.regions] == list(ROAS)
    south = answer.regions[1]
    assert [channel.name for channel in south.channels] == ["c1"]
    assert south.channels[0].roas.q05 < ROAS["south"][0] < south.channels[0].roas.q95
    assert "c1 earns more in south than in west: more than 99 % sure." in answer.sentences
    assert answer.channels[0].spread.q05 > 0


def test_regions_of_a_public_generator_tell_what_the_channels_of_the_country_earn() -> None:
    """The goals: 98 % of the pairs from 1.5 times, an error of 8 %, 85 % of the intervals hold the truth."""
    world = public_world("medium_business_0")
    found = posterior_by_region(world.regions, world.totals, world.config, column="geo", cores=2)
    assert found.converged
    true = np.array(list(world.roas.values()))
    low, middle, high = np.quantile(found.roas, (0.05, 0.5, 0.95), axis=0)
    pairs = np.argwhere(true[:, None] >= 1.5 * true)
    assert np.mean([middle[i] > middle[j] for i, j in pairs]) >= 0.98
    assert np.median(np.abs(middle / true - 1)) <= 0.08
    assert ((low <= true) & (true <= high)).mean() >= 0.85
