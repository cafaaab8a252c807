"""The interval of a series, its gaps, and the days that a period holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.base import some
from contracts.series import Interval, last_days
from functions.validate.findings import Findings

STEPS: dict[Interval, pd.Timedelta | pd.DateOffset] = {
    "day": pd.Timedelta(days=1),
    "week": pd.Timedelta(days=7),
    "month": pd.DateOffset(months=1),
}
"""The distance from one period to the next."""

Days = NDArray[np.datetime64]
"""(N,) `datetime64[D]`: pandas would take as long for one step as NumPy takes for all of them."""

_LEAST_PRESENT = 0.5
"""Share of an interval's periods that must be there for the series to have that interval."""


def interval_of(dates: pd.Series[pd.Timestamp], column: str, findings: Findings) -> Interval | None:
    """The interval of the whole series, or None if there is none; gaps are errors.

    Repeated and missing dates are ignored. Where dates are missing because they could not be read, nothing is
    reported: that is the cause of whatever else is wrong.
    """
    days = days_in(dates)
    known = known_days(days)
    interval = _interval(known) if len(known) > 1 else None
    if np.isnat(days).any():
        return interval
    if len(known) < 2:
        findings.error("too-few-dates", "the data have one date only", "deliver the whole period", column)
    elif interval is None:
        _report_irregular(dates.sort_values(kind="stable").drop_duplicates(), column, findings)
    else:
        _check_gaps(known, interval, column, findings)
    return interval


def _report_irregular(dates: pd.Series[pd.Timestamp], column: str, findings: Findings) -> None:
    days = dates.diff().dt.days
    distances = days.value_counts()
    odd = dates[days.notna() & days.ne(distances.index[0])]
    named = f"; unusual are {some(odd.dt.date)}" if 0 < len(odd) < len(dates) / 2 else ""
    findings.error(
        "irregular-interval",
        "the dates are neither daily, weekly nor monthly: they are "
        f"{some((int(day) for day in distances.index), 6)} days apart{named}",
        "deliver one row per day, week or month",
        column,
        odd.index,
    )


def days_in(dates: pd.Series[pd.Timestamp]) -> Days:
    """(N,) the days of dates; NaT where there is none."""
    return np.asarray(dates.to_numpy().astype("datetime64[D]"))


def known_days(days: Days) -> Days:
    """The different days, sorted."""
    return np.unique(days[~np.isnat(days)])


def regularity(days: Days) -> int:
    """How regular days are, in any order: 2 a series without gaps, 1 one with gaps, 0 none."""
    known = known_days(days)
    interval = _interval(known) if len(known) > 1 else None
    if interval is None:
        return 0
    return 2 if len(known) == len(_grid(known, interval)) else 1


def starts_well(days: Days) -> int:
    """How usual sorted days are: 2 Mondays or first days of months, 1 the next best, 0 any other."""
    interval = _interval(days)
    if interval == "month":
        return 2 if (day_of_month(days) == 1).all() else int(_ends_month(days).all())
    if interval == "week":
        return {0: 2, 6: 1}.get(days[0].item().weekday(), 0)
    return 0


def month_of(days: Days) -> NDArray[np.int64]:
    """(N,) the months from 1 to 12; any number where there is no day."""
    return np.asarray(days.astype("datetime64[M]").astype(np.int64) % 12 + 1)


def day_of_month(days: Days) -> NDArray[np.int64]:
    """(N,) the days from 1 to 31; any number where there is no day."""
    return np.asarray((days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1)


def _ends_month(days: Days) -> NDArray[np.bool_]:
    return np.asarray(day_of_month(days + np.timedelta64(1, "D")) == 1)


def in_one_direction(days: Days) -> bool:
    """Whether days never go back, or never forward."""
    steps = np.diff(days).astype(np.int64)
    return bool((steps >= 0).all() or (steps <= 0).all())


def unswapped(dates: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp] | None:
    """Dates in the order of the source, with month and day exchanged where both are at most 12.

    None unless that turns an irregular or disordered series into a regular one: Excel exchanges them in files
    from another country, and leaves days above 12 alone.
    """
    days = days_in(dates)
    months, day = month_of(days), day_of_month(days)
    swappable = (day <= _MONTHS) & (day != months)
    if np.isnat(days).any() or not swappable.any() or swappable.all():
        return None
    ordered, regular = in_one_direction(days), regularity(days) == 2
    if ordered and regular:
        return None
    january = days.astype("datetime64[Y]").astype("datetime64[M]")
    exchanged = (january + (day - 1)).astype("datetime64[D]") + (months - 1)
    swapped = np.where(swappable, exchanged, days)
    if regularity(swapped) < 2:
        return None
    if regular and (ordered or not in_one_direction(swapped)):
        return None
    return pd.Series(pd.DatetimeIndex(swapped), dates.index, name=dates.name).astype(dates.dtype)


_MONTHS = 12


def _interval(days: Days) -> Interval | None:
    """The most frequent distance, if the days are on its grid and at least half of the grid is there."""
    distances, counts = np.unique(np.diff(days).astype(np.int64), return_counts=True)
    usual = int(distances[counts.argmax()])
    interval: Interval | None = {1: "day", 7: "week"}.get(usual, "month" if 28 <= usual <= 31 else None)  # type: ignore[assignment]
    if interval is None or not _on_grid(days, interval):
        return None
    return interval if len(days) >= _LEAST_PRESENT * len(_grid(days, interval)) else None


def _on_grid(days: Days, interval: Interval) -> bool:
    if interval == "week":
        return bool(((days - days[0]).astype(np.int64) % 7 == 0).all())
    if interval == "month":
        day = day_of_month(days)
        unique = (np.diff(days.astype("datetime64[M]")).astype(np.int64) > 0).all()
        return bool(unique and ((day == day.max()) | _ends_month(days)).all())
    return True


def _grid(days: Days, interval: Interval) -> Days:
    """Every period between sorted days: the days on which it begins, or months."""
    if interval == "month":
        months = days.astype("datetime64[M]")
        return np.arange(months[0], months[-1] + 1)
    return np.arange(days[0], days[-1] + 1, {"day": 1, "week": 7}[interval])


def _check_gaps(days: Days, interval: Interval, column: str, findings: Findings) -> None:
    grid = _grid(days, interval)
    missing = np.setdiff1d(grid, days.astype(grid.dtype), assume_unique=True)
    if len(missing):
        findings.error(
            "gap",
            f"{len(missing)} {interval}(s) are missing between {days[0]} and {days[-1]}: {some(missing, 10)}",
            "deliver a row for each of them, with 0 where nothing happened",
            column,
        )


def months_by_first_day(
    frame: pd.DataFrame, column: str, interval: Interval | None, findings: Findings
) -> pd.DataFrame:
    """Months that are dated by their last day get their first, so that each holds the days that it means."""
    if interval != "month":
        return frame
    dates = frame[column]
    if dates.dropna().dt.is_month_end.all():
        frame = frame.assign(**{column: dates.dt.to_period("M").dt.start_time})
        findings.change(
            "month-ends", "months are dated by their last day; their first day stands for them", "", column
        )
    return frame


def days_of(dates: pd.Series[pd.Timestamp], interval: Interval) -> pd.Series[pd.Timestamp]:
    """Every day of every period, indexed by the row of the period."""
    longest = {"day": 1, "week": 7, "month": 31}[interval]
    last = pd.Series(last_days(dates.dt.date.to_list(), interval), dates.index, "datetime64[ns]")
    days = [dates + pd.Timedelta(days=i) for i in range(longest)]
    return pd.concat([day[day <= last] for day in days])
