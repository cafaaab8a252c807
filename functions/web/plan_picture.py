"""The picture of a plan as SVG: spends, and what is gained, for a slide."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.result import Allocation, Gain
from functions.web.formats import short

WIDTH = 1600
ROW = 56
TOP = 190
LEFT, RIGHT = (330, 800), (1010, 1540)
"""The panels, in pixels from the left: spends, and gains."""
_LONGEST = 24
"""Characters of a name."""


@dataclass(frozen=True)
class Bar:
    """A row of a panel; positions in pixels."""

    name: str
    whole: str
    """The name in full."""
    y: int
    before: float
    after: float
    label: str


@dataclass(frozen=True)
class Interval:
    """What is gained; positions in pixels."""

    name: str
    whole: str
    y: int
    low: float
    middle: float
    high: float
    label: str
    strong: bool


@dataclass(frozen=True)
class Picture:
    """What the template draws."""

    title: str
    subtitle: str
    bars: list[Bar]
    gains: list[Interval]
    zero: float
    height: int


def picture(answer: Allocation, dependent: str) -> Picture | None:
    """The picture of an answer; None where nothing is proposed or compared."""
    sides = [(one.name, one.before, one.after) for one in answer.channels]
    moved = [(name, before.spend, after.spend) for name, before, after in sides if before and after]
    gains: list[tuple[str, Gain, bool]] = [(one.name, one.gain, False) for one in answer.channels if one.gain]
    if answer.gain:
        gains.append(("all channels", answer.gain, True))
    gains += [(plan.name, plan.gain, True) for plan in answer.plans]
    if not gains or answer.before is None:
        return None
    moved = moved or [(plan.name, answer.before.spend, plan.after.spend) for plan in answer.plans]
    most = max([1e-12, *(value for _, *pair in moved for value in pair)])
    lowest = min(0.0, *(gain.q05 for _, gain, _ in gains))
    highest = max(0.0, *(gain.q95 for _, gain, _ in gains))
    wide = (highest - lowest) or 1.0

    def along(value: float) -> float:
        return round(RIGHT[0] + (RIGHT[1] - RIGHT[0]) * (value - lowest) / wide, 1)

    return Picture(
        title=_title(answer, dependent),
        subtitle=f"{answer.start} to {answer.end} ({answer.periods} {answer.interval}s), spend "
        f"{short(answer.before.spend)}" + (f" → {short(answer.after.spend)}" if answer.after else ""),
        bars=[
            Bar(
                name=_cut(name),
                whole=name,
                y=TOP + i * ROW,
                before=round((LEFT[1] - LEFT[0]) * before / most, 1),
                after=round((LEFT[1] - LEFT[0]) * after / most, 1),
                label=f"{short(before)} → {short(after)}",
            )
            for i, (name, before, after) in enumerate(moved)
        ],
        gains=[
            Interval(
                name=_cut(name),
                whole=name,
                y=TOP + i * ROW,
                low=along(gain.q05),
                middle=along(gain.mean),
                high=along(gain.q95),
                label=f"{_signed(gain.mean)} ({_signed(gain.q05)} to {_signed(gain.q95)})",
                strong=strong,
            )
            for i, (name, gain, strong) in enumerate(gains)
        ],
        zero=along(0.0),
        height=TOP + max(len(moved), len(gains)) * ROW + 60,
    )


def _title(answer: Allocation, dependent: str) -> str:
    if answer.gain:
        return f"{_signed(answer.gain.mean)} {_cut(dependent)} with the proposed split"
    return f"What plans would earn in {_cut(dependent)}"


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{short(value)}"


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
