"""Whether a prepared table can be modelled as a configuration asks, and which of its rows are meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.model import ModelConfig
from contracts.series import Interval, flat_obstacles, last_days, outside, rows_within, size_obstacles
from trainer.engines.common import Floats, InvalidInputs


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


def window_rows(dates: NDArray[np.datetime64], config: ModelConfig) -> tuple[int, int]:
    """First row of the window and one past its last."""
    rows = rows_within(dates.tolist(), config.window.start, config.window.end)
    return rows.start, rows.stop


def _window_problems(data: pd.DataFrame, config: ModelConfig) -> Iterator[str]:
    dates = dates_of(data, config)
    if obstacle := outside(dates.tolist(), interval_of(dates), config.window):
        yield str(obstacle)
        return
    first, stop = window_rows(dates, config)
    span = f"the window {dates[first]} to {dates[stop - 1]}"
    spends = {paid.spend for paid in config.columns.paid_media}
    for name in sorted(spends | set(config.columns.media)):
        if not floats(data, name)[first:stop].any():
            yield f"media column '{name}' is 0 in all of {span}; drop the channel or move the window"
    dependent = floats(data, config.columns.dependent)[first:stop]
    size = size_obstacles(stop - first, interval_of(dates), config)
    for obstacle in (*size, *flat_obstacles(dependent.tolist(), config)):
        yield str(obstacle)


def _study_problems(data: pd.DataFrame, config: ModelConfig) -> Iterator[str]:
    dates = dates_of(data, config)
    first, stop = window_rows(dates, config)
    last = last_days(dates.tolist(), interval_of(dates))[stop - 1]
    span = f"{dates[first]} to {last}"
    for i, study in enumerate(config.calibration):
        where = f"calibration[{i}]"
        if np.datetime64(study.start) < dates[first] or study.end > last:
            yield f"{where}: {study.start} to {study.end} is not inside the window, {span}"
