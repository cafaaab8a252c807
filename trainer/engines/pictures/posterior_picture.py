"""The picture of the posterior: what each paid channel earns, how surely, and what was assumed before."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.posterior import CAUTION, PosteriorChannel, PosteriorDocument, Quantiles
from trainer.engines.pictures import style

if TYPE_CHECKING:  # matplotlib takes a third of a second, and only the drawing needs it
    from matplotlib.axes import Axes

_WIDTH = 16.0
"""Inches."""
_REACH = 3.0
"""The axis reaches from the lowest 5 % over this to the highest 95 % times this."""
_LINE, _LETTERS = 0.205, 92


def draw(document: PosteriorDocument, path: Path) -> None:
    """Write the picture to `path` as a PNG, 2240 pixels wide; the best model is a dot, if there is one."""
    import matplotlib
    from matplotlib.figure import Figure

    paid = [channel for channel in document.channels if channel.paid]
    words = [
        textwrap.fill(line.replace("$", r"\$"), _LETTERS, subsequent_indent="   ")
        for line in document.sentences
    ]
    lines = sum(text.count("\n") + 1 for text in words)
    height = max(4.6, 2.05 + 0.5 * len(paid), 1.65 + _LINE * lines)
    with matplotlib.rc_context(style.settings()):
        figure = Figure(figsize=(_WIDTH, height))
        figure.text(0.02, 1 - 0.2 / height, _title(document), va="top", fontsize=18, fontweight="bold")
        figure.text(0.02, 1 - 0.62 / height, _legend(document), va="top", fontsize=10, color=style.MUTED)
        figure.text(0.58, 1 - 1.25 / height, "\n".join(words), va="top", fontsize=9.5, linespacing=1.5)
        left = 0.02 + 0.0052 * max(style.width(style.label(channel.name)) for channel in paid)
        axes = figure.add_axes((left, 0.75 / height, 0.55 - left, 1 - 2.0 / height))
        panel(axes, document)
        style.save(figure, path, "Posterior")


def panel(axes: Axes, document: PosteriorDocument) -> None:
    """A line per paid channel, the best earner on top; logarithmic, so that half and double look alike."""
    paid = [channel for channel in document.channels if channel.paid]
    colours = style.channel_colours(channel.name for channel in paid)
    revenue = document.dependent_type == "revenue"
    paid.sort(key=lambda channel: _metric(channel).q50, reverse=revenue)
    low = min(_metric(channel).q05 for channel in paid) / _REACH
    high = max(_metric(channel).q95 for channel in paid) * _REACH
    for row, channel in enumerate(paid):
        _interval(axes, row, channel, colours[channel.name], (low, high))
        if document.best_model:
            _dot(axes, row, document, channel.name, (low, high))
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(len(paid) - 0.4, -0.6)
    axes.set_yticks(range(len(paid)), [style.label(channel.name) for channel in paid])
    axes.tick_params(axis="y", length=0)
    _ticks(axes, low, high)
    axes.grid(axis="x")
    ratio = "contribution per unit of currency" if revenue else "currency per unit of the dependent variable"
    axes.set_xlabel(f"{'ROAS' if revenue else 'CPA'}: {ratio}")


def _metric(channel: PosteriorChannel) -> Quantiles:
    found = channel.roas or channel.cpa
    assert found  # noqa: S101 (a paid channel has one of both)
    return found


def _interval(
    axes: Axes, row: int, channel: PosteriorChannel, colour: str, limits: tuple[float, float]
) -> None:
    """Prior as a pale band, 90 % as a thin and half as a thick line, the median as a gap."""
    found, (low, high) = _metric(channel), limits
    prior = [min(max(value, low), high) for value in (channel.prior_q05, channel.prior_q95)]
    axes.plot(prior, [row, row], color=style.FAINT, linewidth=9, solid_capstyle="butt", zorder=1)
    axes.plot([found.q05, found.q95], [row, row], color=colour, linewidth=1.8, zorder=2)
    axes.plot(
        [found.q25, found.q75], [row, row], color=colour, linewidth=5.5, solid_capstyle="butt", zorder=3
    )
    axes.plot([found.q50] * 2, [row - 0.16, row + 0.16], color="white", linewidth=1.6, zorder=4)
    text = f"{style.amount(found.q05)} – {style.amount(found.q95)}"
    place = ((found.q05 * found.q95) ** 0.5, row)
    axes.annotate(text, place, (0, 6), textcoords="offset points", fontsize=9, color=style.INK, ha="center")


def _dot(axes: Axes, row: int, document: PosteriorDocument, name: str, limits: tuple[float, float]) -> None:
    """The best model, hollow if outside; at the edge if it is beyond."""
    best = document.best_model
    if best is None or not best.roas[name] > 0:
        return
    value = best.roas[name] if document.dependent_type == "revenue" else 1 / best.roas[name]
    face = style.INK if best.inside[name] else "white"
    place = min(max(value, limits[0]), limits[1])
    axes.plot(
        [place], [row], "o", color=style.INK, markerfacecolor=face, markersize=6.5, zorder=5, clip_on=False
    )


def _ticks(axes: Axes, low: float, high: float) -> None:
    """1, 2 and 5 of each power of ten; powers alone where that is too many."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 1e3 else (1.0,)))
    axes.xaxis.set_major_formatter(lambda value, _: style.amount(value))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _title(document: PosteriorDocument) -> str:
    question = (
        "What do channels earn" if document.dependent_type == "revenue" else "What does a conversion cost"
    )
    return f"{question}, and how sure is it?" + ("" if document.converged else "  (not converged)")


def _legend(document: PosteriorDocument) -> str:
    dot = "  Dot: the best model of the search, hollow if outside." if document.best_model else ""
    lines = "Thin line: 90 % of the posterior; thick: half of it; grey: 90 % of what was assumed before"
    return f"{lines} the data.{dot}\n{CAUTION}"
