"""Clusters of the Pareto solutions: Robyn's own answers, R's random numbers, scikit-learn's k-means."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans

from tests.engine.golden import read
from tests.engine.test_golden import searched
from trainer.engines.native import files
from trainer.engines.native.records import Clusters, Inputs
from trainer.engines.native.select import clusters
from trainer.engines.native.select.clusters import with_membership
from trainer.engines.native.select.hartigan_wong import kmeans
from trainer.engines.native.select.r_random import RRandom
from trainer.engines.tables import write_csv

CASE = "weekly_search"


def found() -> Clusters:
    return searched(CASE).clusters


def test_every_model_is_in_robyns_cluster_and_the_winners_are_robyns():
    robyns = pd.DataFrame(read(CASE)["clusters"])
    ours = found().members[["solID", "cluster", "top_sol"]]
    pd.testing.assert_frame_equal(ours, robyns, check_dtype=False)
    assert list(found().winners) == read("weekly_outputs")["cluster_models"]["solID"]


def test_the_sums_of_squares_of_every_number_of_clusters_are_robyns():
    np.testing.assert_allclose(found().wss, read("weekly_outputs")["clusters_wss"]["wss"], rtol=1e-12)


def test_the_intervals_of_each_channel_and_cluster_are_robyns():
    robyns = pd.DataFrame(read("weekly_outputs")["cluster_ci"])
    ours = found().confidence
    assert ours[["rn", "cluster", "n"]].values.tolist() == robyns[["rn", "cluster", "n"]].values.tolist()
    for column in ("boot_mean", "boot_se", "ci_low", "ci_up", "sd"):
        np.testing.assert_allclose(ours[column], robyns[column], rtol=1e-9, err_msg=column)


def test_the_table_of_all_pareto_models_is_robyns():
    """Every number that we write too; Robyn's infinite CPAs are recorded as missing."""
    robyns = pd.DataFrame(read("weekly_outputs")["pareto_aggregated"])
    ours = searched(CASE).aggregated
    both = ours.merge(robyns, on=["solID", "rn"], suffixes=("", "_robyn"), validate="one_to_one")
    assert len(both) == len(ours) == len(robyns)
    numbers = [name for name in ours.select_dtypes("number") if f"{name}_robyn" in both]
    assert {"roi_total", "cpa_total", "carryover_pct", "cluster", "boot_mean", "ci_up"} < set(numbers)
    for name in numbers:
        mine = both[name].astype(float).replace(np.inf, np.nan)
        np.testing.assert_allclose(mine, both[f"{name}_robyn"].astype(float), rtol=1e-9, err_msg=name)


def test_a_bootstrapped_interval_is_rs():
    interval = clusters.bootstrap(np.array([1.2, 0.8, 2.2, 1.9, 3.1, 0.4]))
    assert interval["boot_mean"] == pytest.approx(1.60213333333, rel=1e-11)
    assert interval["boot_se"] == pytest.approx(0.362055673865, rel=1e-11)
    assert interval["ci_low"] == 0
    assert interval["ci_up"] == pytest.approx(3.87972476668, rel=1e-11)


def test_rs_random_integers_after_set_seed():
    """R 4.2: set.seed(123); sample.int(10), and set.seed(42); sample.int(5, 5, replace = TRUE)."""
    assert (RRandom(123).choose(10, 10) + 1).tolist() == [3, 10, 2, 8, 6, 9, 1, 7, 5, 4]
    assert (RRandom(42).draw(5, 5) + 1).tolist() == [1, 5, 1, 1, 2]


@pytest.mark.parametrize("seed", range(8))
def test_kmeans_reaches_a_point_that_scikit_learn_cannot_improve(seed: int):
    rng = np.random.default_rng(seed)
    points = rng.uniform(size=(150, 4)) + 2 * rng.integers(0, 3, size=(150, 1))
    start = points[rng.choice(150, 6, replace=False)]
    labels, within = kmeans(points, start, 100)
    centres = np.array([points[labels == number].mean(axis=0) for number in range(6)])
    oracle = KMeans(6, init=centres, n_init=1, tol=0).fit(points)
    assert oracle.inertia_ == pytest.approx(within.sum(), rel=1e-12)
    np.testing.assert_array_equal(oracle.labels_, labels)


