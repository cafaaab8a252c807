"""From the dataset to the data that an engine trains on, with a report of everything noticed on the way.

The steps, in this order; each reports all that it finds, and the later ones go on with what is usable. Where
the data have regions, steps 4 to 11 are made for each of them, and 12 and 13 on their totals; one without
sales and media is left out:

1. the columns are there; 2. empty rows and other countries are left out; 3. text becomes numbers, dates and
factors; 4. empty cells are rejected or filled; 5. rows of one date are rejected or aggregated; 6. rows are
sorted; 7. the interval and its gaps are found; 8. cells are interpolated; 9. negative media are found;
10. derived columns are made; 11. resampling; 12. the window is resolved; 13. the checks of the model.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.request import TrainRequest
from contracts.result import BestModel
from contracts.series import Interval, Obstacle
from contracts.validation import ColumnProfile, ResolvedWindow, ValidationReport
from functions.reading import read_as
from functions.validate import checks, plan
from functions.validate.calendar import days_in, interval_of, months_by_first_day
from functions.validate.cleaning import fill_outside, in_order, interpolate, kinds, treat_missing
from functions.validate.collinear import check_collinear
from functions.validate.columns import Numbers
from functions.validate.dates import read_dates
from functions.validate.derive import derive
from functions.validate.duplicates import treat_duplicates
from functions.validate.findings import Findings
from functions.validate.footers import without_footer, without_units
from functions.validate.former import check_former
from functions.validate.numbers import read_numbers
from functions.validate.profile import profile
from functions.validate.regions import Parts, check_periods, check_totals, split, totals, without_empty
from functions.validate.resample import resample
from functions.validate.source import ROW, as_text, blank, check_columns, read, required, select_rows
from functions.validate.window import resolve


@dataclass(frozen=True, eq=False)
class Prepared:
    """What came of a dataset."""

    table: pa.Table | None
    """The columns that the model names, in the request's order, sorted by date: the date as date32, numbers
    as float64, factors as string. None if a finding is an error."""
    regions: pa.Table | None
    """The same by region, sorted by region and date, with the region's name after the date; None without."""
    report: ValidationReport


@dataclass(frozen=True, eq=False)
class _Series:
    """The data to train on, as far as they could be prepared."""

    frame: pd.DataFrame
    parts: Parts
    interval: Interval | None
    window: ResolvedWindow | None
    profile: list[ColumnProfile]


@np.errstate(over="ignore")  # what becomes infinite is a finding
def prepare(
    dataset: pa.Table | Path | BinaryIO,
    request: TrainRequest,
    fingerprint: str,
    former: BestModel | Obstacle | None = None,
) -> Prepared:
    """Clean, derive, resample and check a dataset (a table, or where its Parquet can be read).

    Everything that is wrong with the data is a finding; all are found at once. `former` is the best model of
    the job that the request starts from, or why it is not to be had.

    Raises:
        functions.errors.BadData: the dataset is not a whole Parquet file, or too large.
    """
    table = read(dataset, request)
    findings = Findings()
    table = without_footer(check_columns(table, request, findings), request, findings)
    rows = without_units(select_rows(table, request, findings), request, findings)
    plan.check_holidays(request, findings)
    if isinstance(former, Obstacle):
        findings.error(*former)
    series = _series(rows, request, former, findings) if rows.num_rows else None
    usable = series is not None and not findings.any_error
    prepared = _table(series.frame, request) if series and usable else None
    regions = list(series.parts) if series and usable and request.columns.region else []
    by_region = _by_region(series.parts, request) if series and regions else None
    metadata = table.schema.metadata
    report = ValidationReport(
        request_id=request.request_id,
        country=request.country,
        fingerprint=fingerprint,
        valid=usable,
        read_as=read_as(metadata),
        rows_in=table.num_rows,
        rows_out=prepared.num_rows if prepared else 0,
        regions=regions,
        interval=series.interval if series else None,
        window=series.window if series else None,
        findings=findings.sorted(),
        columns=series.profile if series else [],
    )
    return Prepared(prepared, by_region, report)


def to_parquet(table: pa.Table) -> bytes:
    """The prepared table as zstd Parquet."""
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def _series(
    rows: pa.Table, request: TrainRequest, former: BestModel | Obstacle | None, findings: Findings
) -> _Series:
    frame, unusable = _typed(rows, request, findings)
    delivered, date = frame, request.columns.date
    interval = interval_of(frame[date], date, findings) if date in frame else None
    parts = {}
    for region, part in split(frame, request, findings).items():
        with findings.of_region(region):
            parts[region] = _cleaned(part, rows, unusable, interval, request, findings)
    parts = without_empty(parts, request, findings)
    check_periods(parts, interval, date, findings)
    cleaned = pd.concat(parts.values()) if len(parts) > 1 else next(iter(parts.values()))
    named = {str(name): cleaned[name] for name in cleaned if name not in delivered}
    named |= {str(name): delivered[name] for name in delivered}
    profiles = profile(rows, named, request)
    resampled = interval
    for region, part in parts.items():
        with findings.of_region(region):
            modelled = part[[name for _, name in request.columns.roles() if name in part]]
            parts[region], resampled = (
                resample(modelled, request, interval, findings) if date in part else (modelled, interval)
            )
    check_totals(parts, request, findings)
    interval, frame = resampled, totals(parts, request, findings) if date in delivered else delivered
    window = _check(frame, parts, interval, request, findings)
    if window and interval:
        check_former(days_in(frame[date]).tolist(), interval, request, former, findings)
    for region, part in parts.items():
        with findings.of_region(region):
            parts[region] = fill_outside(part, window, interval, request, findings)
    if not findings.any_error:
        frame = totals(parts, request)
    return _Series(frame, parts, interval, window, profiles)


