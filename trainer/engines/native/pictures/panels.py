"""The panels of the one-pager; each asks a marketer's question and says how to read the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trainer.engines.common import INTERCEPT
from trainer.engines.native.pictures.page import Page
from trainer.engines.native.records import MediaAnswer
from trainer.engines.pictures import notes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_STEPS = 12
"""Bars of the waterfall; smaller contributions are added up."""

_LEAST_SHARE = 1e-6
"""Share of the predicted total below which a contribution counts as none: what rounding leaves."""

_LONGEST_DECAY = 53
"""Periods of adstock that are drawn at most."""

_HIGH_START = 0.1
"""Of the highest response shown, from which on a curve's start is explained."""

_PARTS = 0.4
"""Inches above actual and predicted for the names of their parts."""


@dataclass(frozen=True)
class _Step:
    name: str
    value: float
    colour: str


def waterfall(axes: Axes, page: Page) -> None:
    """Contribution of each driver over the window, stacked up to the predicted total."""
    steps = [*_steps(page), _Step("total, predicted", page.total, style.INK)]
    ends = np.cumsum([step.value for step in steps[:-1]])
    starts = np.append(0.0, ends)
    starts[-1] = 0.0
    ends = np.append(ends, page.total)
    low, high = float(min(starts.min(), ends.min())), float(ends.max())
    for row, (step, start, end) in enumerate(zip(steps, starts, ends, strict=True)):
        axes.barh(row, step.value, left=start, height=0.86, color=step.colour)
        share = step.value / page.total
        seen = step.value if abs(share) > _LEAST_SHARE else 0.0
        text = f"{style.amount(seen)}  {style.percent(share)}"
        _bar_label(axes, row, sorted((start, end)), (low, high), text)
    style.rows(axes, [step.name for step in steps])
    axes.set_xlim(low, high + 0.02 * (high - low))
    style.amounts(axes.xaxis, f"{page.dependent}, whole window")
    reading = "contribution of each driver, stacked up to the predicted total"
    style.question(axes, f"What made the {page.dependent}?", reading)


def _steps(page: Page) -> list[_Step]:
    """The drivers: baseline, then organic, then paid, each part largest first."""
    totals, inputs = page.model.contributions.sum(), page.inputs
    parts = ([INTERCEPT, *inputs.prophet, *inputs.context], inputs.organic, inputs.paid)
    names = [name for part in parts for name in sorted(part, key=lambda name: -totals[name])]
    most = _MOST_STEPS if len(names) > _MOST_STEPS + 1 else len(names)
    kept = sorted(names, key=lambda name: -abs(totals[name]))[:most]
    rest = [float(totals[name]) for name in names if name not in kept]
    steps = [
        _Step(page.names[name], float(totals[name]), page.colours.get(name, style.BASELINE))
        for name in names
        if name in kept
    ]
    return [*steps, _Step(f"{len(rest)} smaller", sum(rest), style.FAINT)] if rest else steps


def _bar_label(axes: Axes, row: int, bar: list[float], span: tuple[float, float], text: str) -> None:
    """Write beside the bar where there is room, inside it where it is long."""
    left, right = bar
    room = 0.32 * (span[1] - span[0])
    if right - left > room:
        axes.text(right, row, f"{text}  ", ha="right", va="center_baseline", color="white", fontsize=8)
    elif left - span[0] > room:
        axes.text(left, row, f"{text}  ", ha="right", va="center_baseline", fontsize=8.5)
    else:
        axes.text(right, row, f"  {text}", ha="left", va="center_baseline", fontsize=8.5)


def fit(axes: Axes, page: Page) -> None:
    """Actual and predicted over time, with the parts that the model was trained and judged on."""
    model, candidate = page.model, page.model.candidate
    axes.plot(model.dates, model.actual, color=style.INK, linewidth=1.3, label="actual")
    axes.plot(model.dates, model.fitted, color=style.ACCENT, linewidth=1.6, label="predicted")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0) if low < 0.4 * high else low, high)
    axes.margins(x=0.01)
    notes.labelled(axes, page.annotations, _PARTS)
    _parts(axes, page)
    axes.grid(axis="y")
    axes.xaxis.get_offset_text().set_visible(False)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=2, borderaxespad=0, fontsize=9)
    style.amounts(axes.yaxis, page.per_period(page.dependent))
    calibrated = f", calibration MAPE {style.amount(candidate['mape'])}" if page.inputs.studies else ""
    reading = f"NRMSE {candidate['nrmse']:.3f}, DECOMP.RSSD {candidate['decomp.rssd']:.3f}{calibrated}"
    style.question(axes, "Can the model be trusted?", f"{reading}, adjusted R² inside")


