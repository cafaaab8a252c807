"""What is in the columns of a table that no request speaks of yet."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from contracts.validation import ColumnProfile
from functions.reading import read_as
from functions.validate.dates import read_dates
from functions.validate.findings import Findings
from functions.validate.numbers import read_numbers
from functions.validate.profile import as_delivered, of_column
from functions.validate.source import blank, plain


def look(table: pa.Table) -> tuple[pa.Table, list[ColumnProfile]]:
    """The table with names as requests have them, and a profile of every column.

    Text is read as validation reads it: as numbers if every cell is one, otherwise as dates if every cell is
    one, otherwise as text.
    """
    table = plain(table)
    rows = pd.Index(range(1, table.num_rows + 1))
    texts = {
        name: column
        for name, column in zip(table.column_names, table.columns, strict=True)
        if pa.types.is_string(column.type)
    }
    delimiter = read_as(table.schema.metadata).get("delimiter")
    numbers, unusable = read_numbers(texts, rows, delimiter, Findings())
    return table, [
        of_column(name, pd.Series(numbers[name]))
        if name in texts and name not in unusable and not np.isnan(numbers[name]).all()
        else _dates_or_text(name, column, rows)
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]


def _dates_or_text(name: str, column: pa.ChunkedArray, rows: pd.Index[int]) -> ColumnProfile:
    if not pa.types.is_string(column.type):
        return of_column(name, as_delivered(column))
    findings = Findings()
    dates = read_dates(name, column, rows, findings)
    if dates.notna().any() and all(one.code == "missing-date" for one in findings.sorted()):
        return of_column(name, dates)
    text = column.to_pandas().astype(object)
    return of_column(name, text.mask(blank(column).to_numpy().astype(bool), None))
