"""Trend and season as columns of their own, to be fitted together with the media."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from contracts.series import QUARTER, Interval, fourier_pairs, last_knot
from trainer.engines.common import Floats

_YEAR, _MONTH = 365.25, 30.5


def calendar(
    dates: NDArray[np.datetime64], interval: Interval, first: int, stop: int, components: Collection[str]
) -> Iterator[tuple[str, Floats]]:
    """Name and values (N,) of each column of trend, season, month and weekday, as far as they are asked for.

    A straight trend in years; Fourier pairs, as many as the window, rows `first` to `stop` of `dates` (N,),
    can tell; a dummy per weekday but Monday. `contracts.series.columns_of` counts them.
    """
    days, rows = _days(dates, first), stop - first
    if "trend" in components:
        yield "trend", days / _YEAR
    if "season" in components:
        yield from _fourier("season", days, _YEAR, fourier_pairs("season", rows, interval))
    if "monthly" in components:
        yield from _fourier("monthly", days, _MONTH, fourier_pairs("monthly", rows, interval))
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


def bends(dates: NDArray[np.datetime64], interval: Interval, first: int, stop: int) -> Floats:
    """(N, k) changes of the trend's slope: years since a knot, 0 before; a knot every quarter of a year."""
    knots = np.arange(QUARTER, last_knot(stop - first, interval), QUARTER)
    found: Floats = np.maximum(0.0, _days(dates, first)[:, None] - knots) / (52 * 7)
    return found


def later_bends(dates: NDArray[np.datetime64], interval: Interval, first: int, stop: int, end: int) -> Floats:
    """(end, k) like `bends`, for the knots that follow those of the window up to row `end`."""
    days = _days(dates, first)[:end]
    knots = np.arange(QUARTER, float(days[-1]), QUARTER)
    knots = knots[knots > last_knot(stop - first, interval)]
    found: Floats = np.maximum(0.0, days[:, None] - knots) / (52 * 7)
    return found
