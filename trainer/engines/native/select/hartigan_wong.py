"""k-means by Hartigan and Wong (1979, Applied Statistics algorithm 136), step by step as R runs it.

Compiled, and complete in this file, because numba's cache of a function notices changes of its own file only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.engines.common import Floats
from trainer.engines.native.search.machine_code import compiled

_QUICK_STEPS = 50
"""Steps per point after which the quick-transfer stage gives up (R: 50)."""


def kmeans(points: Floats, centres: Floats, iterations: int) -> tuple[NDArray[np.int64], Floats]:
    """The cluster of each point, from 0, and the within-cluster sum of squares of each cluster.

    `points` is (m, d); `centres` (k, d), 1 < k < m, are the start: different ones of the points, so that no
    cluster is ever empty. Stops after `iterations` rounds even if it has not converged.
    """
    if not 1 < len(centres) < len(points):
        raise ValueError(f"{len(centres)} clusters of {len(points)} points; k-means needs 1 < k < m")
    points, centres = np.ascontiguousarray(points), centres.copy()
    nearest = np.zeros(len(points), dtype=np.int64)
    _run(points, centres, nearest, iterations)
    within = np.zeros(len(centres))
    for cluster in range(len(centres)):
        members = points[nearest == cluster]
        within[cluster] = ((members - members.mean(axis=0)) ** 2).sum()
    return nearest, within


@compiled
def _distance(points: Any, i: int, centres: Any, cluster: int) -> float:
    total = 0.0
    for j in range(points.shape[1]):
        difference = points[i, j] - centres[cluster, j]
        total += difference * difference
    return total


@compiled
def _start(points: Any, centres: Any, nearest: Any, second: Any, count: Any) -> None:
    """The two nearest centres of each point, then the centres as means of their points."""
    for i in range(len(points)):
        first, other = 0, 1
        closest, next_closest = _distance(points, i, centres, 0), _distance(points, i, centres, 1)
        if closest > next_closest:
            first, other = 1, 0
            closest, next_closest = next_closest, closest
        for cluster in range(2, len(centres)):
            distance = _distance(points, i, centres, cluster)
            if distance >= next_closest:
                continue
            if distance >= closest:
                next_closest, other = distance, cluster
            else:
                next_closest, other = closest, first
                closest, first = distance, cluster
        nearest[i], second[i] = first, other
    centres[:] = 0.0
    for i in range(len(points)):
        count[nearest[i]] += 1
        centres[nearest[i]] += points[i]
    for cluster in range(len(centres)):
        centres[cluster] /= count[cluster]


@compiled
def _weigh(count: Any, leaving: Any, joining: Any, cluster: int) -> None:
    """The factors that turn a squared distance into the loss of a point, and the gain of one more."""
    size = float(count[cluster])
    leaving[cluster] = size / (size - 1.0) if size > 1.0 else np.inf
    joining[cluster] = size / (size + 1.0)


@compiled
def _move(
    points: Any, i: int, centres: Any, count: Any, leaving: Any, joining: Any, source: int, target: int
) -> None:
    before, after = float(count[source]), float(count[target])
    for j in range(points.shape[1]):
        centres[source, j] = (centres[source, j] * before - points[i, j]) / (before - 1.0)
        centres[target, j] = (centres[target, j] * after + points[i, j]) / (after + 1.0)
    count[source] -= 1
    count[target] += 1
    _weigh(count, leaving, joining, source)
    _weigh(count, leaving, joining, target)


@compiled
def _optimal_transfer(
    points: Any,
    centres: Any,
    nearest: Any,
    second: Any,
    count: Any,
    leaving: Any,
    joining: Any,
    updated: Any,
    loss: Any,
    quick: Any,
    live: Any,
    still: int,
) -> int:
    """One pass in which each point may move to any cluster; returns how many points in a row stayed."""
    size = len(points)
    for cluster in range(len(centres)):
        if quick[cluster]:
            live[cluster] = size + 1
    for i in range(size):
        still += 1
        source = nearest[i]
        if count[source] > 1:
            if updated[source] != 0:
                loss[i] = _distance(points, i, centres, source) * leaving[source]
            known = target = second[i]
            gain = _distance(points, i, centres, target) * joining[target]
            for cluster in range(len(centres)):
                idle = i + 1 >= live[source] and i + 1 >= live[cluster]
                if idle or cluster in (source, known):
                    continue
                distance = _distance(points, i, centres, cluster)
                if distance < gain / joining[cluster]:
                    gain, target = distance * joining[cluster], cluster
            if gain >= loss[i]:
                second[i] = target
            else:
                still = 0
                live[source] = live[target] = size + i + 1
                updated[source] = updated[target] = i + 1
                _move(points, i, centres, count, leaving, joining, source, target)
                nearest[i], second[i] = target, source
        if still == size:
            return still
    for cluster in range(len(centres)):
        quick[cluster] = False
        live[cluster] -= size
    return still


@compiled
def _quick_transfer(
    points: Any,
    centres: Any,
    nearest: Any,
    second: Any,
    count: Any,
    leaving: Any,
    joining: Any,
    updated: Any,
    loss: Any,
    quick: Any,
    still: int,
) -> int:
    """Passes in which each point may swap its two clusters; negative if there are too many."""
    size = len(points)
    stayed = step = 0
    while True:
        for i in range(size):
            stayed += 1
            step += 1
            if step >= _QUICK_STEPS * size:
                return -1
            source, target = nearest[i], second[i]
            if count[source] > 1:
                if step <= updated[source]:
                    loss[i] = _distance(points, i, centres, source) * leaving[source]
                changed = step < updated[source] or step < updated[target]
                if changed and _distance(points, i, centres, target) < loss[i] / joining[target]:
                    stayed = still = 0
                    quick[source] = quick[target] = True
                    updated[source] = updated[target] = step + size
                    _move(points, i, centres, count, leaving, joining, source, target)
                    nearest[i], second[i] = target, source
            if stayed == size:
                return still


@compiled
def _run(points: Any, centres: Any, nearest: Any, iterations: int) -> None:
    """Write each point's cluster into `nearest`; moves `centres`."""
    size, clusters = len(points), len(centres)
    second, count = np.zeros(size, np.int64), np.zeros(clusters, np.int64)
    _start(points, centres, nearest, second, count)
    leaving, joining, loss = np.zeros(clusters), np.zeros(clusters), np.zeros(size)
    for cluster in range(clusters):
        _weigh(count, leaving, joining, cluster)
    updated, live = np.full(clusters, -1, np.int64), np.zeros(clusters, np.int64)
    quick = np.ones(clusters, np.bool_)
    still = 0
    for _ in range(iterations):
        still = _optimal_transfer(
            points, centres, nearest, second, count, leaving, joining, updated, loss, quick, live, still
        )
        if still == size:
            break
        still = _quick_transfer(
            points, centres, nearest, second, count, leaving, joining, updated, loss, quick, still
        )
        if still < 0 or clusters == 2:
            break
        updated[:] = 0
