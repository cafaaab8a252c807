"""The picture of a budget answer: what each channel gets and earns, before and after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainer.engines.common import Floats
from trainer.engines.native.budget.reallocation import Frame, Reallocation
from trainer.engines.native.explain.efficiency import efficiency
from trainer.engines.native.pictures.page import Page
from trainer.engines.native.result import Result
from trainer.engines.pictures import style

if TYPE_CHECKING:  # matplotlib takes a third of a second, and only the drawing needs it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 16.0  # inches
_POINTS = 200  # of a curve


def draw(result: Result, answer: Reallocation, path: Path) -> None:
    """Write the picture to `path` as a PNG, 2240 pixels wide; spend and response are per period."""
    import matplotlib

    with matplotlib.rc_context(style.settings()):
        style.save(_compose(Page(result, answer.frame.model), answer), path, "Budget")


def _compose(page: Page, answer: Reallocation) -> Figure:
    """Place the panels; all lengths are inches from the top left."""
    from matplotlib.figure import Figure

    frame = answer.frame
    names = max(1.7, 0.3 + 0.077 * max(style.width(page.names[name]) for name in frame.names))
    board = max(2.0, 0.42 * len(frame.names))
    curves = max(2.9, 0.2 * len(frame.names))
    height = 2.0 + board + 1.25 + curves + 0.8
    figure = Figure(figsize=(_WIDTH, height))
    _header(figure, page, answer, height)

    def place(left: float, top: float, right: float, tall: float) -> Axes:
        return figure.add_axes(
            (left / _WIDTH, 1 - (top + tall) / height, (right - left) / _WIDTH, tall / height)
        )

    room = 15.7 - names
    before, after = frame.today, answer.spend
    spend = place(names, 2.0, names + 0.31 * room, board)
    _pairs(spend, page, answer, before, after, f"{page.per_period('spend')}, in currency")
    style.rows(spend, [page.names[name] for name in frame.names])
    style.question(spend, "Who gets the money?", "grey: today; colour: proposed, and the change")
    response = place(names + 0.345 * room, 2.0, names + 0.655 * room, board)
    earned = frame.curves.response(before), frame.curves.response(after)
    _pairs(response, page, answer, *earned, page.per_period(page.dependent))
    style.rows(response, [""] * len(frame.names))
    style.question(response, "What does it earn?", "grey: today; colour: proposed, and the change")
    marginal = place(names + 0.69 * room, 2.0, 15.7, board)
    _marginal(marginal, page, answer)
    _curves(place(0.95, 2.0 + board + 1.25, 15.7 - names, curves), page, answer)
    return figure


def _header(figure: Figure, page: Page, answer: Reallocation, height: float) -> None:
    frame = answer.frame

    def write(left: float, top: float, text: str, size: float, color: str = style.MUTED) -> None:
        weight = "bold" if size > 12 else "normal"
        place = (left / _WIDTH, 1 - top / height)
        figure.text(*place, text, va="top", fontsize=size, fontweight=weight, color=color)

    more = frame.question.scenario == "max_response"
    aim = f"most {page.brief} for the budget" if more else f"most {page.brief} at the target"
    write(0.3, 0.22, style.heading(f"Where should the money go: {aim}", 70), 18, style.INK)
    periods = f"{len(frame.dates)} {page.period}s, {frame.dates[0]} to {frame.dates[-1]}"
    own = len(frame.question.channel_budgets)
    bounds = _bounds(frame) + (f"; {own} with a budget of its own" if own else "")
    asked = "" if more else f"; {page.metric} asked for {style.amount(frame.target)}"
    write(0.3, 0.6, f"Model {frame.model.solution}; today is the mean of {periods}", 10)
    write(0.3, 0.82, f"{bounds}{asked}", 10)
    before, after = _totals(page, answer, frame.today), _totals(page, answer, answer.spend)
    meanings = (page.per_period("spend"), page.per_period(page.brief), page.metric)
    for i, (old, new, meaning) in enumerate(zip(before, after, meanings, strict=True)):
        write(9.6 + 2.1 * i, 0.22, f"{style.amount(old)} → {style.amount(new)}", 16, style.INK)
        change = f"\n{style.change(old, new, 1)}"
        write(9.6 + 2.1 * i, 0.58, f"{meaning}{change}", 9)
    write(
        0.3,
        height - 0.3,
        "Both sides are read off the model's response curves upon the average carry-over, which Robyn takes "
        f"as free: large cuts look cheaper than they are.  {page.metric} of paid media.  Money is in the "
        "currency of the data.",
        8.5,
    )


def _bounds(frame: Frame) -> str:
    """How far the channels without a budget of their own may move."""
    free = [name not in frame.question.channel_budgets for name in frame.spend_names]
    if not any(free):
        return "No channel may move freely"
    low, high = frame.factors[:, free]
    return f"Each channel may move within {low.min():.3g} to {high.max():.3g} times today's spend"


def _totals(page: Page, answer: Reallocation, spend: Floats) -> tuple[float, float, float]:
    money, earned = float(spend.sum()), float(answer.frame.curves.response(spend).sum())
    return money, earned, efficiency(earned, money, page.kind)


def _pairs(axes: Axes, page: Page, answer: Reallocation, before: Floats, after: Floats, unit: str) -> None:
    """A grey bar for today above a coloured one for the proposal, per channel."""
    largest = max(before.max(), after.max())
    for row, name in enumerate(answer.frame.names):
        axes.barh(row - 0.2, before[row], height=0.36, color=style.SPEND)
        axes.barh(row + 0.2, after[row], height=0.36, color=page.colours[name])
        axes.text(before[row], row - 0.2, f" {style.amount(before[row])}", va="center", fontsize=8)
        change = f"  {style.change(before[row], after[row])}"
        axes.text(after[row], row + 0.2, f" {style.amount(after[row])}{change}", va="center", fontsize=8)
    axes.grid(axis="x")
    axes.set_xlim(min(0.0, before.min(), after.min()), 1.25 * largest)
    style.amounts(axes.xaxis, unit)


def _marginal(axes: Axes, page: Page, answer: Reallocation) -> None:
    """What the next unit of money earns, or costs, before and after."""
    curves, frame = answer.frame.curves, answer.frame
    values = [
        [
            efficiency(float(one), 1.0, page.kind)
            for one in curves.response(spend + 1) - curves.response(spend)
        ]
        for spend in (frame.today, answer.spend)
    ]
    for row, (name, old, new) in enumerate(zip(frame.names, *values, strict=True)):
        if np.isfinite(old) and np.isfinite(new):
            axes.plot([old, new], [row, row], color=style.SPEND, linewidth=2, zorder=1)
        axes.plot(old, row, "o", markersize=8, color="white", markeredgecolor=style.MUTED)
        axes.plot(new, row, "o", markersize=8, color=page.colours[name])
    style.rows(axes, [""] * len(frame.names))
    axes.grid()
    axes.margins(x=0.12)
    unit = f"{page.dependent} from the next unit spent" if page.revenue else "cost of the next conversion"
    style.amounts(axes.xaxis, unit)
    style.question(axes, "Is there more to move?", "hollow: today; solid: proposed; even means well spread")


def _curves(axes: Axes, page: Page, answer: Reallocation) -> None:
    """Response curves with today's and the proposed spend; thick within the bounds."""
    frame = answer.frame
    widest = 1.25 * float(max(frame.today.max(), answer.spend.max()))
    grid = np.linspace(0.0, widest, _POINTS)
    responses = np.array([frame.curves.response(np.full(len(frame.names), spend)) for spend in grid])
    low, high = frame.limits
    before, after = frame.curves.response(frame.today), frame.curves.response(answer.spend)
    for i, name in enumerate(frame.names):
        colour, within = page.colours[name], (grid >= low[i]) & (grid <= high[i])
        axes.plot(grid, responses[:, i], color=colour, linewidth=1, alpha=0.6)
        axes.plot(grid[within], responses[within, i], color=colour, linewidth=2.6)
        axes.plot(frame.today[i], before[i], "o", markersize=8, color="white", markeredgecolor=colour)
        axes.plot(answer.spend[i], after[i], "o", markersize=9, color=colour, markeredgecolor="white")
    axes.set_xlim(0, widest)
    axes.grid()
    _names(axes, page, frame.names, responses[-1])
    style.amounts(axes.xaxis, f"{page.per_period('spend')}, in currency")
    style.amounts(axes.yaxis, page.per_period(page.dependent))
    reading = "hollow: today; solid: proposed; thick: within the channel's bounds"
    style.question(axes, "How does each channel respond?", reading)


def _names(axes: Axes, page: Page, names: list[str], ends: Floats) -> None:
    """The channels' names beside the ends of their curves, moved apart."""
    low, high = axes.get_ylim()
    inches = axes.get_window_extent().height / axes.figure.dpi
    right = axes.get_xlim()[1]
    heights = style.spread(list(ends), 0.18 * (high - low) / inches, low, high)
    for name, end, height in zip(names, ends, heights, strict=True):
        colour = page.colours[name]
        axes.plot(
            [right, 1.025 * right], [end, height], color=colour, linewidth=0.8, linestyle=":", clip_on=False
        )
        axes.plot(1.03 * right, height, "s", markersize=6, color=colour, clip_on=False)
        axes.text(1.037 * right, height, page.names[name], fontsize=9, va="center")
