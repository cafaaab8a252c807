"""Single pictures of one model, each an answer for a slide: 1600 × 900 pixels, letters of 13 points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts.figures import FigureBand, FigureChannel, ModelFigures, picture_name
from trainer.engines.common import INTERCEPT
from trainer.engines.pictures import style

if TYPE_CHECKING:  # matplotlib takes a third of a second, and only the drawing needs it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE, _DPI = (12.0, 6.75), 400 / 3
_LETTERS: dict[Any, object] = {
    "font.size": 13,
    "axes.labelsize": 13,
    "xtick.labelsize": 13,
    "ytick.labelsize": 13,
}
_MOST = 16
"""Rows of a picture; what is smaller is added up, or left to the tables."""


def draw(figures: ModelFigures, folder: Path) -> list[str]:
    """Draw every picture that there are figures for; returns which: roas, curves, contributions and so on."""
    import matplotlib
    from matplotlib.figure import Figure

    drawn = []
    with matplotlib.rc_context(style.settings() | _LETTERS):
        for name, paint in _PICTURES.items():
            figure = Figure(figsize=_SIZE)
            if paint(figure, figures):
                path = folder / picture_name(name, figures.sol_id, figures.best)
                style.save(figure, path, name, _DPI)
                drawn.append(name)
    return drawn


def _axes(figure: Figure, title: str, reading: str, names: list[str] | None = None) -> Axes:
    """The one panel, with its title and how to read it; `names` are of its rows."""
    left = 0.09 if names is None else 0.03 + 0.0089 * max(map(style.width, names))
    figure.text(0.03, 0.95, style.heading(title, 80), va="top", fontsize=22, fontweight="bold")
    figure.text(0.03, 0.88, style.heading(reading, 105), va="top", color=style.MUTED)
    axes = figure.add_axes((left, 0.12, 0.96 - left, 0.68))
    if names is not None:
        style.rows(axes, names)
        axes.tick_params(axis="y", labelsize=14)
        axes.grid(axis="x")
    return axes


def _paid(figures: ModelFigures) -> list[FigureChannel]:
    """The paid channels, the largest spend first, as many as fit."""
    paid = [channel for channel in figures.channels if channel.paid]
    return sorted(paid, key=lambda channel: -(channel.spend or 0.0))[:_MOST]


def _colours(figures: ModelFigures) -> dict[str, str]:
    return style.channel_colours(channel.name for channel in figures.channels)


def _label(text: str) -> str:
    return style.label(text, 26)


def _roas(figure: Figure, figures: ModelFigures) -> bool:
    """ROAS or CPA of each paid channel with the posterior's interval, and what was assumed before."""
    channels, colours = _paid(figures), _colours(figures)
    told = any(channel.low is not None for channel in channels)
    metric = figures.metric.upper()
    title = "What does each channel earn?" if figures.metric == "roas" else "What does a conversion cost?"
    reading = f"{metric}; dot: model {figures.sol_id}"
    if told:
        reading += ", hollow if outside; line: 90 % of what the data allow; grey: assumed before"
    axes = _axes(figure, title, reading, [_label(channel.name) for channel in channels])
    ends = [value for one in channels for value in (one.low, one.high, one.efficiency) if value]
    if not ends or min(ends) <= 0:
        return False
    low, high = min(ends) / 2, max(ends) * 2
    for row, channel in enumerate(channels):
        if channel.low is not None and channel.high is not None:
            prior = np.clip([channel.prior_low or low, channel.prior_high or high], low, high)
            axes.plot(prior, [row, row], color=style.FAINT, linewidth=12, solid_capstyle="butt", zorder=1)
            axes.plot([channel.low, channel.high], [row, row], color=colours[channel.name], linewidth=4)
            text = f"{style.amount(channel.low)} – {style.amount(channel.high)}"
            middle = (channel.low * channel.high) ** 0.5
            axes.annotate(text, (middle, row), (0, 8), textcoords="offset points", ha="center")
        if channel.efficiency and channel.efficiency > 0:
            face = "white" if channel.inside is False else style.INK
            axes.plot(channel.efficiency, row, "o", color=style.INK, markerfacecolor=face, markersize=9)
            if channel.low is None:
                axes.text(channel.efficiency * 1.06, row, style.amount(channel.efficiency), va="center")
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(lambda value, _: style.amount(value))
    axes.xaxis.set_minor_formatter(lambda value, _: style.amount(value) if f"{value:e}"[0] in "25" else "")
    axes.tick_params(axis="x", which="minor", labelsize=13)
    unit = f"{_label(figures.dependent)} per unit of currency"
    axes.set_xlabel(unit if figures.metric == "roas" else f"currency per unit of {_label(figures.dependent)}")
    return True


