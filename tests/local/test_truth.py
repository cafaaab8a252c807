"""How near models come to a known truth: a small part of what `make truth` measures."""

from __future__ import annotations

import pandas as pd
import pytest

from infra.local import kinds
from infra.local.truth import lift_studies, ranked, study, world

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def found() -> list[dict[str, pd.DataFrame]]:
    return [study(seed, iterations=1000, trials=2) for seed in SEEDS]


def of(found: list[dict[str, pd.DataFrame]], way: str) -> list[pd.DataFrame]:
    return [tables[way] for tables in found]


def test_what_the_truth_separates_is_ranked_right_where_nothing_pulls_the_shares_together(found) -> None:
    right, pairs = ranked(of(found, "best model by NRMSE, searched for it alone"), 1.5)
    assert pairs >= 15
    assert right / pairs >= 0.85
    right, pairs = ranked(of(found, "best model, a lift study of each channel"), 2.0)
    assert right / pairs >= 0.85


def test_the_best_model_is_better_than_chance_and_pulled_to_the_shares_of_spend(found) -> None:
    best, fitted = (of(found, way) for way in ("best model", "best model by NRMSE, searched for it alone"))
    right, pairs = ranked(best, 1.5)
    assert right / pairs > 0.6
    errors = [
        float(pd.concat([(table["share"] - table["true_share"]).abs() for table in tables]).median())
        for tables in (best, fitted)
    ]
    assert errors[1] < errors[0] < 0.1


def test_the_posterior_ranks_better_than_the_best_model_and_its_intervals_hold(found) -> None:
    """Three worlds are few: `make truth` measures 24."""
    tables = of(found, "posterior")
    right, pairs = ranked(tables, 1.5)
    assert right / pairs >= 0.9
    together = pd.concat(tables)
    holds = together["true_roas"].between(together["low"], together["high"])
    assert holds.sum() >= 10, f"{holds.sum()} of {len(holds)} intervals hold the truth"
    assert together["sure_right"].sum() >= 0.85 * together["sure"].sum() > 10
    nearest, _ = ranked(of(found, "best model by posterior"), 1.5)
    best, _ = ranked(of(found, "best model"), 1.5)
    assert nearest >= best


def test_worlds_differ_and_their_truth_is_the_one_that_is_compared_with() -> None:
    first, second = world(1), world(2)
    assert first.roas != second.roas
    assert all(0.5 <= roas <= 4 for roas in (*first.roas.values(), *second.roas.values()))
    for one in lift_studies(first):
        (name,) = one["channels"]
        rows = first.table["date"].between(one["start"], one["end"])
        assert rows.sum() == 12
        assert one["lift"] == pytest.approx(first.components[name][rows].sum())


def test_a_pair_counts_once_it_is_separated_and_right_if_the_order_is() -> None:
    table = pd.DataFrame({"roas": [1.0, 3.0, 2.9], "true_roas": [1.0, 2.0, 3.2]}, index=list("abc"))
    assert ranked([table], 1.5) == (2, 3)
    assert ranked([table], 1.7) == (2, 2)


@pytest.mark.parametrize("name", kinds.KINDS)
def test_worlds_of_other_kinds_hold_together(name: str) -> None:
    kind = kinds.KINDS[name]
    data = kinds.world(kind, 1)
    assert len(data.table) == kind.weeks
    assert data.components.sum(axis=1).to_numpy() == pytest.approx(data.table["revenue"].to_numpy(), abs=0.01)
    assert all(kind.roas[0] <= roas <= kind.roas[1] for roas in data.roas.values())
    assert kinds.world(kind, 1).roas == data.roas != kinds.world(kind, 2).roas
