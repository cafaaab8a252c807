"""How pictures of a result look: one colour per channel, short numbers, names that fit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#1F2933"
MUTED = "#6B7280"
FAINT = "#D5D9DF"
SPEND = "#AEB4BD"
BASELINE = "#66758C"
ACCENT = "#D1495B"

_CHANNELS = (
    *(
        "#1F77B4",
        "#F28E2B",
        "#2A9D5C",
        "#8E5BB5",
        "#C8A200",
        "#17A2B8",
        "#D6589F",
        "#8C5A3C",
        "#3D4EAC",
        "#7FA61C",
    ),
    *(
        "#7FB6DE",
        "#F9BE7C",
        "#86CFA5",
        "#C3A5DB",
        "#E3CF6D",
        "#83D2DD",
        "#EBA5CC",
        "#C29B82",
        "#98A2DC",
        "#B9D27A",
    ),
)

RC: dict[Any, object] = {
    "date.converter": "concise",
    "figure.facecolor": "white",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "grid.color": "#EDEFF2",
    "legend.frameon": False,
}
"""Matplotlib settings that hold while a picture is drawn."""


def channel_colours(channels: Iterable[str]) -> dict[str, str]:
    """A colour for every channel, the same in every panel; from the 21st channel on colours repeat."""
    return dict(zip(channels, cycle(_CHANNELS), strict=False))


def amount(value: float) -> str:
    """A number with at most three digits and a unit: 0.84, 12.3, 345k, 1.2M; a dash if not finite."""
    if not math.isfinite(value):
        return "–"
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return _digits(value / size) + unit
    return _digits(value)


def _digits(value: float) -> str:
    decimals = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    text = f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0 turns -0.0 into 0.0
    return text.rstrip("0").rstrip(".") if decimals else text


def percent(share: float) -> str:
    """A share as a percentage: 0.4 %, 12 %; a dash if not finite."""
    if not math.isfinite(share):
        return "–"
    decimals = 1 if 0.0005 <= abs(share) < 0.0995 else 0
    return f"{round(100 * share, decimals) + 0.0:.{decimals}f} %"


def label(name: str, longest: int = 34) -> str:
    """A name that fits: words shortened alike, so that similar names stay apart; `$` starts no formula."""
    words = re.split(r"([\W_]+)", name)
    kept = max((len(word) for word in words), default=0)
    while len(name) > longest and kept > 2:
        kept -= 1
        name = "".join(word[:kept] for word in words)
    return _cut(name, longest).replace("$", r"\$")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def heading(text: str, longest: int = 56) -> str:
    """A title that fits, cut at its end; `$` starts no formula."""
    return _cut(text, longest).replace("$", r"\$")


def at_top(axes: Axes, where: Any, text: str, rotation: float = 0) -> None:
    """Write at the upper edge, centred on a place of the horizontal axis."""
    axes.annotate(
        text,
        (where, 1),
        (0, -3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=9,
        rotation=rotation,
    )


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move positions as little as needed so that they are `gap` apart within [low, high], order kept."""
    gap = min(gap, (high - low) / max(len(positions) - 1, 1))
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    placed = list(positions)
    floor = low
    for i in order:
        placed[i] = floor = max(placed[i], floor)
        floor += gap
    ceiling = high
    for i in reversed(order):
        placed[i] = ceiling = min(placed[i], ceiling)
        ceiling -= gap
    return placed
