"""Missing values, duplicate dates, order: what the request says, and nothing else.

A frame has the source's row numbers as its index, the request's column names, dates as timestamps, numbers as
float64 and factors as text.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from contracts.request import TrainRequest
from contracts.series import Interval
from contracts.validation import ResolvedWindow
from functions.validate.calendar import days_in
from functions.validate.columns import Numbers, incomplete
from functions.validate.findings import Findings
from functions.validate.source import inputs

_ONLY_IN_WINDOW = ("dependent", "context")
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
    kind |= {columns.region: "region"} if columns.region else {}
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
    for name in incomplete(frame):
        if name == request.columns.date:
            continue
        kind = of_kind[name]
        policy = getattr(request.missing, kind)
        empty = frame[name].isna()
        empty &= ~frame.index.isin(unusable.get(name, []))
        if policy == "reject" and (empty := empty & ~_not_needed(frame, kind, request)).any():
            message = f"column '{name}' has {int(empty.sum())} empty cell(s)"
            advice = _ADVICE[kind]
            if edges := _edges(frame, name, empty, kind, request):
                advice = f"fill the cells, or {edges}"
            findings.error("missing-value", message, advice, name, frame.index[empty])
        elif policy in ("zero", "none") and empty.any():
            fill = 0.0 if policy == "zero" else "none"
            frame.loc[empty, name] = fill
            message = f"{int(empty.sum())} empty cell(s) of column '{name}' became {fill}"
            findings.change("missing-filled", message, "", name, frame.index[empty])
    return frame


def _not_needed(frame: pd.DataFrame, kind: str, request: TrainRequest) -> pd.Series[bool]:
    """(N,) where a cell may be empty: outside the window, unless it is media, which have carry-over."""
    needed = pd.Series(True, index=frame.index)
    if kind in _ONLY_IN_WINDOW and request.columns.date in frame:
        dates, window = frame[request.columns.date], request.window
        needed &= dates.ge(pd.Timestamp(window.start)) if window.start else True
        needed &= dates.le(pd.Timestamp(window.end)) if window.end else True
    return ~needed


def _edges(frame: pd.DataFrame, name: str, empty: pd.Series[bool], kind: str, request: TrainRequest) -> str:
    """How the window can leave out empty cells before the first or after the last value, if it can."""
    if kind not in _ONLY_IN_WINDOW or request.columns.date not in frame:
        return ""
    dates = frame[request.columns.date]
    known = dates[frame[name].notna()].dropna()
    before, after = dates[empty].lt(known.min()).any(), dates[empty].gt(known.max()).any()
    moves = [f"window.start to {known.min().date()}"] if before else []
    moves += [f"window.end to {known.max().date()}"] if after else []
    return f"set {' and '.join(moves)}" if moves else ""


def fill_outside(
    frame: pd.DataFrame,
    window: ResolvedWindow | None,
    interval: Interval | None,
    request: TrainRequest,
    findings: Findings,
) -> pd.DataFrame:
    """No empty cells outside the window, where only Prophet looks: there stand the values of other years.

    A cell gets the value of the same season in the nearest year that has one, or the mean of the window.
    """
    if window is None or interval is None or findings.any_error:
        return frame
    numbers = np.arange(1, len(frame) + 1)
    within = (numbers >= window.first_row) & (numbers <= window.last_row)
    season = {"day": 364, "week": 52, "month": 12}[interval]
    outside = (request.columns.dependent, *(variable.name for variable in request.columns.context))
    for name in Numbers.of(frame, outside).where(np.isnan):
        values = frame[name]
        empty = values.isna()
        if empty[within].any():
            message = f"column '{name}' is empty in {int(empty[within].sum())} period(s) of the window"
            advice = "fill the cells, or choose a window without these periods"
            findings.error("missing-value", message, advice, name, frame.index[empty & within])
        else:
            for years in range(1, len(frame) // season + 1):
                for rows in (-years * season, years * season):
                    values = values.fillna(frame[name].shift(rows))
            frame = frame.assign(**{name: values.fillna(frame.loc[within, name].mean())})
            message = (
                f"column '{name}' is empty in {int(empty.sum())} row(s) outside the modelling window; there "
                "Prophet gets the values of the same season in another year, or the mean"
            )
            findings.change("outside-filled", message, "", name, frame.index[empty])
    return frame


def in_order(frame: pd.DataFrame, request: TrainRequest, findings: Findings) -> pd.DataFrame:
    """The rows by date; rows whose date cannot be read come last."""
    days = days_in(frame[request.columns.date])
    known = days[~np.isnat(days)]
    if (known[1:] < known[:-1]).any():
        findings.change("sorted", "rows were sorted by date", "", request.columns.date)
    elif len(known) == len(days):
        return frame
    return frame.sort_values(request.columns.date, kind="stable")


def interpolate(
    frame: pd.DataFrame, request: TrainRequest, unusable: Mapping[str, pd.Index[int]], findings: Findings
) -> pd.DataFrame:
    """Fill the empty cells that are to be interpolated, linearly between the dates around them."""
    of_kind = kinds(request)
    for name in frame.columns:
        if name == request.columns.date or getattr(request.missing, kind := of_kind[name]) != "interpolate":
            continue
        empty = frame[name].isna()
        empty &= ~frame.index.isin(unusable.get(name, []))
        if empty.any():
            frame[name] = _interpolated(frame, name, kind, empty, request, findings)
    return frame


def _interpolated(
    frame: pd.DataFrame,
    name: str,
    kind: str,
    empty: pd.Series[bool],
    request: TrainRequest,
    findings: Findings,
) -> pd.Series[float]:
    date = request.columns.date
    known = frame[name].notna() & frame[date].notna()
    time = frame[date].astype("int64")
    inside = empty & (time > time[known].min()) & (time < time[known].max()) if known.any() else empty & False
    edge = empty & ~inside & ~_not_needed(frame, kind, request)
    if edge.any():
        other = _edges(frame, name, edge, kind, request) or f"set missing.{kind} to zero"
        findings.error(
            "missing-at-the-edge",
            f"column '{name}' has empty cell(s) before its first or after its last value, which cannot be "
            "interpolated",
            f"fill these cells, or {other}",
            name,
            frame.index[edge],
        )
    values = frame[name].copy()
    if inside.any():
        values[inside] = np.interp(time[inside], time[known], values[known])
        message = f"{int(inside.sum())} empty cell(s) of column '{name}' were interpolated"
        findings.change("missing-filled", message, "", name, frame.index[inside])
    return values
