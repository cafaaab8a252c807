"""How pictures of a result look: one colour per channel, short numbers, names that fit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from unicodedata import category, east_asian_width, name

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from PIL.Image import Image

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

_UNITS = ((1e15, ""), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))

_RC: dict[Any, object] = {
    "date.converter": "concise",
    "figure.facecolor": "white",
    "font.size": 9.5,
    "text.color": INK,
    "text.hinting": "none",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titley": 1.0,  # titles keep their place: nothing is measured for them
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "grid.color": "#EDEFF2",
    "legend.frameon": False,
}

_LEVELS = 31
"""Largest value of red, green and blue in a PNG: 32 levels each."""
_COLOURS = 256
"""Of a PNG, which then needs one byte for a pixel."""
_WHITE = 0xFFFFFFFF

_FONT = "DejaVu Sans"
_FALLBACKS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Droid Sans Fallback", "WenQuanYi Micro Hei", "NanumGothic"),
    *("Arial Unicode MS", "Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Nirmala UI", "Leelawadee UI"),
    *("Noto Sans Devanagari", "Noto Sans Thai"),
)
"""Fonts of Debian, macOS and Windows for the scripts of Asia, which matplotlib's own font lacks."""


def settings() -> dict[Any, object]:
    """Matplotlib settings that hold while a picture is drawn, with the fallback fonts that are installed."""
    from matplotlib.font_manager import fontManager  # here, because only drawing needs it

    installed = set(fontManager.get_font_names())
    return _RC | {"font.family": [_FONT, *(name for name in _FALLBACKS if name in installed)]}


def save(figure: Figure, path: Path, title: str, dpi: float = 140) -> None:
    """Write a figure to `path` as a PNG, a quarter as large as matplotlib's own."""
    from PIL import PngImagePlugin  # here, because only drawing needs it

    told = PngImagePlugin.PngInfo()
    told.add_text("Title", title)
    rendered(figure, dpi).save(path, format="png", pnginfo=told, dpi=(dpi, dpi))


def rendered(figure: Figure, dpi: float) -> Image:
    """A figure's pixels, with a palette and without transparency.

    Each of red, green and blue has 32 levels, and of the colours the 256 most frequent are kept; the few
    others become the nearest of these.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # here, because only drawing needs it
    from PIL import Image

    figure.set_dpi(dpi)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    numbers, palette = _palette(np.asarray(canvas.buffer_rgba()))
    picture = Image.fromarray(numbers)
    picture.putpalette(palette.tobytes())
    return picture


def _palette(pixels: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Of pixels, (height, width, 4), the number of each one's colour and the colours, (at most 256, 3)."""
    level = np.round(np.arange(256) * _LEVELS / 255).astype(np.uint16)
    drawn = pixels.view(np.uint32)[..., 0] != _WHITE  # most of a picture is paper
    red, green, blue = (level[values] for values in pixels[drawn][:, :3].T)
    colours = red << 10 | green << 5 | blue
    count = np.bincount(colours, minlength=1 << 15)
    count[-1] = drawn.size  # paper is kept in any case
    seen = np.flatnonzero(count)
    kept = seen[np.argsort(-count[seen], kind="stable")][:_COLOURS]
    palette, number = _parts(kept), np.zeros(1 << 15, np.uint8)
    number[seen] = ((_parts(seen)[:, None] - palette) ** 2).sum(2).argmin(1)
    numbers = np.full(drawn.shape, number[-1])
    numbers[drawn] = number[colours]
    return numbers, np.round(palette * 255 / _LEVELS).astype(np.uint8)


