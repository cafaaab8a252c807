"""Missing values, duplicate dates, order: what the request says, and nothing else.

A frame has the source's row numbers as its index, the request's column names, dates as timestamps, numbers as
float64 and factors as text.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from contracts.request import TrainRequest
from functions.validate.findings import Findings
from functions.validate.source import inputs

_ADVICE = {
    "media": "fill the cells, or set missing.media to zero or interpolate",
    "dependent": "fill the cells, or set missing.dependent to interpolate",
    "organic": "fill the cells, or set missing.organic to zero or interpolate",
    "context": "fill the cells, or set missing.context to interpolate",
    "factors": "fill the cells, or set missing.factors to none",
}


def kinds(request: TrainRequest) -> dict[str, str]:
    """The kind of every column but the date; what a derived column is made from is of its kind."""
    columns = request.columns
    kind = {columns.dependent: "dependent"}
    for paid in columns.paid_media:
        kind |= {paid.spend: "media"} | ({paid.exposure: "media"} if paid.exposure else {})
    for group in ("organic", "context", "factors"):
        kind |= {variable.name: group for variable in getattr(columns, group)}
    for derived in reversed(request.derived):
        of = kind.get(derived.name, "context")
        for name in inputs(derived):
            kind.setdefault(name, "context" if of == "factors" else of)
    return kind


def treat_missing(
    frame: pd.DataFrame, request: TrainRequest, unusable: Mapping[str, pd.Index[int]], findings: Findings
) -> pd.DataFrame:
    """Reject or fill empty cells by the policy of their kind; those to interpolate wait for `interpolate`.

    Cells in `unusable` were reported before and are left alone.
    """
    of_kind = kinds(request)
    for name in frame.columns.drop(request.columns.date, errors="ignore"):
        kind = of_kind[name]
        policy = getattr(request.missing, kind)
        empty = frame[name].isna()
        empty[unusable.get(name, [])] = False
        if policy == "reject" and empty.any():
            message = f"column '{name}' has {int(empty.sum())} empty cell(s)"
            findings.error("missing-value", message, _ADVICE[kind], name, frame.index[empty])
        elif policy in ("zero", "none") and empty.any():
            fill = 0.0 if policy == "zero" else "none"
            frame.loc[empty, name] = fill
            message = f"{int(empty.sum())} empty cell(s) of column '{name}' became {fill}"
            findings.change("missing-filled", message, "", name, frame.index[empty])
    return frame


def in_order(frame: pd.DataFrame, request: TrainRequest, findings: Findings) -> pd.DataFrame:
    """The rows by date; rows whose date cannot be read come last."""
    dates = frame[request.columns.date]
    if not dates.dropna().is_monotonic_increasing:
        findings.change("sorted", "rows were sorted by date", "", request.columns.date)
    return frame.sort_values(request.columns.date, kind="stable")


def interpolate(
    frame: pd.DataFrame, request: TrainRequest, unusable: Mapping[str, pd.Index[int]], findings: Findings
) -> pd.DataFrame:
    """Fill the empty cells that are to be interpolated, linearly between the dates around them."""
    of_kind = kinds(request)
    for name in frame.columns.drop(request.columns.date):
        kind = of_kind[name]
        if getattr(request.missing, kind) != "interpolate":
            continue
        empty = frame[name].isna()
        empty[frame.index.isin(unusable.get(name, []))] = False
        if empty.any():
            frame[name] = _interpolated(frame, name, request.columns.date, empty, findings)
    return frame


def _interpolated(
    frame: pd.DataFrame, name: str, date: str, empty: pd.Series[bool], findings: Findings
) -> pd.Series[float]:
    known = frame[name].notna() & frame[date].notna()
    time = frame[date].astype("int64")
    inside = empty & (time > time[known].min()) & (time < time[known].max()) if known.any() else empty & False
    if (empty & ~inside).any():
        findings.error(
            "missing-at-the-edge",
            f"column '{name}' has empty cell(s) before its first or after its last value, which cannot be "
            "interpolated",
            "fill these cells, or move the start or end of the data",
            name,
            frame.index[empty & ~inside],
        )
    values = frame[name].copy()
    if inside.any():
        values[inside] = np.interp(time[inside], time[known], values[known])
        message = f"{int(inside.sum())} empty cell(s) of column '{name}' were interpolated"
        findings.change("missing-filled", message, "", name, frame.index[inside])
    return values
