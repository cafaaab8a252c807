"""Several rows of one date: refused, or aggregated as the request says, with what looks wrong about them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from contracts.base import some
from contracts.request import Aggregation, TrainRequest
from functions.validate.aggregate import aggregated, functions_of, told
from functions.validate.calendar import days_in, known_days
from functions.validate.cleaning import kinds
from functions.validate.findings import Findings
from functions.validate.source import ROW, as_text


def treat_duplicates(
    frame: pd.DataFrame, rows: pa.Table, request: TrainRequest, findings: Findings
) -> pd.DataFrame:
    """One row per date: several are an error, or are aggregated if the request says so.

    `rows` are the rows of the frame as they were delivered, with all columns. After an error the first row of
    each date goes on, so that the other checks still run.
    """
    date = request.columns.date
    days = days_in(frame[date])
    if len(known_days(days)) == (~np.isnat(days)).sum():
        return frame
    repeated = frame[date].duplicated(keep=False) & frame[date].notna()
    first = frame[~frame[date].duplicated() | frame[date].isna()]
    copies = _copies(frame, rows)
    if copies.all():
        _report_copies(frame, copies, findings)
        return first
    dates = frame.loc[repeated, date].drop_duplicates().sort_values().dt.date
    message = f"{len(dates)} date(s) stand in several rows: {some(dates)}"
    if request.duplicates == "reject":
        advice = (
            "keep one row per date; or set duplicates to aggregate, country_column to one country's rows, or "
            "columns.region to the column that names regions"
        )
        findings.error("duplicate-date", message, advice, date, frame.index[repeated])
        return first
    asked = request.duplicates.aggregate
    how = functions_of(frame, request, asked, "duplicates.aggregate", findings)
    findings.change(
        "duplicates-aggregated",
        f"{message}; they were aggregated: {told(how)}",
        "",
        date,
        frame.index[repeated],
    )
    _check_counts(frame[date], findings)
    _check_sums(frame[repeated], copies[repeated], how, asked, request, findings)
    several = frame[repeated]
    merged = aggregated(several, several[date], how).rename_axis(date).reset_index()
    merged.index = pd.Index(several.index.to_series().groupby(several[date].to_numpy()).first())
    return pd.concat([frame[~repeated], merged[frame.columns]])


def _copies(frame: pd.DataFrame, rows: pa.Table) -> pd.Series[bool]:
    """(N,) whether another row is the same in every delivered column."""
    copies = frame.duplicated(keep=False)
    if not copies.any():
        return copies
    others = [name for name in rows.column_names if name not in frame and name != ROW]
    rows = rows.filter(pc.is_in(rows.column(ROW), pa.array(frame.index)))
    texts = {f"\0{name}": as_text(rows.column(name)).to_pandas().to_numpy() for name in others}
    return pd.concat([frame, pd.DataFrame(texts, index=frame.index)], axis=1).duplicated(keep=False)


def _report_copies(frame: pd.DataFrame, copies: pd.Series[bool], findings: Findings) -> None:
    different = int((~frame.duplicated()).sum())
    findings.error(
        "repeated-rows",
        f"every row stands in the data more than once: {len(frame)} rows, {different} different ones",
        "deliver each row once; a join in the source is the usual cause",
        None,
        frame.index[copies],
    )


def _check_counts(dates: pd.Series[pd.Timestamp], findings: Findings) -> None:
    counts = dates.value_counts().sort_index()
    usual = int(counts.mode().iloc[0])
    odd = counts[counts.ne(usual)]
    if len(odd):
        days = pd.DatetimeIndex(odd.index).strftime("%Y-%m-%d")
        named = some(f"{day} has {count}" for day, count in zip(days, odd, strict=True))
        findings.warning(
            "rows-per-date",
            f"the number of rows per date changes: usual are {usual}, but {named}",
            "check that no part of the data begins, ends or is missing within the series",
            str(dates.name),
        )


def _check_sums(
    several: pd.DataFrame,
    copies: pd.Series[bool],
    how: Mapping[str, Aggregation],
    asked: Mapping[str, Aggregation],
    request: TrainRequest,
    findings: Findings,
) -> None:
    """What is added up, but looks as if it were one value that every row of a date repeats."""
    groups, of_kind = several.groupby(request.columns.date), kinds(request)
    summed = [name for name, function in how.items() if function == "sum" and several[name].ne(0).any()]
    same = [name for name in summed if name not in asked and groups[name].nunique(dropna=False).eq(1).all()]
    for name in same:
        message = f"column '{name}' is the same in all rows of each date"
        advice = (
            f"set duplicates.aggregate.{name} to first if each row holds the whole, to sum if rows add up"
        )
        if of_kind[name] == "dependent":
            findings.error("repeated-value", f"{message}, and is not added up unasked", advice, name)
        else:
            findings.warning("repeated-value", f"{message}, and was added up", advice, name)
    doubled = copies & several[summed].ne(0).any(axis=1)
    if doubled.any():
        findings.warning(
            "repeated-rows",
            f"{int(doubled.sum())} row(s) are the same as another in every column, and were added up",
            "deliver each row once; a join in the source is the usual cause",
            None,
            several.index[doubled],
        )
