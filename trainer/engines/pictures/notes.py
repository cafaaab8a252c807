"""The request's annotations on a time axis: a thin line at each day, and labels that do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Literal

import numpy as np

from contracts.model import Annotation
from trainer.engines.pictures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation as Label

LANE = 0.15
"""Height of a lane of labels, in inches."""

_MOST_LANES = 4
"""Rows of notes above a time axis."""
_SIZE = 8.0  # of the text, in points
_GAP = 4.0  # between two labels, in pixels
_LENGTHS = (60, 36, 24, 14)
"""Lengths of a label in letters, tried one after another."""
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}


def lines(axes: Axes, annotations: Sequence[Annotation], top: float = 1.0) -> list[Annotation]:
    """A line for each annotation within the axis, up to a share of its height; these, by date."""
    left, right = axes.get_xlim()
    within = [note for note in annotations if left <= _day(note) <= right]
    for note in within:
        axes.axvline(_day(note), 0, top, color=style.SPEND, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
    axes.set_xlim(left, right)
    return sorted(within, key=lambda note: note.date)


def _day(note: Annotation) -> float:
    """Days since 1970, which is what matplotlib counts on an axis of dates."""
    return float(np.datetime64(note.date, "D").astype(int))


def labelled(axes: Axes, annotations: Sequence[Annotation], headroom: float) -> None:
    """Lines with labels in lanes above the data, below `headroom` inches that are left free at the top.

    The y-axis is made taller for both. Where many notes are close their texts are cut, and what has no room
    even so is a line only, with a remark; annotations.csv holds all of them.
    """
    low, high = axes.get_ylim()
    tall = axes.get_window_extent().height / axes.figure.dpi
    within = lines(axes, annotations, 1 - headroom / tall)
    lanes = _arrange(axes, within)
    left_out = len(within) - sum(map(len, lanes))
    if left_out:
        lanes.append([_text(axes, f"{left_out} more in annotations.csv", 1, "axes fraction", "right")])
    for lane, labels in enumerate(lanes):
        for label in labels:
            label.set_position((label.get_position()[0], -72 * (headroom + LANE * lane)))
    share = min((headroom + LANE * len(lanes)) / tall, 0.75)
    axes.set_ylim(low, low + (high - low) / (1 - share))


def _arrange(axes: Axes, annotations: Sequence[Annotation]) -> list[list[Label]]:
    """The labels in lanes, at the greatest length at which all find room, or the smallest."""
    lanes: list[list[Label]] = []
    for longest in _LENGTHS:
        for label in chain.from_iterable(lanes):
            label.remove()
        lanes = _fill(axes, annotations, longest)
        if sum(map(len, lanes)) == len(annotations):
            break
    return lanes


def _fill(axes: Axes, annotations: Sequence[Annotation], longest: int) -> list[list[Label]]:
    """Each label in the first lane in which it touches no other; without those that find none."""
    lanes: list[list[Label]] = [[] for _ in range(_MOST_LANES)]
    ends = [-np.inf] * _MOST_LANES
    for note in annotations:
        if axes.transData.transform((_day(note), 0))[0] < min(ends):
            continue  # before a label is laid out, which is slow
        label = _label(axes, note, style.heading(note.text, longest))
        box = label.get_window_extent()
        lane = next((lane for lane, end in enumerate(ends) if box.x0 > end + _GAP), None)
        if lane is None or box.x0 < axes.get_window_extent().x0:
            label.remove()
            continue
        ends[lane] = box.x1
        lanes[lane].append(label)
    return [lane for lane in lanes if lane]


def _label(axes: Axes, note: Annotation, text: str) -> Label:
    """To the right of the note's line, or to the left where there is no room."""
    label = _text(axes, text, _day(note), "data", "left")
    if label.get_window_extent().x1 > axes.get_window_extent().x1:
        label.remove()
        label = _text(axes, text, _day(note), "data", "right")
    return label


def _text(axes: Axes, text: str, x: float, unit: str, align: Literal["left", "right"]) -> Label:
    """At the top of the axes, a little beside `x`."""
    return axes.annotate(
        text,
        (x, 1),
        (3 if align == "left" else -3, 0),
        xycoords=(unit, "axes fraction"),
        textcoords="offset points",
        ha=align,
        va="top",
        fontsize=_SIZE,
        color=style.INK,
        bbox=_PAPER,
    )
