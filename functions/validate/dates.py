"""From text to dates, without guessing: one format per column, and day and month never mixed up."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from functions.validate.findings import Findings, some
from functions.validate.source import as_text, blank

Mask = NDArray[np.bool_]

_TIME = r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?)?"
_AT_MIDNIGHT = r"^.{10}(?:[T ]00:00(?::00(?:\.0+)?)?(?!:?\d).*)?$"
_FORMATS = {
    "YYYY-MM-DD": (rf"^\d{{4}}-\d{{2}}-\d{{2}}{_TIME}$", "%Y-%m-%d"),
    "YYYY/MM/DD": (r"^\d{4}/\d{1,2}/\d{1,2}$", "%Y/%m/%d"),
    "YYYYMMDD": (r"^(?:19|20)\d{6}$", "%Y%m%d"),
    "DD.MM.YYYY": (r"^\d{1,2}\.\d{1,2}\.\d{4}$", "%d.%m.%Y"),
    "DD/MM/YYYY": (r"^\d{1,2}/\d{1,2}/\d{4}$", "%d/%m/%Y"),
    "DD-MM-YYYY": (r"^\d{1,2}-\d{1,2}-\d{4}$", "%d-%m-%Y"),
}
_MONTH_FIRST = {"DD/MM/YYYY": "%m/%d/%Y", "DD-MM-YYYY": "%m-%d-%Y"}
_YEARS = (1900, 2200)
_ADVICE = "write every date as YYYY-MM-DD, for example 2026-01-31"


def read_dates(
    name: str, values: pa.ChunkedArray, rows: pd.Index[int], findings: Findings
) -> pd.Series[pd.Timestamp]:
    """The dates of a column (N, at midnight, NaT where there is none), indexed by source row.

    Times of day are dropped. ISO dates, dates with dots (day first), and dates with slashes or dashes whose
    order the column itself shows, are understood; anything else is an error.
    """
    report = _Reporter(name, rows, findings)
    report.error("missing-date", "row(s) without a date", np.asarray(blank(values).to_numpy(), dtype=bool))
    if pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        dates = _of_type(values)
        report.times(np.asarray((dates.dt.normalize() != dates) & dates.notna(), dtype=bool))
    else:
        dates = _of_text(as_text(_whole(values)).to_pandas().astype(object).fillna(""), report)
    strange = np.asarray(dates.notna() & ~dates.dt.year.between(*_YEARS), dtype=bool)
    report.error("not-a-date", f"date(s) outside the years {_YEARS[0]} to {_YEARS[1]}", strange)
    return pd.Series(dates.mask(strange).dt.normalize().to_numpy(), index=rows, name=name)


@dataclass(frozen=True)
class _Reporter:
    """Says what is wrong in one column."""

    name: str
    rows: pd.Index[int]
    findings: Findings

    def error(self, code: str, what: str, mask: Mask, examples: pd.Series[str] | None = None) -> None:
        if mask.any():
            message = f"column '{self.name}' has {int(mask.sum())} {what}"
            if examples is not None:
                message += f", for example {some((repr(text) for text in examples), 3)}"
            self.findings.error(code, message, _ADVICE, self.name, self.rows[mask])

    def times(self, mask: Mask) -> None:
        if mask.any():
            message = f"times of day were dropped from column '{self.name}'"
            self.findings.change("time-dropped", message, "", self.name, self.rows[mask])


def _of_type(values: pa.ChunkedArray) -> pd.Series[pd.Timestamp]:
    if pa.types.is_timestamp(values.type) and values.type.tz:
        values = pc.local_timestamp(values)
    dates: pd.Series[pd.Timestamp] = values.cast(pa.timestamp("ms"), safe=False).to_pandas()
    return dates


def _whole(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """20260131.0 as 20260131."""
    if not pa.types.is_floating(values.type):
        return values
    values = values.cast(pa.float64())
    whole = pc.all(pc.equal(pc.floor(values), values)).as_py()
    return values.cast(pa.int64(), safe=False) if whole else values


def _of_text(column: pd.Series[str], report: _Reporter) -> pd.Series[pd.Timestamp]:
    """Every different text is read once; `codes` says which one stands in a row."""
    codes, different = pd.factorize(column)
    text, counts = pd.Series(different, dtype=object), np.bincount(codes)
    fits = {form: _matches(text, pattern) for form, (pattern, _) in _FORMATS.items()}
    form = max(fits, key=lambda candidate: int(counts[fits[candidate]].sum()))
    dates, ambiguous = _parse(text.where(fits[form]), form, counts)
    other = np.logical_or.reduce(list(fits.values())) & ~fits[form]
    unknown = dates.isna().to_numpy(bool) & ~other & ~ambiguous & text.ne("").to_numpy(bool)
    report.error(
        "mixed-dates", f"date(s) that are not written as {form} like the rest", other[codes], text[other]
    )
    report.error("not-a-date", "value(s) that are no dates", unknown[codes], text[unknown])
    report.error(
        "ambiguous-dates", "date(s) where day and month may be swapped", ambiguous[codes], text[ambiguous]
    )
    if form == "YYYY-MM-DD":
        report.times((fits[form] & ~_matches(text, _AT_MIDNIGHT))[codes])
    return dates.iloc[codes]


def _matches(text: pd.Series[str], pattern: str) -> Mask:
    return text.str.match(pattern, flags=re.ASCII).to_numpy(bool)


def _parse(
    text: pd.Series[str], form: str, counts: NDArray[np.int64]
) -> tuple[pd.Series[pd.Timestamp], Mask]:
    """The dates, NaT where the text is none, and which texts could be two different dates."""
    certain = np.zeros(len(text), bool)
    dates = pd.to_datetime(text.str[:10], format=_FORMATS[form][1], errors="coerce")
    if form not in _MONTH_FIRST:
        return dates, certain
    swapped = pd.to_datetime(text, format=_MONTH_FIRST[form], errors="coerce")
    only_day_first = counts[(dates.notna() & swapped.isna()).to_numpy(bool)].sum()
    only_month_first = counts[(swapped.notna() & dates.isna()).to_numpy(bool)].sum()
    if only_day_first or only_month_first:
        return (dates if only_day_first >= only_month_first else swapped), certain
    ambiguous = (dates.ne(swapped) & dates.notna()).to_numpy(bool)
    return (dates.mask(dates.notna()), ambiguous) if ambiguous.any() else (dates, certain)
