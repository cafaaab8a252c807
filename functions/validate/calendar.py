"""The interval of a series, its gaps, and the days that a period holds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from contracts.series import Interval, last_days
from functions.validate.findings import Findings, some

STEPS: dict[Interval, pd.Timedelta | pd.DateOffset] = {
    "day": pd.Timedelta(days=1),
    "week": pd.Timedelta(days=7),
    "month": pd.DateOffset(months=1),
}
"""The distance from one period to the next."""

_LEAST_PRESENT = 0.5
"""Share of an interval's periods that must be there for the series to have that interval."""


def interval_of(dates: pd.Series[pd.Timestamp], column: str, findings: Findings) -> Interval | None:
    """The interval of the whole series, or None if there is none; gaps are errors.

    `dates` are sorted; repeated and missing ones are ignored. Where dates are missing because they could not
    be read, nothing is reported: that is the cause of whatever else is wrong.
    """
    known = pd.DatetimeIndex(dates.dropna().unique())
    interval = _interval(known) if len(known) > 1 else None
    if dates.isna().any():
        return interval
    if len(known) < 2:
        findings.error("too-few-dates", "the data have one date only", "deliver the whole period", column)
    elif interval is None:
        _report_irregular(dates.drop_duplicates(), column, findings)
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


def regularity(dates: pd.DatetimeIndex) -> int:
    """How regular dates are, in any order: 2 a series without gaps, 1 one with gaps, 0 none."""
    known = pd.DatetimeIndex(dates.dropna().unique()).sort_values()
    interval = _interval(known) if len(known) > 1 else None
    if interval is None:
        return 0
    return 2 if len(known) == len(_grid(known, interval)) else 1


def starts_well(dates: pd.DatetimeIndex) -> int:
    """How usual sorted dates are: 2 Mondays or first days of months, 1 the next best, 0 any other."""
    interval = _interval(dates)
    if interval == "month":
        return 2 if (dates.day == 1).all() else int(dates.is_month_end.all())
    if interval == "week":
        return {0: 2, 6: 1}.get(int(dates[0].day_of_week), 0)
    return 0


def unswapped(dates: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp] | None:
    """Dates in the order of the source, with month and day exchanged where both are at most 12.

    None unless that turns an irregular or disordered series into a regular one: Excel exchanges them in files
    from another country, and leaves days above 12 alone.
    """
    swappable = dates.dt.day.le(12) & dates.dt.day.ne(dates.dt.month)
    if dates.isna().any() or not swappable.any() or swappable.all():
        return None
    ordered = dates.is_monotonic_increasing or dates.is_monotonic_decreasing
    regular = regularity(pd.DatetimeIndex(dates)) == 2
    if ordered and regular:
        return None
    parts = {"year": dates.dt.year, "month": dates.dt.day, "day": dates.dt.month}
    swapped = dates.mask(swappable, pd.to_datetime(pd.DataFrame(parts)[swappable]))
    if regularity(pd.DatetimeIndex(swapped)) < 2:
        return None
    straight = swapped.is_monotonic_increasing or swapped.is_monotonic_decreasing
    return swapped if (straight and not ordered) or not regular else None


def _interval(dates: pd.DatetimeIndex) -> Interval | None:
    """The most frequent distance, if the dates are on its grid and at least half of the grid is there."""
    distances, counts = np.unique((dates[1:] - dates[:-1]).days, return_counts=True)
    usual = int(distances[counts.argmax()])
    interval: Interval | None = {1: "day", 7: "week"}.get(usual, "month" if 28 <= usual <= 31 else None)  # type: ignore[assignment]
    if interval is None or not _on_grid(dates, interval):
        return None
    return interval if len(dates) >= _LEAST_PRESENT * len(_grid(dates, interval)) else None


def _on_grid(dates: pd.DatetimeIndex, interval: Interval) -> bool:
    if interval == "week":
        return bool(((dates - dates[0]).days % 7 == 0).all())
    if interval == "month":
        months = dates.to_period("M")
        same_day = dates.day == dates.day.max()
        return bool(months.is_unique and (same_day | dates.is_month_end).all())
    return True


def _grid(dates: pd.DatetimeIndex, interval: Interval) -> pd.PeriodIndex | pd.DatetimeIndex:
    if interval == "month":
        return pd.period_range(dates[0], dates[-1], freq="M")
    return pd.date_range(dates[0], dates[-1], freq=STEPS[interval])


def _check_gaps(dates: pd.DatetimeIndex, interval: Interval, column: str, findings: Findings) -> None:
    grid = _grid(dates, interval)
    present = dates.to_period("M") if isinstance(grid, pd.PeriodIndex) else dates
    missing = grid[~grid.isin(present)]
    if len(missing):
        named = missing.astype(str) if isinstance(missing, pd.PeriodIndex) else missing.strftime("%Y-%m-%d")
        findings.error(
            "gap",
            f"{len(missing)} {interval}(s) are missing between {dates[0].date()} and {dates[-1].date()}: "
            f"{some(named, 10)}",
            "deliver a row for each of them, with 0 where nothing happened",
            column,
        )


def months_by_first_day(
    frame: pd.DataFrame, column: str, interval: Interval | None, findings: Findings
) -> pd.DataFrame:
    """Months that are dated by their last day get their first, so that each holds the days that it means."""
    dates = frame[column]
    if interval == "month" and dates.dropna().dt.is_month_end.all():
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
