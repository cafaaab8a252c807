"""Several rows become one, with a function per column: rows of one date, or of one longer period."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from contracts.request import Aggregation, CalendarFlag, TrainRequest
from functions.validate.cleaning import kinds
from functions.validate.findings import Findings

_OF_KIND: dict[str, Aggregation] = {"context": "mean", "factors": "any"}
_OF_TEXT = ("any", "most", "first", "last")
_ONLY_OF_TEXT = ("any", "most")


def functions_of(
    frame: pd.DataFrame,
    request: TrainRequest,
    asked: Mapping[str, Aggregation],
    field: str,
    findings: Findings,
) -> dict[str, Aggregation]:
    """The function of every column of the frame but the date: what the request says in `field`, or the usual.

    A column that is not there, and a function that a column cannot have, is an error; the usual one goes on.
    """
    of_kind = kinds(request)
    flags = {derived.name for derived in request.derived if isinstance(derived, CalendarFlag)}
    names = [str(name) for name in frame.columns if name != request.columns.date]
    how: dict[str, Aggregation] = {
        name: "max" if name in flags else _OF_KIND.get(of_kind[name], "sum") for name in names
    }
    for name, function in asked.items():
        if name not in how and name not in of_kind:
            problem, advice = "is not a column of the model", f"remove it from {field}"
        elif of_kind[name] == "factors" and name not in flags and function not in _OF_TEXT:
            problem, advice = f"is a factor, which has no {function}", "use any, most, first or last"
        elif of_kind[name] != "factors" and function in _ONLY_OF_TEXT:
            problem, advice = f"is no factor, which alone has {function}", "use max for a flag of 0 and 1"
        else:
            how |= {name: function} if name in how else {}
            continue
        findings.error(field.replace(".", "-"), f"{field}: '{name}' {problem}", advice, name)
    return how


def aggregated(frame: pd.DataFrame, keys: pd.Series[Any], how: Mapping[str, Aggregation]) -> pd.DataFrame:
    """One row per key (N), indexed by key, in their order. A row with an empty cell is empty there."""
    groups = frame.groupby(keys.to_numpy(), sort=True)
    parts = {}
    for name, function in how.items():
        values = (
            _level(frame[name], keys, function) if function in _ONLY_OF_TEXT else groups[name].agg(function)
        )
        parts[name] = values.where(groups[name].count() == groups.size())
    return pd.DataFrame(parts)


def _level(values: pd.Series[str], keys: pd.Series[Any], function: Aggregation) -> pd.Series[str]:
    """The most frequent level per key, the earlier of two; with `any` the usual one only if it is alone."""
    usual = values.value_counts().index[0] if function == "any" and values.notna().any() else ""
    present = values[values.notna() & values.ne(usual)]
    counts = present.groupby([keys[present.index].to_numpy(), present.to_numpy()], sort=False).size()
    most = (
        counts.groupby(level=0).idxmax().map(lambda pair: pair[1]) if len(counts) else pd.Series(dtype=object)
    )
    every = keys.drop_duplicates().sort_values()
    return most.reindex(every.to_numpy()).astype(object).fillna(usual)


def told(how: Mapping[str, Aggregation]) -> str:
    """The functions, for a message."""
    return ", ".join(f"{function} of {name}" for name, function in how.items())
