"""The tables of a result: CSV for people, and the same as Parquet with one type per column name.

Both engines leave their tables as CSV; what is in them decides nothing about the Parquet types, so that the
same column has the same type in every result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from contracts.model import RESERVED

_TEXT = (
    *("solID", "rn", "type", "channels", "channel", "region", "plan", "periods", "boot_ci", "text"),
    *("dep_var_type", "liftMedia"),
)
_FLAGS = ("pos", "coef0", "mape.qt10", "top_sol", "paid", "converged")
_COUNTS = ("trial", "iterNG", "iterPar", "iterations", "robynPareto", "cluster", "n", "refreshStatus")
_DAYS = ("ds", "date", "date_min", "date_max", "liftStart", "liftEnd", "decompStart", "decompEnd")
_TYPES: dict[str, pyarrow.DataType] = {
    **dict.fromkeys(_TEXT, pyarrow.string()),
    **dict.fromkeys(_FLAGS, pyarrow.bool_()),
    **dict.fromkeys(_COUNTS, pyarrow.int64()),
    **dict.fromkeys(_DAYS, pyarrow.date32()),
}
_BESIDE_THE_REQUESTS: dict[str, pyarrow.DataType] = {
    name: kind for name, kind in _TYPES.items() if name in RESERVED
}
"""In tables with columns that the request names: no column of a request is called so."""

_NOTHING = ["", "NA", "NaN"]
"""What R writes where there is no number. Tables by region are ours, and a region may be called NA."""


_FORMULA, _PROTECTED = r"^('*[=+\-@])", r"^'('*[=+\-@])"
"""Text that a spreadsheet would take for a formula, and the same after an apostrophe was put before it."""


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table in full precision, missing numbers left empty; several times faster than pandas.

    An apostrophe is put before text, also a column's name, that a spreadsheet would take for a formula.
    """
    rows = pyarrow.Table.from_pandas(table, preserve_index=False)
    write_plain_csv(_replaced(rows, _FORMULA, r"'\1"), path)


def write_plain_csv(rows: pyarrow.Table, path: Path) -> None:
    """Write a table for a program: every text as it is."""
    pyarrow.csv.write_csv(rows, path, pyarrow.csv.WriteOptions(quoting_style="needed"))


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a large table that has no CSV beside it, with the types that `add_parquet` gives its columns.

    Numbers are rounded to 45 binary digits (13 decimal ones), which makes the file a seventh smaller.
    """
    numbers = table.select_dtypes("float64")
    rounded = dict(zip(map(str, numbers), _rounded(numbers.to_numpy()).T, strict=True))
    rows = pyarrow.Table.from_pandas(table.assign(**rounded), preserve_index=False)
    _write_parquet(rows, path)


def _rounded(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Numbers whose last byte is 0."""
    bits = np.ascontiguousarray(numbers).view(np.int64)
    return np.where(np.isfinite(numbers), ((bits + 0x80) & ~0xFF).view(np.float64), numbers)


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Read a table by its name without the suffix, from CSV or, where there is none, Parquet.

    SolIDs and days are text.
    """
    path = folder / f"{name}.csv"
    if path.is_file():
        return read_csv(path)
    rows = pyarrow.parquet.read_table(path.with_suffix(".parquet"))
    days = [pyarrow.string() if pyarrow.types.is_date(field.type) else field.type for field in rows.schema]
    table: pd.DataFrame = rows.cast(pyarrow.schema(zip(rows.column_names, days, strict=True))).to_pandas()
    return table


def read_csv(path: Path) -> pd.DataFrame:
    """Read a table that `write_csv` or R wrote; solIDs are text."""
    table = pd.read_csv(path, dtype={"solID": str})
    text = table.select_dtypes(include=["object", "string"]).columns
    restored = {name: table[name].replace(_PROTECTED, r"\1", regex=True) for name in text}
    return table.assign(**restored).rename(columns=lambda name: re.sub(_PROTECTED, r"\1", name))


def _replaced(rows: pyarrow.Table, pattern: str, by: str) -> pyarrow.Table:
    """A table in which a pattern is replaced in every text and in the names of its columns."""
    columns = [
        pc.replace_substring_regex(column, pattern, by) if _is_text(column.type) else column
        for column in rows.columns
    ]
    return pyarrow.table(columns, [re.sub(pattern, by, name) for name in rows.column_names])


def _is_text(kind: pyarrow.DataType) -> bool:
    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))


def add_parquet(folder: Path) -> None:
    """Write every CSV table of a folder as Parquet (zstd) beside it, without R's row numbers.

    The columns that Robyn names have fixed types (text, days, counts, flags); every other column is a double
    if it holds only numbers, and otherwise what it looks like.
    """
    for path in sorted(folder.glob("*.csv")):
        _write_parquet(_read(path), path.with_suffix(".parquet"))


def _write_parquet(rows: pyarrow.Table, path: Path) -> None:
    known = _known(path)
    rows = rows.cast(pyarrow.schema([(field.name, _type(field, known)) for field in rows.schema]))
    numbers = [field.name for field in rows.schema if pyarrow.types.is_floating(field.type)]
    pyarrow.parquet.write_table(
        rows,
        path,
        compression="zstd",
        compression_level=9,
        use_dictionary=[name for name in rows.column_names if name not in numbers],
        use_byte_stream_split=[  # smaller, where numbers hardly repeat
            name for name in numbers if 2 * pc.count_distinct(rows[name]).as_py() > len(rows)
        ],
    )


def _known(path: Path) -> Mapping[str, pyarrow.DataType]:
    from_request = path.stem == "raw_data" or path.stem.endswith("_matrix")
    return _BESIDE_THE_REQUESTS if from_request else _TYPES


def _read(path: Path) -> pyarrow.Table:
    known = _known(path)
    with path.open(encoding="utf-8") as file:
        by_region = "region" in file.readline().rstrip().replace('"', "").split(",")
    options = pyarrow.csv.ConvertOptions(
        column_types=known,
        null_values=_NOTHING[:1] if by_region else _NOTHING,
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    table = _replaced(pyarrow.csv.read_csv(path, convert_options=options), _PROTECTED, r"\1")
    return table.drop_columns([name for name in table.column_names if not name])


def _type(field: pyarrow.Field, known: Mapping[str, pyarrow.DataType]) -> pyarrow.DataType:
    """A column's type, which must not depend on whether its numbers happen to be whole, or to be there."""
    number = pyarrow.types.is_integer(field.type) or pyarrow.types.is_null(field.type)
    return known.get(field.name) or (pyarrow.float64() if number else field.type)
