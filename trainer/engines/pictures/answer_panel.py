"""What a budget answer and the plans of its question spend, earn and gain: a row for each, three columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.posterior import chance
from contracts.result import Allocation, Earned, Figures, Gain
from trainer.engines.pictures import style

if TYPE_CHECKING:  # matplotlib takes a third of a second, and only the drawing needs it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.55
"""Inches."""
_GAP = 0.3
"""Inches between two columns."""


@dataclass(frozen=True)
class Row:
    """What is spent and earned; Robyn's allocator tells no interval."""

    name: str
    spend: float
    earned: float
    interval: Earned | None
    gain: float | None
    """Over what was spent; None in the row of what was spent."""
    gained: Gain | None


def rows(found: Allocation) -> list[Row]:
    """What was spent, what is proposed, and the plans; none of a question without an answer."""
    today = found.before or found.historical
    if today is None:
        return []
    told = [_row("as it was", today, None, None)]
    if found.after:
        more = found.gain.mean if found.gain else (found.after.response or 0.0) - (today.response or 0.0)
        told.append(_row("proposed", found.after, more, found.gain))
    return told + [_row(plan.name, plan.after, plan.gain.mean, plan.gain) for plan in found.plans]


def _row(name: str, figures: Figures, gain: float | None, gained: Gain | None) -> Row:
    earned = figures.earned.mean if figures.earned else figures.response or 0.0
    return Row(name, figures.spend, earned, figures.earned, gain, gained)


def draw(figure: Figure, told: list[Row], dependent: str, place: tuple[float, float, float, float]) -> None:
    """Draw the rows between left, top, right and bottom, in inches from the top left; titles are above."""
    left, top, right, bottom = place
    width, height = figure.get_size_inches()
    unit = style.label(dependent, 24)
    wide = (right - left - 2 * _GAP) / 3
    line = "dot: expected; line: 90 %" if any(row.interval for row in told) else "dot: expected"
    columns = (
        ("What is spent?", "over the dates", "spend, in currency", _spent),
        ("What does it earn?", line, unit, _earned),
        ("What is gained over what was spent?", line, f"{unit} more", _gained),
    )
    for column, (title, reading, meaning, paint) in enumerate(columns):
        start = left + column * (wide + _GAP)
        axes = figure.add_axes((start / width, 1 - bottom / height, wide / width, (bottom - top) / height))
        for at, row in enumerate(told):
            paint(axes, at, row)
        style.rows(axes, [style.label(row.name, 30) if column == 0 else "" for row in told])
        axes.set_ylim(len(told) - 0.4, -0.7)
        axes.grid(axis="x")
        axes.margins(x=0.4 if paint is _gained else 0.25)  # for what is written above the outermost dots
        if paint is _spent:
            axes.set_xlim(left=0)
        if paint is _gained:
            axes.axvline(0, color=style.MUTED, linewidth=1)
        style.amounts(axes.xaxis, meaning)
        style.question(axes, title, reading)


def _colour(row: Row) -> str:
    return style.SPEND if row.gain is None else style.INK


def _spent(axes: Axes, at: int, row: Row) -> None:
    axes.barh(at, row.spend, height=0.5, color=_colour(row))
    axes.text(row.spend, at, f" {style.amount(row.spend)}", va="center", fontsize=9)


def _earned(axes: Axes, at: int, row: Row) -> None:
    _dot(axes, at, row, row.earned, row.interval, style.amount(row.earned))


def _gained(axes: Axes, at: int, row: Row) -> None:
    if row.gain is not None:
        sure = f", above 0: {chance(row.gained.above_zero)}" if row.gained else ""
        _dot(axes, at, row, row.gain, row.gained, f"{style.amount(row.gain)}{sure}")


def _dot(axes: Axes, at: int, row: Row, value: float, interval: Earned | None, text: str) -> None:
    if interval:
        axes.plot([interval.q05, interval.q95], [at, at], color=_colour(row), linewidth=2.4)
    axes.plot(value, at, "o", color=_colour(row), markersize=7)
    axes.annotate(text, (value, at), (0, 7), textcoords="offset points", fontsize=9, ha="center")