def _curves(figure: Figure, figures: ModelFigures) -> bool:
    """Response curves of the paid channels, with what is spent today and what is proposed."""
    colours = _colours(figures)
    curves = {channel.name: channel.best_curve for channel in _paid(figures)}
    proposed = any(curve.proposed is not None for curve in curves.values())
    banded = any(isinstance(curve, FigureBand) for curve in curves.values())
    reading = "steeper is better; dot: today's average" + ("; ring: proposed" if proposed else "")
    axes = _axes(figure, "Where should the next budget go?", reading + ("; band: 90 %" if banded else ""))
    place = axes.get_position()
    axes.set_position((place.x0, place.y0, 0.63, place.height))
    widest = 1.6 * max(max(curve.today, curve.proposed or 0.0) for curve in curves.values())
    reached = [1e-9]
    for name, curve in curves.items():
        colour = colours[name]
        means = [np.nan if value is None else value for value in curve.mean]
        axes.plot(curve.value, means, color=colour, linewidth=2.5, label=_label(name))
        highest = means
        if isinstance(curve, FigureBand):
            axes.fill_between(curve.value, curve.low, curve.high, color=colour, alpha=0.16, linewidth=0)
            highest = curve.high
        reached += [value for at, value in zip(curve.value, highest, strict=True) if at <= widest]
        if curve.today_response is not None:
            axes.plot(curve.today, curve.today_response, "o", color=colour, markersize=10)
        if curve.proposed is not None and curve.proposed_response is not None:
            ring: dict[str, Any] = {"markerfacecolor": "white", "markeredgewidth": 2.5, "markersize": 10}
            axes.plot(curve.proposed, curve.proposed_response, "o", color=colour, **ring)
    axes.set_xlim(0, widest)
    axes.set_ylim(min(0.0, float(np.nanmin(reached))), 1.08 * float(np.nanmax(reached)))
    axes.grid()
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), fontsize=13)
    style.amounts(axes.xaxis, f"spend per {figures.interval}, in currency")
    style.amounts(axes.yaxis, f"{_label(figures.dependent)} per {figures.interval}")
    return True


def _contributions(figure: Figure, figures: ModelFigures) -> bool:
    """What each variable contributes, stacked up to the predicted total."""
    total, colours = sum(figures.predicted), _colours(figures)
    order = {"intercept": 0, "prophet": 1, "context": 2, "organic": 3, "paid": 4}
    variables = sorted(figures.variables, key=lambda one: (order[one.kind], -one.total))
    kept = sorted(variables, key=lambda one: -abs(one.total))[: _MOST - 2]
    rest = sum(one.total for one in variables if one not in kept)
    steps = [
        (
            "base level" if one.name == INTERCEPT else _label(one.name),
            one.total,
            colours.get(one.name, style.BASELINE),
        )
        for one in variables
        if one in kept
    ]
    if len(kept) < len(variables):
        steps.append((f"{len(variables) - len(kept)} smaller", rest, style.FAINT))
    steps.append(("predicted", total, style.INK))
    title = f"What made the {style.label(figures.dependent, 40)}?"
    axes = _axes(figure, title, "each driver's part, stacked up to the total", [name for name, *_ in steps])
    start = 0.0
    starts = []
    for row, (_, value, colour) in enumerate(steps):
        left = 0.0 if row == len(steps) - 1 else start
        starts += [left, left + value]
        axes.barh(row, value, left=left, height=0.8, color=colour)
        axes.text(
            max(left, left + value),
            row,
            f"  {style.amount(value)}  {style.percent(value / total) if total else ''}",
            va="center",
        )
        start += value
    low, high = min(starts), max(starts)
    axes.set_xlim(low, high + 0.2 * (high - low))
    style.amounts(axes.xaxis, f"{_label(figures.dependent)} over {len(figures.dates)} {figures.interval}s")
    return True


def _fit(figure: Figure, figures: ModelFigures) -> bool:
    """Actual and predicted, and the forecast of a posterior that has not seen the last periods."""
    reading = f"model {figures.sol_id}, R² {figures.r2:.2f}" if figures.r2 is not None else ""
    if figures.forecast:
        reading += "; band: 90 % of a forecast that has not seen these periods"
    axes = _axes(figure, "Does the model follow what happened?", reading)
    dates = np.array(figures.dates, dtype="datetime64[D]")
    if figures.forecast:
        days = dates[-len(figures.forecast.low) :]
        axes.fill_between(days, figures.forecast.low, figures.forecast.high, color=style.ACCENT, alpha=0.18)
        axes.plot(days, figures.forecast.middle, color=style.ACCENT, linewidth=2, linestyle=":")
    axes.plot(dates, figures.actual, color=style.INK, linewidth=1.6, label="actual")
    axes.plot(dates, figures.predicted, color=style.ACCENT, linewidth=2, label="predicted")
    for rows, name in ((figures.train, "validation"), (figures.train + figures.validation, "test")):
        if 0 < rows < len(dates) and (name == "test" or figures.validation):
            axes.axvline(dates[rows], color=style.MUTED, linewidth=1, linestyle="--")
            axes.text(dates[rows], 1.01, name, transform=axes.get_xaxis_transform(), color=style.MUTED)
    axes.margins(x=0.01)
    axes.grid(axis="y")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1.04), ncols=2, fontsize=13)
    style.amounts(axes.yaxis, f"{_label(figures.dependent)} per {figures.interval}")
    return True


def _allocation(figure: Figure, figures: ModelFigures) -> bool:
    """Spend of each paid channel, today and proposed."""
    channels = [one for one in _paid(figures) if one.proposed is not None and one.before is not None]
    if not channels:
        return False
    colours, names = _colours(figures), [_label(channel.name) for channel in channels]
    axes = _axes(figure, "Where should the money go?", "grey: today; colour: proposed", names)
    for row, channel in enumerate(channels):
        before, after = channel.before or 0.0, channel.proposed or 0.0
        axes.barh(row - 0.2, before, height=0.36, color=style.SPEND)
        axes.barh(row + 0.2, after, height=0.36, color=colours[channel.name])
        change = f"  {style.change(before, after)}"
        axes.text(after, row + 0.2, f" {style.amount(after)}{change}", va="center")
    axes.margins(x=0.14)
    style.amounts(axes.xaxis, "spend over the dates asked about, in currency")
    return True


_PICTURES: dict[str, Callable[[Figure, ModelFigures], bool]] = {
    "roas": _roas,
    "curves": _curves,
    "contributions": _contributions,
    "fit": _fit,
    "allocation": _allocation,
}
