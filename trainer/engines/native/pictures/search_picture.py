"""The picture of a search: how the errors fell, and the Pareto fronts that were reached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from trainer.engines.native.result import Result
from trainer.engines.native.select.convergence import PARTS, Convergence, convergence
from trainer.engines.pictures import style

if TYPE_CHECKING:  # matplotlib takes a third of a second, and only the drawing needs it
    from matplotlib.axes import Axes

_SIZE = (16.0, 7.6)  # inches
_SHOWN = 0.75
"""Quantile of each error up to which candidates are shown."""
_LEAST_RANGE = 1e-6
"""Smallest range of an axis."""
_NAMES = 0.62
"""Where the winners' names begin, as a share of the axis."""
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}


def draw(result: Result, path: Path) -> None:
    """Write the picture to `path` as a PNG, 2240 pixels wide; errors have no unit."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(style.settings()):
        figure = Figure(figsize=_SIZE)
        found = convergence(result.candidates)
        trials = result.candidates["trial"].nunique()
        title = f"How far did the search get? {len(result.candidates):,} candidates in {trials} trials"
        figure.text(0.02, 0.97, title, va="top", fontsize=18, fontweight="bold")
        shares = (
            "to the former model's shares"
            if result.inputs.reference
            else "between shares of spend and of effect"
        )
        note = f"NRMSE: error of the prediction.  DECOMP.RSSD: distance {shares}."
        figure.text(0.02, 0.915, f"{note}  Smaller is better.", va="top", fontsize=10, color=style.MUTED)
        grid = figure.add_gridspec(
            len(found), 2, left=0.055, right=0.98, top=0.8, bottom=0.09, hspace=0.75, wspace=0.16
        )
        for row, one in enumerate(found):
            _convergence(figure.add_subplot(grid[row, 0]), one)
        _fronts(figure.add_subplot(grid[:, 1]), result)
        style.save(figure, path, "Search")


def _convergence(axes: Axes, one: Convergence) -> None:
    """Median and spread of one objective in each twentieth of the search."""
    part = np.arange(1, PARTS + 1) * 100 / PARTS
    low = np.maximum(one.median - one.deviation, 0)
    axes.fill_between(part, low, one.median + one.deviation, color=style.SPEND, alpha=0.4, linewidth=0)
    axes.plot(part, one.median, color=style.ACCENT, linewidth=2)
    axes.grid()
    axes.set_xlim(part[0], 100)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(one.objective)
    axes.set_xlabel("% of the iterations, all trials together")
    style.question(axes, f"Has {one.objective} settled?", _settled(one))


def _settled(one: Convergence) -> str:
    """Robyn's rule of convergence in words (robyn-spec §11)."""
    (first, last), (before, after) = (
        [style.amount(float(values[i])) for i in (0, -1)] for values in (one.median, one.deviation)
    )
    verdict = "yes" if one.converged else "not yet by Robyn's rule"
    return f"{verdict}: from {first} ± {before} in the first twentieth to {last} ± {after} in the last"


def _fronts(axes: Axes, result: Result) -> None:
    """Every candidate by its two errors, the Pareto models, the winners of the clusters, and the best.

    A model without any effect of paid media has no finite DECOMP.RSSD and cannot be shown.
    """
    candidates = result.candidates[np.isfinite(result.candidates["decomp.rssd"])]
    pareto = candidates[candidates["solID"].isin(result.pareto)]
    named = candidates[candidates["solID"].isin({*result.clusters.winners, result.best.solution})]
    points = axes.scatter(
        candidates["nrmse"], candidates["decomp.rssd"], c=candidates["iterNG"], s=7, cmap="Blues", linewidth=0
    )
    for number, front in pareto.sort_values("nrmse").groupby("robynPareto"):
        first = number == 1
        axes.plot(
            front["nrmse"],
            front["decomp.rssd"],
            color=style.ACCENT,
            linewidth=1.6 if first else 0.7,
            alpha=1 if first else 0.5,
        )
    if len(pareto):
        axes.set_xlim(*_limits(candidates["nrmse"], pareto["nrmse"]))
        axes.set_ylim(*_limits(candidates["decomp.rssd"], pareto["decomp.rssd"]))
        _winners(axes, named.set_index("solID"), result)
    axes.grid()
    axes.set_xlabel("NRMSE")
    axes.set_ylabel("DECOMP.RSSD")
    figure = axes.figure
    bar = figure.colorbar(points, ax=axes, pad=0.015, aspect=40)
    bar.set_label("iteration")
    reading = (
        f"red: the {result.fronts} Pareto fronts in use; black: best of each cluster; star: the best of all; "
        "the worst are not shown"
    )
    style.question(axes, "Which models are worth a look?", reading)


def _winners(axes: Axes, named: pd.DataFrame, result: Result) -> None:
    """A dot for each winner, a star for the best model, and their names to the right, moved apart."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    heights = style.spread(list(named["decomp.rssd"]), 0.04 * (high - low), low, high)
    column = left + _NAMES * (right - left)
    for height, solution in zip(heights, named.index, strict=True):
        point, best = named.loc[solution], solution == result.best.solution
        axes.plot([point["nrmse"], column], [point["decomp.rssd"], height], color=style.INK, linewidth=0.7)
        axes.plot(
            point["nrmse"],
            point["decomp.rssd"],
            "*" if best else "o",
            markersize=18 if best else 8,
            color=style.ACCENT if best else style.INK,
            markeredgecolor="white",
            zorder=5 if best else 4,
        )
        axes.text(
            column,
            height,
            _name(str(solution), result),
            va="center",
            fontsize=9,
            fontweight="bold" if best else "normal",
            bbox=_PAPER,
            zorder=5,
        )


def _name(solution: str, result: Result) -> str:
    clusters = result.clusters.winners
    cluster = f", cluster {clusters.index(solution) + 1}" if solution in clusters else ""
    return f"{solution}{cluster}{', the best' if solution == result.best.solution else ''}"


def _limits(values: pd.Series[float], chosen: pd.Series[float]) -> tuple[float, float]:
    """All that is chosen, and the better three quarters of all."""
    low, high = float(values.min()), max(float(values.quantile(_SHOWN)), float(chosen.max()))
    high = max(high, low + _LEAST_RANGE)
    return low - 0.04 * (high - low), high + 0.04 * (high - low)
