"""From days to weeks or months, from weeks to months."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from contracts.base import some
from contracts.request import Aggregation, TrainRequest
from contracts.series import Interval
from functions.validate.aggregate import aggregated, functions_of, told
from functions.validate.calendar import STEPS
from functions.validate.findings import Findings

_FINER: dict[Interval, int] = {"day": 0, "week": 1, "month": 2}
_FREQUENCIES = {"week": "W-SUN", "month": "M"}  # pandas names a week by its last day


def resample(
    frame: pd.DataFrame, request: TrainRequest, interval: Interval | None, findings: Findings
) -> tuple[pd.DataFrame, Interval | None]:
    """The frame in the interval that the request asks for, and that interval.

    `frame` has the model's columns, sorted by date. A week starts on Monday, a month on its first day; a week
    belongs to the month in which it starts. A first or last period that is not whole is dropped: its sums
    would look like a slump. A row keeps the number of its first source row.
    """
    wanted, date = request.resample, request.columns.date
    if wanted is None:
        return frame, interval
    how = functions_of(frame, request, wanted.aggregate, "resample.aggregate", findings)
    asked = wanted.interval
    if interval is None or asked is None or not _possible(frame[date], interval, asked, findings):
        return frame, interval
    dated = frame.dropna(subset=[date])
    periods = _whole_periods(dated[date], interval, asked, findings)
    if periods.empty:
        findings.error("too-few-dates", f"the data hold no whole {asked}", "deliver a longer period", date)
        return frame, interval
    findings.change(
        "resampled",
        f"{len(periods)} rows per {interval} became {periods.nunique()} per {asked}: " + told(how),
    )
    return _aggregate(dated.loc[periods.index], date, periods, how), asked


def _possible(
    dates: pd.Series[pd.Timestamp], interval: Interval, wanted: Interval, findings: Findings
) -> bool:
    if _FINER[interval] > _FINER[wanted]:
        findings.error(
            "resample-finer",
            f"the data are per {interval}; they cannot be resampled per {wanted}",
            f"deliver data per {wanted} or finer, or remove resample",
        )
        return False
    if interval == wanted == "week" and dates.dropna().dt.day_of_week.ne(0).any():
        findings.error(
            "resample-shifted",
            f"the data are weekly already, with weeks from {dates.dropna().iloc[0].day_name()}, not Monday",
            "remove resample",
        )
        return False
    if interval == "week" and wanted == "month":
        findings.warning(
            "weeks-to-months",
            "weeks do not fit into months: each counts in the month in which it starts, 4 or 5 in a month",
            "deliver daily data for exact months, or model weeks",
        )
    return True


def _aggregate(
    frame: pd.DataFrame, date: str, periods: pd.Series[pd.Period], how: Mapping[str, Aggregation]
) -> pd.DataFrame:
    """One row per period, dated with its first day, with the number of its first source row."""
    result = aggregated(frame, periods, how)
    result[date] = pd.PeriodIndex(result.index).start_time
    result.index = periods.drop_duplicates().index
    return result[frame.columns]


def _whole_periods(
    dates: pd.Series[pd.Timestamp], interval: Interval, wanted: Interval, findings: Findings
) -> pd.Series[pd.Period]:
    """The period of each row, without those of a first or last period that goes on beyond the data."""
    periods = dates.dt.to_period(_FREQUENCIES[wanted])
    beyond = pd.Series([dates.iloc[0] - STEPS[interval], dates.iloc[-1] + STEPS[interval]])
    partial = periods.isin(beyond.dt.to_period(_FREQUENCIES[wanted]))
    if partial.any():
        starts = periods[partial].drop_duplicates().dt.start_time.dt.date
        findings.change(
            "incomplete-period",
            f"{int(partial.sum())} row(s) were dropped, as the data hold only a part of the {wanted} from "
            f"{some(starts)}",
            "",
            str(dates.name),
            dates.index[partial],
        )
    return periods[~partial]