@pytest.mark.parametrize("models", [1, 2, 3])
def test_too_few_models_are_one_cluster_with_the_best_as_winner(models: int):
    result = searched(CASE)
    candidates = result.candidates.head(models)
    aggregated = pd.DataFrame(
        [
            {"solID": name, "rn": channel, "roi_total": 1.5}
            for name in candidates["solID"]
            for channel in result.inputs.paid
        ]
    )
    few = clusters.cluster(candidates, aggregated, result.inputs)
    assert few.members["cluster"].tolist() == [1] * models
    assert len(few.winners) == len(few.wss) == 1
    assert few.members["top_sol"].sum() == 1
    assert (few.confidence["boot_mean"].notna() == (models == 3)).all()


def clustered(case: dict[str, Any]) -> tuple[pd.DataFrame, Clusters]:
    """A recorded table of models, and our clusters of it."""
    inputs = SimpleNamespace(paid=("web", "tv"), dependent_type=case["dep_var_type"])
    models = pd.DataFrame(case["models"]).assign(nrmse_test=np.nan, nrmse_train=lambda table: table["nrmse"])
    values = pd.DataFrame(case["values"]).replace("Inf", np.inf)
    return models, clusters.cluster(models, values, cast(Inputs, inputs))


@pytest.mark.parametrize("case", read("clusters"), ids=lambda case: case["name"])
def test_twins_channels_without_a_cpa_and_few_models_are_clustered_as_by_robyn(case: dict[str, Any]):
    models, ours = clustered(case)
    if case["clusters"] is None:  # Robyn gave up
        assert len(ours.winners) == len(ours.wss) == 1
        assert set(ours.members["cluster"]) == {1}
        return
    robyns = pd.DataFrame(case["clusters"]).astype({"cluster": int})
    pd.testing.assert_frame_equal(ours.members[list(robyns)], robyns, rtol=1e-12, check_dtype=False)
    members = with_membership(models, ours)
    assert members["cluster"].isna().sum() == len(models) - len(robyns)
    expected = pd.DataFrame(case["intervals"] or [], columns=list(case["intervals"])).astype({"cluster": int})
    with_interval = files.intervals(ours.confidence).dropna(subset="boot_mean").reset_index(drop=True)
    pd.testing.assert_frame_equal(with_interval[list(expected)], expected, rtol=1e-9, check_dtype=False)
    without = ours.confidence[ours.confidence["boot_mean"].isna()]
    assert without[["boot_se", "ci_low", "ci_up", "sd"]].isna().all(axis=None)


def test_a_channel_without_any_cpa_has_no_interval_and_counts_no_model():
    case = next(case for case in read("clusters") if case["name"] == "no CPA")
    confidence = clustered(case)[1].confidence.set_index("rn")
    assert confidence.loc["web", "n"].tolist() == [0, 0, 0]
    assert confidence.loc["web", ["boot_mean", "boot_se", "ci_low", "ci_up", "sd"]].isna().all(axis=None)


def test_a_model_without_a_cluster_has_an_empty_cell_and_the_others_whole_numbers(tmp_path: Path):
    models, ours = clustered(read("clusters")[0])
    write_csv(with_membership(models, ours)[["solID", "cluster", "top_sol"]], tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert [lines[1], lines[2], lines[9]] == ['"1_1_1",2,false', '"1_2_1",1,true', '"1_9_1",,']


def test_numbers_in_the_text_of_an_interval_are_written_as_r_writes_them():
    """R 4.2.2: sprintf("[%s, %s]", round(low, 2), round(up, 2))."""
    ends = {
        "ci_low": [100000, 120000, 2.675, 10000, 0],
        "ci_up": [1234567.891, 99999.996, 3e6, 200000.5, 1e-9],
    }
    table = pd.DataFrame(ends).assign(sd=0.0)
    assert files.intervals(table)["boot_ci"].tolist() == [
        *("[1e+05, 1234567.89]", "[120000, 1e+05]", "[2.67, 3e+06]", "[10000, 200000.5]", "[0, 0]")
    ]
