"""The picture of a budget answer by region: which region's channels get more, and what is gained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contracts.posterior import chance
from contracts.result import AllocatedChannel, AllocatedRegion, Allocation, Figures, Gain
from trainer.engines.pictures import style

if TYPE_CHECKING:  # matplotlib takes a third of a second, and only the drawing needs it
    from matplotlib.axes import Axes

_ROW, _COLUMN, _NAMES, _GAIN = 0.34, 1.75, 2.3, 2.9


def draw(found: Allocation, dependent: str, path: Path) -> None:
    """Write a PNG with a row per region and a column per paid channel, all regions first, and the gain.

    A cell has what was spent and what is proposed; its colour is the change, from half to double.
    """
    import matplotlib
    from matplotlib.figure import Figure

    names = [channel.name for channel in found.channels]
    rows: list[Allocation | AllocatedRegion] = [found, *found.regions]
    height, width = 1.95 + _ROW * len(rows), max(_NAMES + _COLUMN * len(names) + _GAIN, 10.5)
    with matplotlib.rc_context(style.settings()):
        figure = Figure(figsize=(width, height))
        title = f"Where should the money go, by region? {found.start} to {found.end}"
        left = 0.15 / width
        figure.text(left, 1 - 0.15 / height, title, va="top", fontsize=16, fontweight="bold")
        figure.text(left, 1 - 0.5 / height, _gained(found, dependent), va="top", fontsize=9.5)
        reading = "spent → proposed, in currency; blue: more, red: less; right: gain, 90 % of the posterior"
        figure.text(left, 1 - 0.75 / height, reading, va="top", fontsize=9.5, color=style.MUTED)
        size = (width - _NAMES - _GAIN) / width
        axes = figure.add_axes((_NAMES / width, 0.1 / height, size, 1 - 1.6 / height))
        changes = np.full((len(rows), len(names)), np.nan)
        for row, one in enumerate(rows):
            for channel in one.channels:
                column = names.index(channel.name)
                changes[row, column] = _cell(axes, row, column, channel)
            if one.gain:
                axes.text(len(names) - 0.35, row, _gain(one.gain), va="center", fontsize=8.5)
        axes.imshow(changes, cmap="RdBu", vmin=-1.6, vmax=1.6, aspect="auto", alpha=0.55)
        labels = ["all regions", *(style.label(region.name, 26) for region in found.regions)]
        axes.set_yticks(range(len(rows)), labels, fontsize=9)
        axes.set_xticks(range(len(names)), [style.label(name, 18) for name in names], fontsize=9)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.axhline(0.5, color="white", linewidth=3)
        style.save(figure, path, "Budget by region")


def _gained(found: Allocation, dependent: str) -> str:
    gain = found.gain
    assert gain  # noqa: S101 (only answers are drawn)
    unit, sure = style.label(dependent, 24), chance(gain.above_zero)
    return f"Expected gain in {unit}: {_gain(gain)}; it is above 0 with a probability of {sure}"


def _gain(gain: Gain) -> str:
    mean, low, high = (_signed(value) for value in (gain.mean, gain.q05, gain.q95))
    return f"{mean} ({low} to {high})"


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{style.amount(value)}"


def _cell(axes: Axes, row: int, column: int, channel: AllocatedChannel) -> float:
    """Write a cell, and return how often the spend is doubled; NaN where nothing was spent."""
    before, after = (_spend(figures) for figures in (channel.before, channel.after))
    text = f"{style.amount(before)} → {style.amount(after)}" if before or after else "–"
    axes.text(column, row, text, ha="center", va="center", fontsize=8.5, color=style.INK)
    return float(np.log2(max(after / before, 0.25))) if before > 0 else np.nan


def _spend(figures: Figures | None) -> float:
    assert figures  # noqa: S101 (only answers are drawn)
    return figures.spend