def _parts(colours: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Red, green and blue of each colour."""
    return np.stack([colours >> 10, colours >> 5 & _LEVELS, colours & _LEVELS], 1)


def unreadable_scripts(texts: Iterable[str]) -> list[str]:
    """The scripts of these texts that no installed font has, by their Unicode names; boxes are drawn."""
    foreign = {character for text in texts if not text.isascii() for character in text}
    if not foreign:
        return []
    from matplotlib.font_manager import findfont, get_font  # here, because only such names need it

    for family in cast(list[str], settings()["font.family"]):
        foreign -= {chr(code) for code in get_font(findfont(family)).get_charmap()}
    return sorted({_script(character) for character in foreign} - {""})


def _script(character: str) -> str:
    """What a letter belongs to, by its Unicode name; marks, which have no place of their own, to nothing."""
    if category(character).startswith("L"):
        word = name(character, "unknown").split()[0]
        return word if word == "CJK" else word.capitalize()
    return "emoji and symbols" if category(character).startswith("S") else ""


def channel_colours(channels: Iterable[str]) -> dict[str, str]:
    """A colour for every channel, the same in every panel; from the 21st channel on colours repeat."""
    return dict(zip(channels, cycle(_CHANNELS), strict=False))


def amount(value: float, digits: int = 3) -> str:
    """A number with at most so many digits and a unit: 2.1e-4, 12.3, 345k, 1.2M; a dash if not finite."""
    if not math.isfinite(value):
        return "–"
    half = 1 - 0.5 * 0.1**digits  # the last digit's, from which on a number is written with the next unit
    for size, unit in _UNITS:
        if abs(value) >= half * size:
            return _digits(value / size if unit else value, digits) + unit
    return _digits(value, digits)


def _digits(value: float, digits: int) -> str:
    """One digit less below 1, where the zero before the point is there to be read too."""
    if 0 < abs(value) < 0.000995:
        return re.sub(r"\.?0*e-0?", "e-", f"{value:.{digits - 2}e}")
    text = f"{value + 0.0:.{digits - (abs(value) < 1)}g}"  # + 0.0 turns -0.0 into 0.0
    return text.replace("e+", "e")


def digits_apart(values: Iterable[float]) -> int:
    """How many digits `amount` needs to write different numbers differently, three or more."""
    different = set(values)
    enough = (n for n in range(3, 15) if len({amount(value, n) for value in different}) == len(different))
    return next(enough, 15)


def percent(share: float) -> str:
    """A share as a percentage: 0.4 %, 12 %; a dash if not finite."""
    if not math.isfinite(share):
        return "–"
    decimals = 1 if 0.0005 <= abs(share) < 0.0995 else 0
    return f"{round(100 * share, decimals) + 0.0:.{decimals}f} %"


def change(old: float, new: float, decimals: int = 0) -> str:
    """How much more a number became, as a percentage with its sign: +12%; empty if it was nothing."""
    return f"{round(100 * (new / old - 1), decimals) + 0.0:+.{decimals}f}%" if old else ""


def label(name: str, longest: int = 34) -> str:
    """A name that fits: words shortened alike, so that similar names stay apart; `$` starts no formula."""
    words = re.split(r"([\W_]+)", name)
    kept = max((len(word) for word in words), default=0)
    while width(name) > longest and kept > 2:
        kept -= 1
        name = "".join(word[:kept] for word in words)
    return _cut(name, longest).replace("$", r"\$")


def _cut(text: str, longest: int) -> str:
    if width(text) <= longest:
        return text
    while width(text) >= longest:
        text = text[:-1]
    return f"{text}…"


def width(text: str) -> int:
    """How many letters wide a text is: characters of East Asia are as wide as two."""
    return len(text) + sum(east_asian_width(character) in "WF" for character in text)


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


def question(axes: Axes, text: str, reading: str) -> None:
    """The panel's title, and below it how to read the answer."""
    axes.set_title(text, loc="left", fontsize=12.5, fontweight="bold", pad=21)
    place = {"xycoords": "axes fraction", "xytext": (0, 7), "textcoords": "offset points"}
    axes.annotate(reading, (0, 1), fontsize=8.8, color=MUTED, **place)  # type: ignore[arg-type]


def rows(axes: Axes, names: list[str]) -> None:
    """A row of the panel for each name, from the top."""
    axes.set_yticks(range(len(names)), names, fontsize=9, color=INK)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def amounts(axis: Axis, name: str) -> None:
    """The axis' name, and short numbers that differ from each other."""
    from matplotlib.ticker import MaxNLocator

    def text(value: float, _: float) -> str:
        return amount(value, digits_apart(axis.get_majorticklocs().tolist()))

    axis.set_label_text(name)
    axis.set_major_locator(MaxNLocator(5))
    axis.set_major_formatter(text)