def _parts(axes: Axes, page: Page) -> None:
    """Shade what the model has not seen, and write each part's fit over it."""
    split = page.model.split
    parts = (("train", split.train, 0.0), ("val", split.validation, 0.12), ("test", split.test, 0.24))
    first = 0
    for key, rows, shade in (part for part in parts if part[1]):
        dates = page.model.dates[first : first + rows]
        first += rows
        axes.axvspan(dates[0], dates[-1], color=style.BASELINE, alpha=shade, linewidth=0)
        part = {"val": "validation"}.get(key, key) if split.validation else "all data"
        middle = dates[0] + (dates[-1] - dates[0]) / 2
        style.at_top(axes, middle, f"{part}\nR² {page.model.candidate[f'rsq_{key}']:.2f}")


def shares(axes: Axes, page: Page) -> None:
    """Share of spend beside share of effect, per paid channel."""
    found = []
    for row, media in enumerate(page.channels):
        if not media.spend_name:
            _note(axes, row, "organic, nothing spent")
            continue
        spend, effect = (page.figure(media.name, column) for column in ("spend_share", "effect_share"))
        found += [spend, effect]
        for place, share, colour in ((-0.2, spend, style.SPEND), (0.2, effect, page.colours[media.name])):
            axes.barh(row + place, share, height=0.36, color=colour)
            axes.text(share, row + place, f" {style.percent(share)}", va="center", fontsize=8)
    style.rows(axes, [page.names[media.name] for media in page.channels])
    axes.grid(axis="x")
    axes.set_xlim(min(0.0, 1.18 * min(found)), 1.18 * max(found))
    axes.xaxis.set_major_formatter(lambda value, _: style.percent(value))
    axes.set_xlabel("share of all paid media")
    style.question(axes, "Did it earn its share?", "grey: share of spend; colour: of the effect")


def efficiencies(axes: Axes, page: Page) -> None:
    """ROAS or CPA of each paid channel, on average and for the next unit spent."""
    found = {row: media for row, media in enumerate(page.paid) if media.coefficient}
    values = [value for media in found.values() for value in (page.efficiency(media), page.marginal(media))]
    finite = [value for value in values if np.isfinite(value)] or [1.0]
    low, high = min(0.0, *finite), max(0.0, *finite)
    limit = high + 0.75 * (high - low)
    for row in set(range(len(page.paid))) - set(found):
        _note(axes, row, "no effect found")
    for row, media in found.items():
        average, marginal = page.efficiency(media), page.marginal(media)
        axes.barh(row, average, height=0.6, color=page.colours[media.name])
        axes.plot(
            marginal, row, marker="D", markersize=6, color="white", markeredgecolor=style.INK, clip_on=False
        )
        text = f"{style.amount(average)}, next {style.amount(marginal)}"
        axes.text(limit, row, text, ha="right", va="center", fontsize=8.5)
    if page.revenue:
        axes.axvline(1, color=style.INK, linewidth=0.9, linestyle=":")
    _channel_rows(axes, page)
    axes.set_xlim(1.1 * low, limit)
    unit = f"{page.dependent} per currency unit spent" if page.revenue else "currency per conversion"
    style.amounts(axes.xaxis, unit)
    title = "What did the money bring?" if page.revenue else "What did a conversion cost?"
    style.question(axes, title, f"bar: {page.metric}; diamond: of the next unit spent")


def immediate(axes: Axes, page: Page) -> None:
    """Immediate effect against carry-over, per channel."""
    for row, media in enumerate(page.channels):
        share, colour = media.immediate_share, page.colours[media.name]
        if not np.isfinite(share):
            _note(axes, row, "no effect found")
            continue
        axes.barh(row, share, height=0.6, color=colour)
        axes.barh(row, 1 - share, left=share, height=0.6, color=colour, alpha=0.3)
        axes.text(1.02, row, style.percent(1 - share), va="center", fontsize=8.5)
    _channel_rows(axes, page)
    axes.set_xlim(0, 1.15)
    axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.set_xlabel("share of its effect")
    style.question(axes, "Does it work now or later?", f"solid: same {page.period}; pale, number: carry-over")


def decay(axes: Axes, page: Page) -> None:
    """The adstock's weights: how one period's input works in the periods after."""
    found = {row: media for row, media in enumerate(page.channels) if media.coefficient}
    needed = max((_periods_until(media, 0.97) + 1 for media in found.values()), default=0)
    shown = min(max(needed, 5), _LONGEST_DECAY, len(page.model.dates))
    right = 1.36 * (shown - 1)
    for row, media in enumerate(page.channels):
        if row not in found:
            _note(axes, row, "no effect found")
            continue
        top = row + 0.35 - 0.75 * media.weights[:shown] / media.weights.max()
        colour = page.colours[media.name]
        axes.fill_between(range(shown), row + 0.35, top, color=colour, alpha=0.85, linewidth=0)
        within = _periods_until(media, 0.9)
        text = f"{within} {page.period}{'s' * (within > 1)}"
        axes.text(right, row, text, ha="right", va="center", fontsize=8.5)
    _channel_rows(axes, page)
    axes.set_xlim(0, right)
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel(f"{page.period}s after the input")
    style.question(axes, "How long does it last?", "fading effect; time until 90 % has worked")


