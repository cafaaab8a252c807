"""Trend and season as columns of their own, to be fitted together with the media."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from contracts.series import Interval
from trainer.engines.common import Floats

_YEAR, _MONTH, _QUARTER = 365.25, 30.5, 91
_LAST_KNOT = 6
_DAYS: dict[Interval, float] = {"day": 1, "week": 7, "month": _YEAR / 12}


def calendar(
    dates: NDArray[np.datetime64], interval: Interval, first: int, stop: int, components: Collection[str]
) -> Iterator[tuple[str, Floats]]:
    """Name and values (N,) of each column of trend, season, month and weekday, as far as they are asked for.

    A straight trend in years; Fourier pairs, four of a year if the window, rows `first` to `stop` of `dates`
    (N,), has two years, two if it has one, otherwise none; a dummy per weekday but Monday.
    """
    days, step = _days(dates, first), _DAYS[interval]
    years = (stop - first) * step / _YEAR
    if "trend" in components:
        yield "trend", days / _YEAR
    if "season" in components:
        yield from _fourier("season", days, _YEAR, 4 if years >= 1.99 else 2 if years >= 0.99 else 0)
    if "monthly" in components:
        fastest = int(np.ceil(_MONTH / (2 * step))) - 1
        yield from _fourier("monthly", days, _MONTH, min(max(fastest, 0), 5))
    if "weekday" in components:
        weekday = (dates.astype("datetime64[D]").astype(int) + 3) % 7
        for k, name in enumerate(("Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), 1):
            yield name, (weekday == k).astype(float)


def _days(dates: NDArray[np.datetime64], first: int) -> Floats:
    """(N,) days since the window's first period."""
    days: Floats = (dates - dates[first]).astype(float)
    return days


def _fourier(name: str, days: Floats, period: float, pairs: int) -> Iterator[tuple[str, Floats]]:
    for k in range(1, pairs + 1):
        angle = 2 * np.pi * k * days / period
        yield f"{name} sin {k}", np.sin(angle)
        yield f"{name} cos {k}", np.cos(angle)


def _last(interval: Interval, first: int, stop: int) -> float:
    """The day of the last possible knot: six periods before the window's end."""
    return (stop - first - 1 - _LAST_KNOT) * _DAYS[interval]


def bends(dates: NDArray[np.datetime64], interval: Interval, first: int, stop: int) -> Floats:
    """(N, k) changes of the trend's slope: years since a knot, 0 before; a knot every quarter of a year."""
    knots = np.arange(_QUARTER, _last(interval, first, stop) + 1e-9, _QUARTER)
    found: Floats = np.maximum(0.0, _days(dates, first)[:, None] - knots) / (52 * 7)
    return found


def later_bends(dates: NDArray[np.datetime64], interval: Interval, first: int, stop: int, end: int) -> Floats:
    """(end, k) like `bends`, for the knots that follow those of the window up to row `end`."""
    days = _days(dates, first)[:end]
    knots = np.arange(_QUARTER, float(days[-1]), _QUARTER)
    knots = knots[knots > _last(interval, first, stop) + 1e-9]
    found: Floats = np.maximum(0.0, days[:, None] - knots) / (52 * 7)
    return found
