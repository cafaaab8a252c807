"""Groups of similar Pareto models, the best of each, and how much its models disagree (Robyn 3.12.1)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from trainer.engines.common import Floats
from trainer.engines.native.records import Clusters, Inputs
from trainer.engines.native.select.hartigan_wong import kmeans
from trainer.engines.native.select.pareto import error_score
from trainer.engines.native.select.r_random import RRandom

_KINDS = ("_thetas", "_shapes", "_scales", "_alphas", "_gammas", "_penalty")
_ERRORS = ["nrmse", "decomp.rssd", "mape"]
_FEWEST, _MOST, _MOST_TRIED = 3, 10, 30
"""Numbers of clusters: the smallest and largest that is chosen, the largest that is tried (Robyn)."""
_GAIN = 0.06
"""Share of the total sum of squares by which one more cluster must lower it."""
_ITERATIONS = 10
"""Rounds of k-means (R: iter.max)."""
_SEED, _BOOTSTRAP_SEED = 123, 1
"""Robyn's seeds."""
_SAMPLES = 1000
"""Bootstrap samples (Robyn: boot_n)."""
_BOOTSTRAP = ["boot_mean", "boot_se", "ci_low", "ci_up", "sd"]
_NOTHING = dict.fromkeys(_BOOTSTRAP, math.nan)
_SMALLEST_SAMPLE = 3
"""Models that a cluster must have for an interval."""
_CONFIDENCE = 0.975
"""Quantile at the upper end of a two-sided interval of 95 %."""

Labels = NDArray[np.int64]


def cluster(candidates: pd.DataFrame, aggregated: pd.DataFrame, inputs: Inputs) -> Clusters:
    """Cluster the Pareto solutions by their media hyperparameters (robyn_clusters, robyn-spec §13).

    `candidates` are the rows of `Result.candidates` of the Pareto solutions in the order of proposals,
    `aggregated` their `ModelAnswer.summary` with `solID`. Of solutions with the same media hyperparameters
    only the first is clustered. Where Robyn gives up (fewer than four different ones, or no cluster of three)
    all are one cluster.
    """
    features = _features(candidates)
    features = features[~features.duplicated()]
    candidates = candidates.loc[features.index]
    labels, wss = _labels(features.to_numpy())
    score = pd.Series(error_score(candidates), index=candidates.index)
    winners = score.groupby(labels).idxmin()
    members = features.assign(
        **{name: candidates[name] for name in [*_ERRORS, "solID"]},
        cluster=labels,
        n=np.bincount(labels)[labels],
        top_sol=candidates.index.isin(winners),
    ).reset_index(drop=True)
    return Clusters(
        members=members,
        confidence=_confidence(members, aggregated, inputs),
        wss=wss,
        winners=tuple(candidates.loc[winners, "solID"]),
    )


def with_membership(table: pd.DataFrame, clusters: Clusters) -> pd.DataFrame:
    """The table with `cluster` and `top_sol` of each row's `solID`; missing if it is in no cluster."""
    members = clusters.members[["solID", "cluster", "top_sol"]]
    return table.merge(members, on="solID", how="left").astype({"cluster": "Int64", "top_sol": "boolean"})


def with_clusters(aggregated: pd.DataFrame, clusters: Clusters) -> pd.DataFrame:
    """The table with `cluster` and `top_sol` of each solution, and the intervals of each paid channel."""
    intervals = clusters.confidence[["rn", "cluster", *_BOOTSTRAP[:-1]]].astype({"cluster": "Int64"})
    return with_membership(aggregated, clusters).merge(intervals, on=["rn", "cluster"], how="left")


def _features(candidates: pd.DataFrame) -> pd.DataFrame:
    """Media hyperparameters scaled to [0, 1]; 1 where all solutions have the same value."""
    names = [str(name) for name in candidates if str(name).endswith(_KINDS)]
    low, high = candidates[names].min(), candidates[names].max()
    scaled: pd.DataFrame = (candidates[names] - low) / (high - low)
    return scaled.fillna(1.0)


def _labels(points: Floats) -> tuple[Labels, Floats]:
    """The cluster of each row, from 1, and the sums of squares by number of clusters."""
    one = np.ones(len(points), dtype=np.int64), np.array([_sum_of_squares(points)])
    most = min(len(points) - 1, _MOST_TRIED)
    if most < _FEWEST:
        return one
    wss = _tried(points, most, RRandom(_SEED))
    random = RRandom(_SEED)
    _tried(points, most, random)  # the chosen clustering continues the random numbers of the trials
    labels, _ = kmeans(points, points[random.choose(len(points), _number(wss))], most)
    return (labels + 1, wss) if np.bincount(labels).max() >= _SMALLEST_SAMPLE else one


def _sum_of_squares(points: Floats) -> float:
    return float(((points - points.mean(axis=0)) ** 2).sum())


def _tried(points: Floats, most: int, random: RRandom) -> Floats:
    """Within-cluster sum of squares with 1 to `most` clusters, one start each."""
    wss = [_sum_of_squares(points)]
    for number in range(2, most + 1):
        start = points[random.choose(len(points), number)]
        wss.append(kmeans(points, start, _ITERATIONS)[1].sum())
    return np.array(wss)


def _number(wss: Floats) -> int:
    """The last number of clusters that still lowers the sum of squares by 6 %, between 3 and 10."""
    lower = np.flatnonzero(-np.diff(wss) / wss[0] > _GAIN)
    return min(max(int(lower.max(initial=0)) + 2, _FEWEST), _MOST)


def _confidence(members: pd.DataFrame, aggregated: pd.DataFrame, inputs: Inputs) -> pd.DataFrame:
    """How much the models of each cluster disagree, per paid channel."""
    metric = "roi_total" if inputs.dependent_type == "revenue" else "cpa_total"
    values = aggregated.set_index(["rn", "solID"])[metric]
    rows = []
    for name in sorted(inputs.paid):
        for number in range(1, members["cluster"].max() + 1):
            solutions = members.loc[members["cluster"] == number, "solID"]
            sample = values.loc[name].loc[solutions].to_numpy(dtype=float)
            sample = sample[np.isfinite(sample)]  # a channel without effect has no CPA
            interval = bootstrap(sample) if len(solutions) >= _SMALLEST_SAMPLE else _NOTHING
            rows.append({"rn": name, "cluster": number, "n": len(sample), **interval})
    return pd.DataFrame(rows)


def bootstrap(sample: Floats) -> dict[str, float]:
    """Bootstrapped mean of a sample >= 0, its standard error, and Robyn's interval around the mean.

    The interval is `mean ± t(0.975, m - 1) · se · sqrt(m)`: it holds the spread of the m models, not the
    uncertainty of their mean. Its lower end is at least 0; `sd` is `se · sqrt(m - 1)`. NaN without values.
    """
    size = len(sample)
    if not size:
        return _NOTHING
    if size == 1:
        value = float(sample[0])
        return dict(zip(_BOOTSTRAP, (value, 0.0, value, value, 0.0), strict=True))
    drawn = RRandom(_BOOTSTRAP_SEED).draw(size, size * _SAMPLES).reshape(size, _SAMPLES)
    means = sample[drawn].mean(axis=0)
    mean, error = float(sample.mean()), float(means.std(ddof=1))
    reach = float(stdtrit(size - 1, _CONFIDENCE)) * error * math.sqrt(size)
    interval = (max(mean - reach, 0.0), mean + reach)
    return dict(
        zip(_BOOTSTRAP, (float(means.mean()), error, *interval, error * math.sqrt(size - 1)), strict=True)
    )