def _periods_until(media: MediaAnswer, share: float) -> int:
    """How many periods it takes until `share` of one input's adstock weight has worked."""
    return int(np.searchsorted(np.cumsum(media.weights), share * media.weights.sum())) + 1


def curves(axes: Axes, page: Page) -> None:
    """Response curves of the paid channels with today's average spend as a point."""
    widest = 1.6 * max(media.curve.mean_value for media in page.paid)
    ends = []
    for media in page.paid:
        curve, colour = media.curve, page.colours[media.name]
        axes.plot(curve.value, curve.response, color=colour, linewidth=2)
        point = (curve.mean_value, curve.mean_value_response)
        axes.plot(*point, "o", markersize=8, color=colour, markeredgecolor="white", zorder=3)
        end = float(min(curve.value[-1], widest))
        ends.append((end, float(np.interp(end, curve.value, curve.response))))
    low, high = min(0.0, *(y for _, y in ends)), max(1e-9, *(y for _, y in ends))
    axes.set_xlim(0, widest)
    axes.set_ylim(low - 0.03 * (high - low), high + 0.05 * (high - low))
    axes.grid()
    _curve_names(axes, page, ends)
    spent = f"{page.per_period(page.input)}, in currency"
    if max(media.curve.carryover_response for media in page.paid) > _HIGH_START * high:
        spent += f"; at 0 a curve starts with what earlier {page.period}s' spend still earns"
    style.amounts(axes.xaxis, spent)
    style.amounts(axes.yaxis, page.per_period(page.dependent))
    number = f"{page.dependent} from the next unit spent" if page.revenue else "cost of the next conversion"
    reading = f"steeper is better; dot: today's average {page.input}; number: {number}"
    style.question(axes, "Where should the next budget go?", reading)


def _curve_names(axes: Axes, page: Page, ends: list[tuple[float, float]]) -> None:
    """Names to the right of the curves, moved apart, with a line to the curve's end."""
    low, high = axes.get_ylim()
    right = axes.get_xlim()[1]
    inches = axes.get_window_extent().height / axes.figure.dpi
    heights = style.spread([y for _, y in ends], 0.165 * (high - low) / inches, low, high)
    for media, (x, y), height in zip(page.paid, ends, heights, strict=True):
        colour = page.colours[media.name]
        path = [x, right, 1.03 * right], [y, y, height]
        axes.plot(*path, color=colour, linewidth=0.8, linestyle=":", clip_on=False)
        axes.plot(1.04 * right, height, "s", markersize=6, color=colour, clip_on=False)
        number = style.amount(page.marginal(media)) if media.coefficient else "no effect"
        axes.text(1.055 * right, height, f"{page.names[media.name]}  {number}", fontsize=9, va="center")


def residuals(axes: Axes, page: Page) -> None:
    """What the model does not explain, against what it predicts."""
    model = page.model
    order = np.argsort(model.fitted, kind="stable")
    fitted, residual = model.fitted[order], (model.actual - model.fitted)[order]
    around = max(5, len(fitted) // 5)
    window = np.ones(around) / around
    smooth = [np.convolve(values, window, "valid") for values in (fitted, residual)]
    axes.axhline(0, color=style.INK, linewidth=0.9)
    axes.scatter(fitted, residual, s=14, color=style.BASELINE, alpha=0.6, linewidth=0)
    axes.plot(*smooth, color=style.ACCENT, linewidth=2)
    axes.grid()
    style.amounts(axes.xaxis, f"predicted {page.per_period(page.dependent)}")
    style.amounts(axes.yaxis, "actual − predicted")
    style.question(axes, "Is what is left just noise?", "red: running mean; it should stay near zero")


BOARD: tuple[tuple[Callable[[Axes, Page], None], float, float], ...] = (
    (shares, 0.0, 0.24),
    (efficiencies, 0.265, 0.525),
    (immediate, 0.555, 0.745),
    (decay, 0.775, 1.0),
)
"""The panels that share the channels' names, with the part of the width that each takes."""


def _channel_rows(axes: Axes, page: Page) -> None:
    """The rows of the shares panel again, without the names."""
    style.rows(axes, [""] * len(page.channels))
    axes.grid(axis="x")


def _note(axes: Axes, row: int, text: str) -> None:
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    axes.text(0, row, f" {text}", va="center", color=style.MUTED, fontsize=8.5, style="italic", bbox=paper)
