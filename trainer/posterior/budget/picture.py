"""The picture of a budget answer by the posterior: today, proposed, the gain, and what more would earn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contracts.posterior import chance
from contracts.result import AllocatedChannel, Allocation, Figures, Gain
from trainer.engines.common import Floats
from trainer.engines.pictures import style
from trainer.posterior.budget.answer import BudgetAnswer

if TYPE_CHECKING:  # matplotlib takes a third of a second, and only the drawing needs it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 16.0
"""Inches."""
_CURVES = 3
"""Response curves in a row."""
_CURVE, _BETWEEN = 1.9, 1.15
"""Height of a response curve, and of the room for axis and title to the next, in inches."""
_AMOUNT = 1.0
"""Width of what is written beside a bar, in inches."""
_PALE = 0.45
"""Opacity of what was spent, beside what is proposed."""


def draw(answer: BudgetAnswer, found: Allocation, path: Path) -> None:
    """Write the picture of an answer, as the document has it, to `path` as a PNG, 2240 pixels wide."""
    import matplotlib

    with matplotlib.rc_context(style.settings()):
        style.save(_Board(answer, found).figure(), path, "Budget")


class _Board:
    """The panels; lengths are inches from the top left, money and what is earned are over the dates."""

    def __init__(self, answer: BudgetAnswer, found: Allocation) -> None:
        self.answer, self.found = answer, found
        inputs = answer.found.model.inputs
        self.revenue = found.metric == "roas"
        self.metric = "ROAS" if self.revenue else "CPA"
        self.dependent = style.label(inputs.dependent_name, 24)
        self.colours = style.channel_colours(inputs.media)
        self.names = [style.label(channel.name) for channel in found.channels]
        count = len(self.names)
        self.left = max(1.7, 0.3 + 0.077 * max(style.width(name) for name in self.names))
        self.room = _WIDTH - 0.3 - self.left
        self.board = max(1.6, 0.46 * (count + 1))
        self.lines = -(-count // _CURVES)
        self.top = 2.0
        self.height = (
            self.top + self.board + 0.85 + self.lines * (_CURVE + _BETWEEN) + 0.45 + 0.2 * len(found.notes)
        )

    def figure(self) -> Figure:
        """All panels."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(_WIDTH, self.height))
        self._header(figure)
        edges = [self.left + share * self.room for share in (0, 0.225, 0.255, 0.51, 0.54, 0.765, 0.795, 1)]
        spend, earned, gain, following = (
            self._place(figure, edges[2 * i], self.top, edges[2 * i + 1], self.board) for i in range(4)
        )
        self._spends(spend)
        self._earned(earned)
        self._gains(gain)
        self._next(following)
        for i in range(len(self.names)):
            line, column = divmod(i, _CURVES)
            wide = (15.7 - 0.95) / _CURVES
            place = 0.95 + column * wide
            top = self.top + self.board + 1.35 + line * (_CURVE + _BETWEEN)
            self._curve(self._place(figure, place, top, place + wide - 0.75, _CURVE), i)
        return figure

    def _place(self, figure: Figure, left: float, top: float, right: float, tall: float) -> Axes:
        height = self.height
        return figure.add_axes(
            (left / _WIDTH, 1 - (top + tall) / height, (right - left) / _WIDTH, tall / height)
        )

    def _header(self, figure: Figure) -> None:
        def write(left: float, top: float, text: str, size: float, color: str = style.MUTED) -> None:
            weight = "bold" if size > 12 else "normal"
            place = (left / _WIDTH, 1 - top / self.height)
            figure.text(*place, text, va="top", fontsize=size, fontweight=weight, color=color)

        found = self.found
        more = found.scenario == "max_response"
        brief = style.label(self.answer.found.model.inputs.dependent_name, 10)
        aim = f"most {brief} for the budget" if more else f"most {brief} at the target"
        write(0.3, 0.22, style.heading(f"Where should the money go: {aim}", 70), 18, style.INK)
        periods = f"{found.periods} {found.interval}s, {found.start} to {found.end}"
        write(0.3, 0.6, f"{periods}: what was spent, and what is proposed for the same time", 10)
        target = "" if more else f"; {self.metric} asked for {style.amount(float(found.target or 0))}"
        write(0.3, 0.82, f"{self._bounds()}{target}", 10)
        write(0.3, 1.04, self._gained(), 10, style.INK)
        meanings = ("spend", brief, self.metric)
        for i, (meaning, old, new) in enumerate(zip(meanings, *self._totals(), strict=True)):
            write(9.6 + 2.1 * i, 0.22, f"{style.amount(old)} → {style.amount(new)}", 16, style.INK)
            write(9.6 + 2.1 * i, 0.58, f"{meaning}\n{style.change(old, new, 1)}", 9)
        notes = [note.replace("$", r"\$") for note in found.notes]
        foot = "Earned: what the periods bring, and what their spend brings afterwards; posterior means."
        write(0.3, self.height - 0.32 - 0.2 * len(notes), "\n".join([foot, *notes]), 8.5)

    def _bounds(self) -> str:
        free = [name.name not in self.answer.question.channel_budgets for name in self.found.channels]
        own = len(free) - sum(free)
        budgets = f"; {own} with a budget of its own" if own else ""
        if not any(free):
            return "No channel may move freely"
        low, high = self.answer.factors[:, free]
        return f"Each channel may move within {low.min():.3g} to {high.max():.3g} times its spend{budgets}"

    def _gained(self) -> str:
        gain = self.found.gain
        assert gain  # noqa: S101 (only answers are drawn)
        interval = f"{_signed(gain.q05)} to {_signed(gain.q95)} (90 %)"
        return (
            f"Expected gain {_signed(gain.mean)} of {self.dependent}, {interval}; it is above 0 with a "
            f"probability of {chance(gain.above_zero)}"
        )

    def _totals(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        before, after = (_whole(figures) for figures in (self.found.before, self.found.after))
        return self._total(before), self._total(after)

    def _total(self, figures: Figures) -> tuple[float, float, float]:
        ratio = figures.roas if self.revenue else figures.cpa
        return figures.spend, _mean(figures), np.nan if ratio is None else ratio

    def _sides(self, channel: AllocatedChannel) -> tuple[Figures, Figures]:
        return _whole(channel.before), _whole(channel.after)

    def _spends(self, axes: Axes) -> None:
        for row, channel in enumerate(self.found.channels):
            before, after = (figures.spend for figures in self._sides(channel))
            self._pair(axes, row, channel, before, after)
        self._finish(axes, "spend, in currency", names=True)
        style.question(axes, "Who gets the money?", "grey: today; colour: proposed")

    def _earned(self, axes: Axes) -> None:
        for row, channel in enumerate(self.found.channels):
            before, after = self._sides(channel)
            self._pair(axes, row, channel, _mean(before), _mean(after))
            for shift, figures in ((-0.2, before), (0.2, after)):
                axes.barh(
                    row + shift,
                    figures.carry_out or 0.0,
                    left=figures.response,
                    height=0.36,
                    color="white",
                    alpha=_PALE,
                )
        self._finish(axes, self.dependent)
        style.question(axes, "What does it earn?", "pale: what is earned after the dates")

    def _pair(self, axes: Axes, row: int, channel: AllocatedChannel, before: float, after: float) -> None:
        axes.barh(row - 0.2, before, height=0.36, color=style.SPEND)
        axes.barh(row + 0.2, after, height=0.36, color=self.colours[channel.modelled])
        axes.text(before, row - 0.2, f" {style.amount(before)}", va="center", fontsize=8)
        change = f"  {style.change(before, after)}"
        axes.text(after, row + 0.2, f" {style.amount(after)}{change}", va="center", fontsize=8)

    def _gains(self, axes: Axes) -> None:
        rows = [(channel.gain, self.colours[channel.modelled]) for channel in self.found.channels]
        axes.axvline(0, color=style.MUTED, linewidth=1)
        for row, (gain, colour) in enumerate([*rows, (self.found.gain, style.INK)]):
            assert gain  # noqa: S101 (only answers are drawn)
            self._interval(axes, row, gain, colour)
        self._finish(axes, f"{self.dependent} more than today")
        axes.set_ylim(len(rows) + 0.6, -0.6)
        axes.set_yticks([*range(len(rows)), len(rows)], [*[""] * len(rows), "in all"], fontsize=9)
        style.question(axes, "What is gained?", "dot: expected; line: 90 %")

    def _interval(self, axes: Axes, row: int, gain: Gain, colour: str) -> None:
        axes.plot([gain.q05, gain.q95], [row, row], color=colour, linewidth=2.2)
        axes.plot(gain.mean, row, "o", color=colour, markersize=6.5)
        axes.annotate(
            _signed(gain.mean),
            (gain.mean, row),
            (0, 6),
            textcoords="offset points",
            fontsize=8.5,
            ha="center",
        )

    def _next(self, axes: Axes) -> None:
        name = "marginal_roas" if self.revenue else "marginal_cpa"
        for row, channel in enumerate(self.found.channels):
            old, new = (getattr(figures, name) for figures in self._sides(channel))
            if old is None or new is None:
                continue
            axes.plot([old, new], [row, row], color=style.SPEND, linewidth=2, zorder=1)
            axes.plot(old, row, "o", markersize=8, color="white", markeredgecolor=style.MUTED)
            axes.plot(new, row, "o", markersize=8, color=self.colours[channel.modelled])
        unit = f"{self.dependent} from the next unit spent" if self.revenue else "cost of the next conversion"
        self._finish(axes, unit)
        style.question(axes, "Is there more to move?", "hollow: today; even: well spread")

    def _finish(self, axes: Axes, unit: str, *, names: bool = False) -> None:
        style.rows(axes, self.names if names else [""] * len(self.names))
        axes.set_ylim(len(self.names) + 0.6, -0.6)
        axes.grid(axis="x")
        axes.margins(x=0.22)
        if axes.patches:
            wide = 0.225 * self.room
            axes.set_xlim(0, axes.dataLim.x1 * wide / (wide - _AMOUNT) or 1)
        style.amounts(axes.xaxis, unit)

    def _curve(self, axes: Axes, i: int) -> None:
        """One response curve with its interval, thick within the bounds; today and proposed."""
        answer, channel = self.answer, self.found.channels[i]
        before, after = self._sides(channel)
        widest = 1.25 * max(before.spend, after.spend)
        spends, curves = answer.spends[i], answer.curves[i]
        kept = np.flatnonzero(spends <= widest)
        seen = slice(0, min(int(kept[-1]) + 2, len(spends)))
        colour = self.colours[channel.modelled]
        low, high = np.quantile(curves[:, seen], (0.05, 0.95), axis=0)
        axes.fill_between(spends[seen], low, high, color=colour, alpha=0.16, linewidth=0)
        fine, mean = _smooth(spends, curves.mean(axis=0), widest)
        within = (fine >= answer.limits[0, i]) & (fine <= answer.limits[1, i])
        axes.plot(fine, mean, color=colour, linewidth=1.2)
        axes.plot(fine[within], mean[within], color=colour, linewidth=3)
        for figures, inside, edge in ((before, "white", colour), (after, colour, "white")):
            (dot,) = axes.plot(figures.spend, _mean(figures), "o", markersize=8, color=inside)
            dot.set(markeredgecolor=edge, clip_on=False, zorder=4)  # whole at the edge too
        axes.set_xlim(0, min(widest, float(spends[-1])) or 1)
        axes.set_ylim(bottom=0)
        axes.grid()
        style.amounts(axes.xaxis, "spend, in currency")
        style.amounts(axes.yaxis, self.dependent)
        reading = "hollow: today; solid: proposed; thick: within the bounds; band: 90 %" if i == 0 else ""
        style.question(axes, self.names[i], reading)


def _smooth(spends: Floats, earned: Floats, widest: float) -> tuple[Floats, Floats]:
    from trainer.posterior.budget.split import Curve

    if not spends[-1] > 0:
        return spends, earned
    fine = np.linspace(0, min(widest, float(spends[-1])), 200)
    return fine, Curve(spends, earned)(fine)


def _whole(figures: Figures | None) -> Figures:
    assert figures  # noqa: S101 (only answers are drawn)
    return figures


def _mean(figures: Figures) -> float:
    assert figures.earned  # noqa: S101 (of the posterior)
    return figures.earned.mean


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{style.amount(value)}"
