"""Rows that hold no period: totals and notes below the data, units above them, and headers in between.

Reports of platforms have them. Only what stands beside the periods is left out, and it is said.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from contracts.base import some
from contracts.request import TrainRequest
from functions.validate.findings import Findings
from functions.validate.numbers import read_numbers
from functions.validate.source import ROW, as_text

_ROWS_LOOKED_AT = 20
"""Rows at the end in which totals and notes are looked for."""
_FEWEST_ROWS = 3
"""Rows from which on a table can have a footer."""
_SUM_TOLERANCE = 1e-3
"""Relative difference up to which a cell is the sum of those above it."""
_TOTAL = re.compile(
    r"(grand |sub-?|net |gross )?totals?|sums?|(gesamt|end|zwischen)?summe|gesamt(ergebnis|wert|betrag)?"
    r"|insgesamt|total(e|es|i|en)?( g[eé]n[eé]ral| general| geral| generale)?|totaux|somme|suma|soma|somma"
    r"|(eind)?totaal|razem|ogółem|łącznie|celkem|spolu|összesen|yhteensä|summa|totalt|i alt|(genel )?toplam"
    r"|итого|всего|общий итог|разом|σύνολο|合計|総計|总计|合计|總計|총계|합계"
    r"|average|avg\.?|mean|durchschnitt|mittelwert|moyenne|promedio|média|gemiddelde?|średnia",
    re.IGNORECASE,
)
_LETTER = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"\D{0,5}\d[\d.,'’\s]*\D{0,5}")


def without_footer(table: pa.Table, request: TrainRequest, findings: Findings) -> pa.Table:
    """The table without the totals and notes that stand below it, and without repeated headers."""
    date = request.columns.date
    if date not in table.column_names or not table.num_rows:
        return table
    start = max(table.num_rows - _ROWS_LOOKED_AT, 0)
    tail = [
        {name: (text or "").strip() for name, text in row.items()}
        for row in _texts(table.slice(start)).to_pylist()
    ]
    shapes = {_shape(row[date]) for row in tail[: len(tail) // 2]}
    end = len(tail)
    dropped: dict[int, str] = {}
    while end:
        row = tail[end - 1]
        label = next((text for text in row.values() if text), "")
        if label and not _no_period(row, date, request, shapes):
            break
        if label:
            dropped[start + end] = label
        end -= 1
    if not dropped and tail and not tail[-1][date] and _is_sum(table, request):
        dropped, end = {table.num_rows: "sums of the rows above"}, len(tail) - 1
    if dropped:
        told = some(f"'{label}'" for label in reversed(dropped.values()))
        message = f"below the data stand {len(dropped)} row(s) that hold no period, left out: {told}"
        findings.change("footer", message, "", None, sorted(dropped))
        table = table.slice(0, start + end)
    return _without_headers(table, date, findings)


def _texts(table: pa.Table) -> pa.Table:
    return pa.table([as_text(column) for column in table.columns], table.column_names)


def _no_period(row: dict[str, str], date: str, request: TrainRequest, shapes: set[str]) -> bool:
    """Whether a row is a total or a note."""
    values = [text for text in row.values() if text]
    label = row[date] or values[0]
    if _TOTAL.match(label) and not _LETTER.match(label[_TOTAL.match(label).end() :]):  # type: ignore[union-attr]
        return True
    if not _LETTER.search(label) or _shape(row[date]) in shapes - {""}:
        return False
    numeric = [row.get(name, "") for name in request.columns.numeric]
    return not any(_NUMBER.fullmatch(text) for text in numeric)


def _shape(text: str) -> str:
    """What kind of characters a text is made of."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text))


def _is_sum(table: pa.Table, request: TrainRequest) -> bool:
    """Whether the last row holds what the others add up to."""
    names = [request.columns.dependent, *(channel.spend for channel in request.columns.paid_media)]
    there = {name: table.column(name) for name in names if name in table.column_names}
    numbers, _ = read_numbers(there, pd.RangeIndex(table.num_rows), None, Findings())
    last = np.array([values[-1] for values in numbers.values()])
    sums = np.array([np.nansum(values[:-1]) for values in numbers.values()])
    with np.errstate(invalid="ignore"):
        return bool(((np.abs(last - sums) <= _SUM_TOLERANCE * np.abs(sums)) & (sums != 0)).any())


def without_units(rows: pa.Table, request: TrainRequest, findings: Findings) -> pa.Table:
    """The numbered rows, without a first one that says units or types.

    It has no digit in the date and the numbers, and all dates below have.
    """
    date = request.columns.date
    names = [name for name in (date, *request.columns.numeric) if name in rows.column_names]
    if date not in names or rows.num_rows < _FEWEST_ROWS:
        return rows
    if not all(pa.types.is_string(rows.schema.field(name).type) for name in names):
        return rows
    texts = {name: as_text(rows.column(name).slice(0, _ROWS_LOOKED_AT)).to_pylist() for name in names}
    first = {name: column[0] or "" for name, column in texts.items()}
    if any(_DIGIT.search(text) for text in first.values()) or not any(first.values()):
        return rows
    if not all(_DIGIT.search(text or "") for text in texts[date][1:]):
        return rows
    told = some(f"'{text}'" for text in first.values() if text)
    number = rows.column(ROW)[0].as_py()
    findings.change(
        "units-row", f"above the data stands a row that holds no period, left out: {told}", "", None, [number]
    )
    return rows.slice(1)


def _without_headers(table: pa.Table, date: str, findings: Findings) -> pa.Table:
    """Files that were put together have their header again in between."""
    if not pa.types.is_string(table.column(date).type):
        return table
    repeated = pc.fill_null(pc.equal(table.column(date), date), False)
    if not pc.any(repeated).as_py():
        return table
    rows = np.flatnonzero(repeated.to_numpy()) + 1
    findings.change(
        "repeated-header", f"{len(rows)} row(s) that repeat the header were left out", "", None, rows
    )
    return table.filter(pc.invert(repeated))
