"""Whether a prepared table can be modelled as a configuration asks, and which of its rows are meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.model import ModelConfig
from trainer.engines.common import Floats, Interval, InvalidInputs, Range

_SHORTEST_PART = 2
_PERIODS: dict[Interval, pd.DateOffset] = {
    "day": pd.DateOffset(days=1),
    "week": pd.DateOffset(days=7),
    "month": pd.DateOffset(months=1),
}


def check(data: pd.DataFrame, config: ModelConfig) -> Interval:
    """The data's interval, if `data` can be modelled with `config`; prepared data always can.

    Raises InvalidInputs with every problem, one a line.
    """
    _raise(_missing(data, config))
    _raise([*_column_problems(data, config), *_calendar_problems(data[config.columns.date])])
    _raise([*_window_problems(data, config), *_study_problems(data, config)])
    return interval_of(dates_of(data, config))


def _raise(problems: Iterable[str]) -> None:
    lines = "\n".join(problems)
    if lines:
        raise InvalidInputs(lines)


def _missing(data: pd.DataFrame, config: ModelConfig) -> Iterator[str]:
    for path, name in config.columns.roles():
        if name not in data.columns:
            yield f"column '{name}' ({path}) is not in the data"
        elif data.columns.to_list().count(name) > 1:
            yield f"column '{name}' ({path}) is in the data more than once; rename or drop the others"


def floats(data: pd.DataFrame, name: str) -> Floats:
    """(N,) a column as floating-point numbers."""
    return data[name].to_numpy(dtype=float)


def dates_of(data: pd.DataFrame, config: ModelConfig) -> NDArray[np.datetime64]:
    """(N,) the days of the date column, as its time zone has them; `data` must have passed `check`."""
    return _days(pd.to_datetime(data[config.columns.date]))


def _days(dates: pd.Series[pd.Timestamp]) -> NDArray[np.datetime64]:
    return dates.dt.tz_localize(None).to_numpy().astype("datetime64[D]")


def _column_problems(data: pd.DataFrame, config: ModelConfig) -> Iterator[str]:
    for name in config.columns.numeric:
        if not pd.api.types.is_numeric_dtype(data[name]):
            yield f"column '{name}' must hold numbers, but is {data[name].dtype}"
            continue
        values = floats(data, name)
        unusable = int((~np.isfinite(values)).sum())
        if unusable:
            yield f"column '{name}' has {unusable} missing or infinite values; fill them or drop the rows"
    for variable in config.columns.factors:
        if data[variable.name].isna().any():
            yield f"factor '{variable.name}' has missing values; name a category for them"
    dependent = config.columns.dependent
    if data[dependent].nunique() == 1:
        yield f"column '{dependent}' is the same in every row; there is nothing to explain"
    spends = {paid.spend for paid in config.columns.paid_media}
    for name in sorted(spends | set(config.columns.media)):
        if pd.api.types.is_numeric_dtype(data[name]) and (data[name] < 0).any():
            yield f"media column '{name}' has negative values; saturation needs values of at least 0"


def interval_of(dates: NDArray[np.datetime64]) -> Interval:
    """The interval of checked dates."""
    days = int((dates[1] - dates[0]).astype(int))
    return "day" if days == 1 else "week" if days == 7 else "month"


def _calendar_problems(column: pd.Series[pd.Timestamp]) -> Iterator[str]:
    if pd.api.types.is_numeric_dtype(column):
        yield f"column '{column.name}' must hold dates, but is {column.dtype}"
        return
    dates = pd.to_datetime(column, errors="coerce")
    unusable = int(dates.isna().sum())
    if unusable:
        yield f"column '{column.name}' has {unusable} values that are no dates, such as 2024-12-31"
    else:
        yield from _date_problems(_days(dates))


def _date_problems(dates: NDArray[np.datetime64]) -> Iterator[str]:
    if len(dates) < 2:
        yield f"the data have {len(dates)} row(s); a model needs a time series"
        return
    days = int((dates[1] - dates[0]).astype(int))
    if days < 0:
        yield f"{dates[0]} is followed by {dates[1]}; sort the rows by date"
        return
    if days not in (1, 7, 28, 29, 30, 31):
        yield f"the first two dates are {days} days apart; data must be daily, weekly or monthly"
        return
    interval = interval_of(dates)
    days_or_months = dates.astype("datetime64[M]" if interval == "month" else "datetime64[D]").astype(int)
    step = 7 if interval == "week" else 1
    for row in np.flatnonzero(np.diff(days_or_months) != step):
        before, after = dates[row : row + 2]
        yield f"{before} is followed by {after}; dates must ascend by one {interval} without gaps"


def last_day(period: np.datetime64, interval: Interval) -> date:
    """The last day of the period that begins on this day; the end of a month leads to the next end."""
    first = pd.Timestamp(period)
    ends = interval == "month" and first.is_month_end
    return (first + (pd.offsets.MonthEnd() if ends else _PERIODS[interval])).date() - timedelta(days=1)


def window_rows(dates: NDArray[np.datetime64], config: ModelConfig) -> tuple[int, int]:
    """First row and one past the last, nearest to the dates asked for (robyn-spec §1.3)."""
    window = config.window
    first = _nearest(dates, np.datetime64(window.start)) if window.start else 0
    last = _nearest(dates, np.datetime64(window.end)) if window.end else len(dates) - 1
    return first, last + 1


def split_rows(rows: int, train_size: float) -> tuple[int, int]:
    """End of the train rows and end of the validation rows (robyn-spec §4.1)."""
    if train_size == 1.0:
        return rows, rows
    train = int(np.floor(1.0 + (rows - 1) * train_size))
    return train, train + int(np.floor((1.0 - train_size) / 2.0 * rows))


def _nearest(dates: NDArray[np.datetime64], date: np.datetime64) -> int:
    return int(np.abs(dates - date).argmin())


def _window_problems(data: pd.DataFrame, config: ModelConfig) -> Iterator[str]:
    dates = dates_of(data, config)
    if config.window.start and np.datetime64(config.window.start) > dates[-1]:
        yield f"window.start {config.window.start} is after the last date of the data, {dates[-1]}"
    if config.window.end and np.datetime64(config.window.end) < dates[0]:
        yield f"window.end {config.window.end} is before the first date of the data, {dates[0]}"
    first, stop = window_rows(dates, config)
    span = f"the window {dates[first]} to {dates[stop - 1]}"
    spends = {paid.spend for paid in config.columns.paid_media}
    for name in sorted(spends | set(config.columns.media)):
        if not floats(data, name)[first:stop].any():
            yield f"media column '{name}' is 0 in all of {span}; drop the channel or move the window"
    smallest = config.search.train_size[0] if config.search.time_series_validation else 1.0
    train = split_rows(stop - first, smallest)[0]
    yield from _size_problems(train, config)
    dependent = data[config.columns.dependent].iloc[first:stop]
    if np.ptp(dependent.iloc[:train]) == 0:
        yield f"column '{dependent.name}' is the same in all {train} rows that are trained on"
    if config.search.time_series_validation:
        yield from _split_problems(dependent, config.search.train_size)


def _split_problems(dependent: pd.Series[float], train_size: Range) -> Iterator[str]:
    rows, constant = len(dependent), True
    for share in dict.fromkeys(train_size):
        train, validated = split_rows(rows, share)
        constant &= dependent.iloc[train:validated].nunique() == 1
        if min(validated - train, rows - validated) < _SHORTEST_PART:
            yield (
                f"search.train_size {share} leaves {validated - train} validation and {rows - validated} "
                f"test rows of {rows}; each needs {_SHORTEST_PART}, so lower it or widen the window"
            )
    if constant:
        yield f"column '{dependent.name}' is the same in all rows that are validated on; move the window"


def _size_problems(train: int, config: ModelConfig) -> Iterator[str]:
    """The adjusted R² needs two rows more than there are columns."""
    columns = config.columns
    size = len(config.prophet.components) + len(columns.context) + len(columns.factors) + len(columns.media)
    if size < 2:
        yield "the model has one column only; a ridge regression needs two"
    if train < size + 2:
        yield (
            f"{train} rows to train on are too few for {size} columns, which need {size + 2}; "
            "deliver a longer period, widen the window, or use fewer variables"
        )


def study_rows(dates: NDArray[np.datetime64], start: np.datetime64, end: np.datetime64) -> tuple[int, int]:
    """Rows inside the study, and the one before if the study starts within a period (robyn-spec §10.2)."""
    first = int(np.searchsorted(dates, start, side="right")) - 1
    return max(first, 0), int(np.searchsorted(dates, end, side="right"))


def _study_problems(data: pd.DataFrame, config: ModelConfig) -> Iterator[str]:
    dates = dates_of(data, config)
    first, stop = window_rows(dates, config)
    last = last_day(dates[stop - 1], interval_of(dates))
    span = f"{dates[first]} to {last}"
    for i, study in enumerate(config.calibration):
        where = f"calibration[{i}]"
        if np.datetime64(study.start) < dates[first] or study.end > last:
            yield f"{where}: {study.start} to {study.end} is not inside the window, {span}"
            continue
        rows = study_rows(dates, np.datetime64(study.start), np.datetime64(study.end))
        if rows[1] - rows[0] < 2:
            yield f"{where}: {study.start} to {study.end} covers one period only; a study needs two"
        if study.lift == 0:
            yield f"{where}: a lift of 0 has no relative error; leave the study out"
