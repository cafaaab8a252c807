"""The posterior as a notebook calls it: what it finds, what it says of itself, what it leaves out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contracts.model import HYPERPARAMETERS
from contracts.posterior import PosteriorDocument
from infra.local.public import SMALL, public_world
from tests.posterior.data import config, sales
from trainer.engines.choice import chosen, distances
from trainer.engines.native.explain.answers import Answers
from trainer.engines.native.result import candidate_of
from trainer.engines.native.search.trials import Plan, search
from trainer.engines.pictures import posterior_picture
from trainer.posterior import NotOffered, Posterior, document, posterior
from trainer.posterior.fit import prepared

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def found() -> Posterior:
    table = sales()
    return posterior(table, config(table))


def interval(found: Posterior, name: str) -> tuple[float, float]:
    low, high = np.quantile(found.roas[:, [channel.name for channel in found.paid].index(name)], (0.05, 0.95))
    return float(low), float(high)


def width(found: Posterior, name: str) -> float:
    low, high = interval(found, name)
    return high / low


def test_channels_earn_what_they_earned_and_the_better_one_is_known(found: Posterior) -> None:
    assert found.converged
    for truth, name in enumerate(("c1", "c2", "c3"), 1):
        low, high = interval(found, name)
        assert low * 0.9 < truth < high * 1.1
        assert high / low < 2
    assert found.better[2, 0] > 0.99
    assert (found.learned > 0.5).all()


def test_worlds_that_nobody_here_made_are_recovered() -> None:
    """Goals of `make truth` are stricter: three worlds are few, so the limits are wide."""
    held, right, wrong = [], 0, 0
    for name in SMALL:
        one = public_world(name)
        answer = posterior(one.totals, one.config, cores=2)
        medians = dict(zip(one.roas, np.median(answer.roas, axis=0), strict=True))
        for channel, truth in one.roas.items():
            low, high = interval(answer, channel)
            held.append(low <= truth <= high)
        for better, worse in permutations(one.roas, 2):
            if one.roas[better] >= 1.5 * one.roas[worse]:
                right += medians[better] > medians[worse]
                wrong += medians[better] <= medians[worse]
    assert sum(held) >= 7, f"{sum(held)} of {len(held)} intervals hold the truth"
    assert right >= 5 * wrong


def test_a_seed_gives_the_same_draws_on_any_number_of_cores() -> None:
    table = sales(rows=80)
    one, two = (posterior(table, config(table), cores=cores, sweeps=300) for cores in (1, 2))
    pd.testing.assert_frame_equal(one.table(), two.table(), check_exact=True)
    code = (
        "from tests.posterior.data import config, sales; from trainer.posterior import posterior; "
        "t = sales(rows=80); print(repr(float(posterior(t, config(t), sweeps=300).contribution.sum())))"
    )
    sums = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for threads in ("1", "4")
    ]
    assert sums == [repr(float(one.contribution.sum()))] * 2
    other = posterior(table, config(table, search={"seed": 124}), sweeps=300)
    assert other.contribution.sum() != one.contribution.sum()


def test_an_effect_is_the_engine_s_own_for_the_same_hyperparameters() -> None:
    table = sales(rows=80)
    for family, adstock in enumerate(("geometric", "weibull_cdf", "weibull_pdf")):
        asked = config(table, adstock=adstock, window={"start": "2022-03-07"})
        inputs = prepared(table, asked)
        candidate = candidate_of(search(inputs, Plan(iterations=3, trials=1, seed=1)).table, "1_3_1")
        model = Answers(inputs).model(candidate)
        of_adstock, of_geometric = (
            posterior(table, one, sweeps=30, longest=1)
            for one in (asked, config(table, window={"start": "2022-03-07"}))
        )
        answer = of_geometric if adstock == "weibull_pdf" else of_adstock  # a delay is tried unasked
        names = HYPERPARAMETERS[adstock]
        for i, channel in enumerate(answer.channels):
            same = [candidate[f"{channel.modelled}_{kind}"] for kind in names]
            answer.hyperparameters[0, i, : len(names)] = same
        answer.hyperparameters[0, :, 4] = family
        effects = answer.contributions(np.array([0]))[0]
        for i, media in enumerate(model.media):
            earned = media.response / media.coefficient
            expected = earned / earned.sum() * answer.contribution[0, i]
            np.testing.assert_allclose(effects[i], expected, rtol=1e-9, atol=1e-280)


def test_a_delayed_effect_is_found_where_geometric_adstock_is_asked_for() -> None:
    """`c1` earns 3 per unit, most of it three weeks later; the others earn at once."""
    table = sales(rows=130)
    late = np.convolve(table["c1"], [0, 0.3, 0.7, 1.2, 0.6, 0.2])[: len(table)]
    table["sales"] += late - table["c1"]
    found = posterior(table, config(table))
    assert found.is_delayed.mean(axis=0)[0] > 0.95
    assert found.is_delayed.mean(axis=0)[1:].max() < 0.5
    assert np.median(found.roas[:, 0]) == pytest.approx(late.sum() / table["c1"].sum(), rel=0.3)
    said = document(found)
    assert any(line.startswith("c1 works with a delay: more than 99 % sure.") for line in said.sentences)
    assert said.channels[0].delayed == found.is_delayed[:, 0].mean()
    draws = found.table()
    assert (draws["c1_thetas"].isna() == draws["c1_shapes"].notna()).all()
    for ranges in ({"c1_thetas": [0, 0.8]}, {"c1_thetas": [0, 0.1], "c2_thetas": [0, 0.1]}):
        known = posterior(table, config(table, hyperparameters={"ranges": ranges}), sweeps=300, longest=1)
        assert not known.is_delayed[:, : len(ranges)].any()
        assert "c1_shapes" not in known.table()


def test_contributions_by_period_add_up_and_baseline_and_media_give_what_was_sold(found: Posterior) -> None:
    draws = found.some(40)
    by_period = found.contributions(draws)
    np.testing.assert_allclose(by_period.sum(axis=2), found.contribution[draws], rtol=1e-9)
    fitted = by_period.sum(axis=1) + found.baseline(draws)
    missed = found.model.inputs.dependent - fitted
    assert 0.7 < missed.std() / found.sigma.mean() < 1.1


def test_half_the_spend_earns_less_and_what_comes_later_changes_nothing_before(found: Posterior) -> None:
    draws, series = found.some(20), found.channels[2].series
    halved, same = series.copy(), found.response(2, series, draws)
    halved[100:] /= 2
    less = found.response(2, halved, draws)
    np.testing.assert_array_equal(less[:, :100], same[:, :100])
    assert (less[:, 100:].sum(axis=1) < same[:, 100:].sum(axis=1)).all()
    longer = found.response(2, np.concatenate([series, np.zeros(10)]), draws)
    np.testing.assert_allclose(longer[:, : len(series)], same, rtol=1e-12)


STUDY = {"channels": ["c2"], "start": "2023-01-02", "end": "2023-03-26", "spend": 1000.0, "confidence": 0.9}


def lift(table: pd.DataFrame, first: str, last: str, times: float) -> float:
    return float(table.loc[table["date"].between(first, last), "c2"].sum() * times)


@pytest.mark.parametrize("end", ["2023-03-26", "2023-01-15"])
def test_a_lift_study_narrows_its_channel_and_pulls_it(found: Posterior, end: str) -> None:
    """A precise study that measured three times what the data say; of twelve weeks, and of two."""
    table = sales()
    table.loc[table["date"] == "2023-01-02", "c2"] = 300.0
    measured = 3 * lift(table, "2023-01-02", end, 2.0)
    study = {**STUDY, "end": end, "lift": measured, "lift_se": measured / 100}
    plain = posterior(table, config(table))
    with_study = posterior(table, config(table, calibration=[study]))
    assert interval(with_study, "c2")[0] > interval(plain, "c2")[1]
    loose = posterior(table, config(table, calibration=[{**study, "lift_se": 100 * measured}]), sweeps=600)
    assert np.median(loose.roas[:, 1]) == pytest.approx(np.median(plain.roas[:, 1]), rel=0.1)


def test_a_study_of_half_a_week_counts_half_of_it() -> None:
    table = sales(rows=80)
    study = {**STUDY, "start": "2023-01-02", "end": "2023-01-15", "lift": 100.0}
    weights = {}
    for end in ("2023-01-15", "2023-01-12"):
        asked = config(table, calibration=[{**study, "end": end}])
        weights[end] = posterior(table, asked, sweeps=30, longest=1).model.studies[0].weight
    assert weights["2023-01-15"].sum() == pytest.approx(2)
    assert weights["2023-01-12"].sum() == pytest.approx(1 + 4 / 7)


def test_a_study_that_tells_nothing_is_left_out_and_named() -> None:
    table = sales(rows=80)
    sure = {**STUDY, "lift": 1e3, "confidence": 1.0}
    tiny = {**STUDY, "lift": 1e-3}
    notes = posterior(table, config(table, calibration=[sure, tiny]), sweeps=30, longest=1).model.notes
    assert [note.split(":")[1].strip() for note in notes] == [
        "the study of c2 from 2023-01-02 to 2023-03-26 is left out",
        "the study of c2 from 2023-01-02 to 2023-03-26 is left out",
    ]
    assert all("lift_se" in note for note in notes)


def test_of_two_equal_columns_the_data_tell_the_sum_only(found: Posterior) -> None:
    table = sales()
    table["c4"] = table["c3"]
    table["sales"] += 2 * table["c4"]
    alike = posterior(table, config(table))
    assert alike.converged
    assert width(alike, "c3") > 3 * width(found, "c3")
    together = alike.contribution[:, 2:].sum(axis=1) / alike.paid[2].spend
    assert np.median(together) == pytest.approx(5, rel=0.1)
    assert alike.better[2, 3] == pytest.approx(0.5, abs=0.15)
    assert any(one.startswith(("c3 or c4", "c4 or c3")) for one in document(alike).sentences)


def test_a_range_from_experience_pulls_its_channel(found: Posterior) -> None:
    table = sales()
    asked = posterior(table, config(table, posterior={"roas": {"c1": [4.9, 5.1]}}))
    assert np.median(asked.roas[:, 0]) > interval(found, "c1")[1]


def test_what_the_posterior_cannot_take_is_said() -> None:
    table = sales(rows=80)
    signed = config(table, {"paid_media": ["c1", {"spend": "c2", "sign": "default"}]})
    with pytest.raises(NotOffered, match="c2: the posterior takes it that media sell"):
        posterior(table, signed)
    short = sales(rows=9)
    crowded = config(short, {"context": ["price"], "factors": ["offer"]})
    with pytest.raises(NotOffered, match="9 rows are too few"):
        posterior(short, crowded)
    odd = table.assign(flat=1.0, twice=2 * table["price"])
    named = config(
        odd, {"context": [{"name": "price", "sign": "negative"}, "flat", "twice"], "factors": ["offer"]}
    )
    notes = "\n".join(posterior(odd, named, sweeps=30, longest=1).model.notes)
    assert "the sign of price is not used" in notes
    assert "'flat' is constant" in notes
    assert "'twice' is constant or follows from others" in notes


@pytest.mark.parametrize(
    ("rows", "freq", "components"),
    [
        (60, "MS", ["trend", "season"]),
        (400, "D", ["trend", "season", "weekday", "monthly"]),
        (120, "W-MON", []),
    ],
)
def test_other_intervals_components_and_conversions(rows: int, freq: str, components: list[str]) -> None:
    table = sales(rows=rows, freq=freq)
    asked = config(table, {"dependent_type": "conversion"}, prophet={"components": components})
    found = posterior(table, asked, sweeps=900)
    answer = document(found)
    assert found.r_hat.max() < 1.1
    for truth, channel in zip((1, 2, 3), answer.channels, strict=True):
        assert channel.roas is None
        assert channel.cpa.q05 * 0.8 < 1 / truth < channel.cpa.q95 * 1.25
        assert channel.cpa.mean == pytest.approx(channel.spend / channel.contribution.mean)
        assert channel.prior_q05 < channel.prior_q95
    assert answer.sentences[0].startswith("One more of sales by c3 costs ")


def test_the_document_says_what_the_draws_say(found: Posterior, tmp_path: Path) -> None:
    answer = document(found)
    again = PosteriorDocument.model_validate(json.loads(answer.model_dump_json()))
    assert again == answer
    draws = found.table()
    channel = answer.channels[1]
    assert channel.contribution.mean == draws["c2_contribution"].mean()
    assert channel.roas.q95 == np.quantile(draws["c2_contribution"], 0.95) / channel.spend
    assert answer.better[0][0] is None
    assert (
        answer.better[2][0]
        == (
            draws["c3_contribution"] / found.paid[2].spend > draws["c1_contribution"] / found.paid[0].spend
        ).mean()
    )
    assert any(sentence.startswith(("c3 earns 2.", "c3 earns 3.")) for sentence in answer.sentences)


def test_the_nearest_model_is_the_one_with_the_posterior_s_medians(found: Posterior, tmp_path: Path) -> None:
    answer = document(found)
    medians = {channel.name: channel.roas.q50 for channel in answer.channels}
    models = pd.DataFrame([{**medians, "c1": 0.0}, medians, {**medians, "c2": 3 * medians["c2"]}])
    assert distances(answer, models).argmin() == 1
    assert np.isfinite(distances(answer, models)).all()
    best = chosen(answer, "1_1_1", models.iloc[2].to_dict())
    assert best.inside == {"c1": True, "c2": False, "c3": True}
    posterior_picture.draw(answer.model_copy(update={"best_model": best}), tmp_path / "posterior.png")
    assert (tmp_path / "posterior.png").stat().st_size > 10_000


def _telling_little(name: str) -> pd.DataFrame:
    random, table = np.random.default_rng(0), sales()
    if name == "many zeros":
        table["c1"] = np.where(random.uniform(size=len(table)) < 0.03, table["c1"] + 50, 0.0)
        table["c2"] = np.where(table.index == 70, 500.0, 0.0)
    elif name == "three spends":
        table["c1"] = random.choice([0.0, 100.0, 200.0], len(table))
    elif name == "always the same":
        table["c1"] = 100.0
    elif name == "three equal columns":
        table["c2"], table["c3"] = table["c1"], 3 * table["c1"]
    elif name == "eight channels in sixty weeks":
        return sales(rows=60, channels=8)
    elif name == "nothing but noise":
        table["sales"] = random.normal(2000, 200, len(table))
    return table


@pytest.mark.parametrize(
    "name",
    [
        *("many zeros", "three spends", "always the same", "three equal columns"),
        *("eight channels in sixty weeks", "nothing but noise"),
    ],
)
def test_data_that_tell_little_end_in_wide_intervals_and_no_nonsense(name: str) -> None:
    table = _telling_little(name)
    answer = posterior(table, config(table))
    assert answer.converged
    assert np.isfinite(answer.contribution).all()
    assert np.isfinite(answer.hyperparameters).all()
    assert -0.2 < answer.baseline_share.mean() < 1
    if name == "always the same":
        assert answer.learned[0] < 0.5
    if name == "nothing but noise":
        assert answer.baseline_share.mean() > 0.85


@pytest.mark.parametrize("scope", ["immediate", "total"])
def test_a_lift_study_is_read_by_its_scope(scope: str) -> None:
    """Half of what c1 earns comes later; a study over one spend sees the first half, or all of it."""
    table = sales(rows=130, channels=1)
    spend = table["c1"].to_numpy()
    carried = np.convolve(spend, 0.5 ** np.arange(20))[: len(spend)]
    earned, later = (1000 * x / (x + carried.max()) for x in (carried, carried - spend))
    table["sales"] = 2000 + earned + np.random.default_rng(5).normal(0, 150, len(spend))
    rows = slice(60, 90)
    days = table["date"].dt.date
    lift = float((earned - later if scope == "immediate" else earned)[rows].sum())
    study = {"channels": ["c1"], "start": str(days[60]), "end": str(days[89] + timedelta(days=6))}
    study |= {"lift": lift, "lift_se": 0.03 * lift, "spend": float(spend[rows].sum()), "confidence": 0.9}
    known = {"c1_thetas": [0.45, 0.55], "c1_alphas": [0.98, 1.02], "c1_gammas": [0.98, 1.0]}
    found = {
        told: posterior(
            table,
            config(
                table,
                calibration=[study | {"scope": told}],
                hyperparameters={"ranges": known},
                prophet={"components": ["trend"]},
            ),
            sweeps=600,
            longest=1,
        ).roas[:, 0]
        for told in ("immediate", "total")
    }
    low, high = np.quantile(found[scope], (0.02, 0.98))
    assert low < earned.sum() / spend.sum() < high
    assert np.median(found["immediate"]) > 1.4 * np.median(found["total"])
