"""The pictures of a refresh: whether the chain of models still predicts, and how its answers have moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from contracts.model import ModelConfig
from trainer.engines.common import INTERCEPT
from trainer.engines.pictures import notes, style
from trainer.engines.refresh.former import Former
from trainer.engines.refresh.report import STATUS

if TYPE_CHECKING:  # matplotlib takes a third of a second, and only the drawing needs it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 16.0  # inches
_SHOWN = 5
"""Models of a chain that are compared: the newest ones."""
_NAMED, _WIDE = 0.01, 0.045
"""Shares of the whole time span from which a part is labelled, and labelled horizontally."""


def draw(config: ModelConfig, folder: Path) -> None:
    """Write report_actual_fitted.png and report_decomposition.png (Robyn's names) from report_*.csv.

    Both are 2240 pixels wide. Values are in units of the dependent variable per period, shares of its fitted
    total, ROAS or CPA over each model's own window.
    """
    import matplotlib

    reports = Former(folder)
    with matplotlib.rc_context(style.settings()):
        periods = reports.table("report_alldecomp_matrix")
        _draw_fit(config, periods, reports.best.interval, folder / "report_actual_fitted.png")
        _draw_answers(config, reports.table("report_aggregated"), folder / "report_decomposition.png")


def _draw_fit(config: ModelConfig, periods: pd.DataFrame, interval: str, path: Path) -> None:
    from matplotlib.figure import Figure

    height = 5.2
    figure = Figure(figsize=(_WIDTH, height))
    axes = figure.add_axes((0.06, 0.6 / height, 0.92, 3.4 / height))
    dates = pd.to_datetime(periods["ds"]).to_numpy()
    axes.plot(dates, periods["dep_var"], color=style.INK, linewidth=1.3, label="actual")
    axes.plot(dates, periods["depVarHat"], color=style.ACCENT, linewidth=1.6, label="predicted")
    axes.margins(x=0.01)
    notes.lines(axes, config.annotations)
    axes.set_ylim(top=axes.get_ylim()[1] + 0.22 * np.ptp(axes.get_ylim()))  # for the names of the parts
    half: Any = (dates[1] - dates[0]) / 2
    newest = int(periods[STATUS].max())
    for status in range(newest + 1):
        part, days = periods[periods[STATUS] == status], dates[periods[STATUS] == status]
        left, right = days[0] - half, days[-1] + half
        if status:
            axes.axvspan(left, right, color=style.BASELINE, alpha=0.1 + 0.1 * (status % 2), linewidth=0)
        if len(part) >= _NAMED * len(periods) or status == newest:
            _name_part(axes, status, left + (right - left) / 2, part, len(periods))
    axes.grid(axis="y")
    axes.xaxis.get_offset_text().set_visible(False)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0, fontsize=9)
    dependent = style.label(config.columns.dependent)
    style.amounts(axes.yaxis, f"{dependent} per {interval}")
    reading = "shaded: the periods that a refresh added, predicted by its model; %: mean error of the part"
    style.question(axes, "How well does the chain of models predict?", reading)
    _title(figure, height, f"{dependent}, refreshed: is the model still right?")
    style.save(figure, path, "Actual and predicted")


def _name_part(axes: Axes, status: int, middle: Any, part: pd.DataFrame, periods: int) -> None:
    """Label a part with its model and mean error, vertically if it is narrow."""
    off = (part["dep_var"] - part["depVarHat"]).abs().sum() / part["dep_var"].abs().sum()
    narrow = len(part) < _WIDE * periods
    name = f"refresh {status}" if status else "first model"
    text = f"{name}: {style.percent(off)}" if narrow else f"{name}\n{style.percent(off)}"
    style.at_top(axes, middle, text, rotation=90 if narrow else 0)


def _draw_answers(config: ModelConfig, aggregated: pd.DataFrame, path: Path) -> None:
    from matplotlib.figure import Figure

    models = [table.set_index("rn") for _, table in aggregated.groupby(STATUS)][-_SHOWN:]
    columns = config.columns
    names = {paid.selected: paid.spend for paid in columns.paid_media}
    baseline = [INTERCEPT, *config.prophet.components]
    others = [*(variable.name for variable in (*columns.context, *columns.factors)), *columns.media]
    colours = style.channel_colours(columns.media)
    board = (0.17 * len(models) + 0.16) * (1 + len(others))
    height = board + 2.1
    figure = Figure(figsize=(_WIDTH, height))
    left = figure.add_axes((0.15, 0.7 / height, 0.42, board / height))
    shares = [
        {"baseline": model["xDecompPerc"][baseline].sum(), **model["xDecompPerc"][others]} for model in models
    ]
    _bars(left, shares, colours, style.percent)
    style.rows(left, [style.label(names.get(name, name)) for name in shares[0]])
    left.xaxis.set_major_formatter(lambda value, _: style.percent(value))
    left.set_xlabel("share of the predicted total")
    reading = f"from pale to full: the models of the chain, oldest first{_how_many(aggregated)}"
    style.question(left, "What drives it, model by model?", reading)
    column = "roi_total" if columns.dependent_type == "revenue" else "cpa_total"
    right = figure.add_axes((0.72, 0.7 / height, 0.26, board / height))
    _bars(right, [dict(model[column][list(names)]) for model in models], colours, style.amount)
    style.rows(right, [style.label(names[name]) for name in names])
    metric = "ROAS" if column == "roi_total" else "CPA"
    style.amounts(right.xaxis, f"{metric} over the model's window")
    style.question(right, f"Has {metric} moved?", "the same models in the same order")
    _title(figure, height, f"{style.label(config.columns.dependent)}, refreshed: have the answers moved?")
    style.save(figure, path, "Decomposition by model")


def _how_many(aggregated: pd.DataFrame) -> str:
    count = aggregated[STATUS].nunique()
    return f" (the last {_SHOWN} of {count})" if count > _SHOWN else ""


def _bars(
    axes: Axes, models: list[dict[str, float]], colours: Mapping[str, str], text: Callable[[float], str]
) -> None:
    """A bar per model in each row, the newest at the bottom."""
    tall = 0.8 / len(models)
    for i, model in enumerate(models):
        alpha = 0.3 + 0.7 * (i + 1) / len(models)
        for row, (name, value) in enumerate(model.items()):
            place, colour = row - 0.4 + tall * (i + 0.5), colours.get(name, style.BASELINE)
            known = value if np.isfinite(value) else 0.0
            axes.barh(place, known, height=0.92 * tall, color=colour, alpha=alpha)
            axes.text(max(known, 0.0), place, f" {text(value)}", va="center_baseline", fontsize=8)
    axes.grid(axis="x")
    axes.margins(x=0.1)


def _title(figure: Figure, height: float, text: str) -> None:
    figure.text(0.02, 1 - 0.22 / height, style.heading(text, 90), va="top", fontsize=18, fontweight="bold")