def _cleaned(
    frame: pd.DataFrame,
    rows: pa.Table,
    unusable: dict[str, pd.Index[int]],
    interval: Interval | None,
    request: TrainRequest,
    findings: Findings,
) -> pd.DataFrame:
    """A series, of a region or of the country, without what is missing or double, in order and derived."""
    frame = treat_missing(frame, request, unusable, findings)
    if request.columns.date in frame:
        frame = treat_duplicates(frame, rows, request, findings)
        frame = in_order(frame, request, findings)
        frame = months_by_first_day(frame, request.columns.date, interval, findings)
        frame = interpolate(frame, request, unusable, findings)
        frame = derive(frame, request, interval, findings)
    return checks.without_negatives(frame, request.columns, findings)


def _typed(
    rows: pa.Table, request: TrainRequest, findings: Findings
) -> tuple[pd.DataFrame, dict[str, pd.Index[int]]]:
    """The required columns as dates, numbers and text, indexed by source row, and the unusable cells."""
    index = pd.Index(rows.column(ROW).to_numpy())
    date, of_kind = request.columns.date, kinds(request)
    texts = {name for name, kind in of_kind.items() if kind in ("factors", "region")}
    names = [name for name in required(request) if name in rows.column_names and name in {date, *of_kind}]
    numeric = {name: rows.column(name) for name in names if name not in {date, *texts}}
    delimiter = (rows.schema.metadata or {}).get(b"mmm.delimiter", b"").decode() or None
    numbers, unusable = read_numbers(numeric, index, delimiter, findings)
    columns: dict[str, Any] = {}
    for name in names:
        if name == date:
            columns[name] = read_dates(name, rows.column(name), index, findings)
        else:
            columns[name] = numbers[name] if name in numbers else _factor(rows.column(name), index)
    frame = pd.DataFrame(columns, index=index)
    frame.columns = pd.Index(names, dtype=object)  # looked up twice as fast as names in Arrow's memory
    return frame, unusable


def _factor(values: pa.ChunkedArray, index: pd.Index[int]) -> pd.Series[str]:
    text = pc.if_else(blank(values), None, as_text(values)).to_numpy()
    return pd.Series(np.where(pd.isna(text), None, text), index=index, dtype=object)


def _check(
    frame: pd.DataFrame, parts: Parts, interval: Interval | None, request: TrainRequest, findings: Findings
) -> ResolvedWindow | None:
    """The checks of the model, and the window on which they were made."""
    columns, window, inside = request.columns, None, frame
    numbers = inside_numbers = Numbers.of(frame, columns.numeric)
    if interval and columns.date in frame and not np.isnat(days := days_in(frame[columns.date])).any():
        dates = days.tolist()
        window = resolve(dates, interval, request.window, findings)
        plan.check_components(dates, interval, request, findings)
        plan.check_budget(dates, parts, interval, request, findings)
        plan.check_days(dates, interval, request, findings)
    if window and interval:
        inside = frame.iloc[window.first_row - 1 : window.last_row]
        inside_numbers = numbers.rows(window.first_row - 1, window.last_row)
        plan.check_size(window.rows, interval, request, findings)
        plan.check_trained(inside, inside_numbers, request, findings)
        check_collinear(inside_numbers, request, findings)
        plan.check_dependent(inside_numbers, request, findings)
        plan.check_calibration(frame, dates, parts, interval, window, request, findings)
    checks.check_range(frame, numbers, findings)
    checks.check_constant(frame, inside, numbers, inside_numbers, request, findings)
    checks.check_exposures(frame, columns, findings)
    checks.check_factors(frame, columns, findings)
    return window


def _by_region(parts: Parts, request: TrainRequest) -> pa.Table:
    column = request.columns.region
    frame = pd.concat([part.assign(**{str(column): region}) for region, part in parts.items()])
    return _table(frame[[request.columns.date, *frame.columns.drop(request.columns.date)]], request)


def _table(frame: pd.DataFrame, request: TrainRequest) -> pa.Table:
    columns = request.columns
    factors = {variable.name for variable in columns.factors} | {columns.region}
    arrays = {}
    for name in frame.columns.astype(str):
        if name == columns.date:
            arrays[name] = pa.array(days_in(frame[name]), pa.date32())
        elif name in factors:
            arrays[name] = pa.array(frame[name].astype(str), pa.string())
        else:
            arrays[name] = pa.array(frame[name].to_numpy(), pa.float64(), from_pandas=True)
    return pa.table(arrays)
