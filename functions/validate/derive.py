"""Derived columns: sums, products, differences, ratios, lags, calendar flags."""

from __future__ import annotations

from datetime import date

import pandas as pd

from contracts.request import CalendarFlag, Derived, Difference, Lag, Product, Ratio, Sum, TrainRequest
from contracts.series import Interval
from functions.validate.calendar import days_of
from functions.validate.findings import Findings
from functions.validate.source import inputs


def derive(
    frame: pd.DataFrame, request: TrainRequest, interval: Interval | None, findings: Findings
) -> pd.DataFrame:
    """The frame with the derived columns, in the order of the request. Rows are sorted by date.

    A derived column whose inputs are missing is left out: the missing ones have been reported.
    """
    factors = {variable.name for variable in request.columns.factors}
    for i, derived in enumerate(request.derived):
        later = {item.name for item in request.derived[i:]} & set(inputs(derived))
        if later:
            findings.error(
                "derived-order",
                f"the derived column '{derived.name}' needs '{min(later)}', which is not made before it",
                "list derived columns in the order in which they need each other",
                derived.name,
            )
        elif all(name in frame for name in inputs(derived)):
            values = _values(frame, derived, request.columns.date, interval, findings)
            if values is not None:
                frame[derived.name] = values.map("{:g}".format) if derived.name in factors else values
    return frame


def _values(
    frame: pd.DataFrame, derived: Derived, date_column: str, interval: Interval | None, findings: Findings
) -> pd.Series[float] | None:
    if isinstance(derived, Sum):
        return frame[derived.of].sum(axis=1, skipna=False)
    if isinstance(derived, Product):
        return frame[derived.of].prod(axis=1, skipna=False)
    if isinstance(derived, Difference):
        return frame[derived.of[0]] - frame[derived.of[1:]].sum(axis=1, skipna=False)
    if isinstance(derived, Ratio):
        return _ratio(frame, derived, findings)
    if isinstance(derived, Lag):
        findings.change(
            "lag",
            f"the first {derived.periods} row(s) of the derived column '{derived.name}' are 0",
            "",
            derived.name,
        )
        return frame[derived.of].shift(derived.periods, fill_value=0.0)
    return _flag(frame[date_column], derived, interval, findings)


def _ratio(frame: pd.DataFrame, derived: Ratio, findings: Findings) -> pd.Series[float]:
    top, bottom = frame[derived.numerator], frame[derived.denominator]
    undefined = bottom.eq(0) & top.ne(0)
    if undefined.any():
        findings.warning(
            "ratio-undefined",
            f"the derived column '{derived.name}' is 0 in {int(undefined.sum())} row(s) where "
            f"'{derived.denominator}' is 0, but '{derived.numerator}' is not",
            f"check '{derived.denominator}' in these rows",
            derived.name,
            frame.index[undefined],
        )
    return (top / bottom.where(bottom.ne(0))).where(bottom.ne(0), 0.0)


def _flag(
    dates: pd.Series[pd.Timestamp], derived: CalendarFlag, interval: Interval | None, findings: Findings
) -> pd.Series[float] | None:
    impossible = [day for day in derived.days if not _exists(day)]
    if impossible:
        findings.error(
            "no-such-day",
            f"the derived column '{derived.name}' names days that do not exist: {', '.join(impossible)}",
            "write MM-DD, for example 11-27",
            derived.name,
        )
    if interval is None:  # which has been reported
        return None
    days = days_of(dates, interval)
    hit = days.dt.month.isin(derived.months) | days.dt.strftime("%m-%d").isin(derived.days)
    return hit.groupby(level=0).any().reindex(dates.index).astype(float)


def _exists(day: str) -> bool:
    try:
        date.fromisoformat(f"2000-{day}")
    except ValueError:
        return False
    return True
