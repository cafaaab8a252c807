"""Times of day that stand beside dates: dropped, unless they are midnights of another time zone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from functions.validate.calendar import days_in, known_days, regularity, starts_well

Mask = NDArray[np.bool_]
Minutes = NDArray[np.float64]

_DAY, _HOUR, _NOON, _QUARTER = 1440, 60, 720, 15
_EUROPE = frozenset((0, 22 * _HOUR, 23 * _HOUR))
_MORNING = 10 * _HOUR
_EASTERN = ((11 * _HOUR, _NOON), (_NOON, 13 * _HOUR))  # where the two times can only be 11 to 13 hours ahead


@dataclass(frozen=True, eq=False)
class Midnights:
    """The days that dates with times of day mean."""

    days: pd.Series[pd.Timestamp]
    """(N,) at midnight."""
    timed: Mask
    """(N,) where the time of day was another than midnight."""
    local: bool = False
    """Whether those times are midnights of another zone."""
    doubtful: bool = False
    """Whether they may be, and nothing tells."""
    message: str = "times of day were dropped from {column}"


def local_days(dates: pd.Series[pd.Timestamp], minutes: Minutes, zoned: bool) -> Midnights:
    """The local day of each date: of a midnight that was written in another zone, the day that begins there.

    A table of local days that is exported in UTC has the same time of day in every row, or two that daylight
    saving keeps an hour apart: 23:00 and 22:00 of the day before in Berlin, 05:00 and 04:00 in New York.
    Times in the afternoon then belong to the next day, unless the dates as written start their weeks or
    months better. Where no zone is named and nothing else speaks for midnights, times are only dropped.

    Args:
        dates: (N,) at midnight; NaT where there is none.
        minutes: (N,) time of day of each.
        zoned: whether the times name a zone, UTC or another.
    """
    timed = np.asarray((minutes != 0) & dates.notna(), dtype=bool)
    if not timed.any():
        return Midnights(dates, timed)
    times = sorted({float(minute) for minute in minutes[dates.notna()]})
    if not _one_midnight(times):
        return Midnights(dates, timed)
    moved = _next_day(dates, minutes > _NOON)
    if times[0] >= _MORNING and times[-1] <= _NOON + _HOUR:  # far from Greenwich, to the east or to the west
        later = _next_day(dates, timed)
        moved = later if tuple(times) in _EASTERN else max(moved, later, key=_quality)
    gained, late = _quality(moved) - _quality(dates), bool((moved > dates).any())
    certain = len(times) == 2 or (late and zoned) or set(times) <= _EUROPE
    if gained < 0 or not (gained > 0 or certain):
        return Midnights(dates, timed, doubtful=late and gained == 0, message=_dropped(times))
    return Midnights(
        moved, timed, True, message=_message(dates, moved, minutes, times, int(np.argmax(timed)))
    )


def _next_day(dates: pd.Series[pd.Timestamp], rows: Mask) -> pd.Series[pd.Timestamp]:
    return dates + pd.to_timedelta(np.where(rows, 1, 0), unit="D")


def _one_midnight(times: list[float]) -> bool:
    """Whether the times of day can be one midnight, seen from a zone with or without daylight saving."""
    if any(time % _QUARTER for time in times) or len(times) > 2:
        return False
    return len(times) == 1 or times[1] - times[0] in (_HOUR, _DAY - _HOUR)


def _quality(dates: pd.Series[pd.Timestamp]) -> int:
    """How usual the days are on which the periods start."""
    known = known_days(days_in(dates))
    return starts_well(known) if regularity(known) else 0


def _dropped(times: list[float]) -> str:
    return f"times of day, {' and '.join(map(_clock, times))}, were dropped from {{column}}"


def _message(
    dates: pd.Series[pd.Timestamp],
    moved: pd.Series[pd.Timestamp],
    minutes: Minutes,
    times: list[float],
    i: int,
) -> str:
    return (
        f"the times of {{column}}, {' and '.join(map(_clock, times))}, are midnights of another time zone: "
        "each date was read as the local day, "
        f"{dates.iloc[i].date()} {_clock(minutes[i])} as {moved.iloc[i].date()}"
    )


def _clock(minutes: float) -> str:
    return f"{int(minutes) // _HOUR:02d}:{int(minutes) % _HOUR:02d}"
