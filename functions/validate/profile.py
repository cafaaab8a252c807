"""A profile of every column, for people who ask what was in the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from contracts.request import TrainRequest
from contracts.validation import ColumnProfile
from functions.validate.source import ROW, as_text

UNUSED = "unused"
"""The role of a column that no request names."""
_FIRST, _LAST = np.datetime64("0001-01-01"), np.datetime64("9999-12-31T23:59:59.999")
"""Between them lie the dates that Python knows."""


def profile(
    table: pa.Table, read: Mapping[str, pd.Series[Any]], request: TrainRequest
) -> list[ColumnProfile]:
    """One profile per delivered column, then one per derived column.

    `read` has the columns that the request names and the derived ones, as dates, numbers and text; the others
    are profiled in the type that they have in `table`.
    """
    roles = {name: path for path, name in request.columns.roles()}
    delivered = [name for name in table.column_names if name != ROW]
    names = [*delivered, *(name for name in read if name not in delivered)]
    return [
        of_column(
            name, read[name] if name in read else as_delivered(table.column(name)), roles.get(name, UNUSED)
        )
        for name in names
    ]


def as_delivered(values: pa.ChunkedArray) -> pd.Series[Any]:
    """A column in the type that it has in the source, as far as pandas has it."""
    kind, types = values.type, pa.types
    if types.is_nested(kind) or types.is_binary(kind):
        return pd.Series([str(value) for value in values.to_pylist()], dtype=object)
    if types.is_decimal(kind) or types.is_integer(kind) or types.is_boolean(kind):
        values = values.cast(pa.int8()) if types.is_boolean(kind) else values
        values = values.cast(pa.float64(), safe=False)
    elif types.is_date(kind):
        values = values.cast(pa.timestamp("ms"))
    elif types.is_timestamp(
        kind
    ):  # without its zone and its nanoseconds, as pandas cannot hold every instant
        values = values.cast(pa.timestamp("us"), safe=False).cast(pa.timestamp("ms"), safe=False)
    elif types.is_time(kind) or types.is_duration(kind):
        values = as_text(values)
    series: pd.Series[Any] = values.to_pandas()
    return series


def of_column(name: str, values: pd.Series[Any], role: str = UNUSED) -> ColumnProfile:
    """The profile of one column."""
    if pd.api.types.is_numeric_dtype(values):
        return _of_numbers(name, values.to_numpy(np.float64, na_value=np.nan), role)
    known = values.to_numpy()[values.notna().to_numpy()]
    missing = len(values) - len(known)
    if not pd.api.types.is_datetime64_any_dtype(values):
        return ColumnProfile(name=name, role=role, type="text", missing=missing, distinct=len({*known}))
    distinct = len(np.unique(known))
    known = known[(known >= _FIRST) & (known <= _LAST)].astype("datetime64[D]")
    days = {"min": known.min().item(), "max": known.max().item()} if len(known) else {}
    return ColumnProfile(name=name, role=role, type="date", missing=missing, distinct=distinct, **days)


def _of_numbers(name: str, values: NDArray[np.float64], role: str) -> ColumnProfile:
    known = values[~np.isnan(values)]
    told = (
        {"min": float(known.min()), "max": float(known.max()), "mean": float(known.mean())}
        if len(known)
        else {}
    )
    return ColumnProfile(
        name=name,
        role=role,
        type="number",
        missing=len(values) - len(known),
        distinct=len(np.unique(known)),
        zeros=int((known == 0).sum()),
        **told,
    )
