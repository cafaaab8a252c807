"""From text to numbers, without guessing.

`1,5` can only have a decimal comma, `1,234.5` only a decimal point; `1.234` may be either. What is certain in
a column decides for its other cells, then what is certain in the whole file; if nothing is, it is an error.
Currencies, percent signs, words for yes and no, and marks for nothing are understood where the whole column
has them (see `amounts`), and said.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contracts.base import some
from functions.validate import amounts
from functions.validate.findings import Findings

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

_SPACED = r"^[+-]?\d{1,3}(?:[ '’\x{a0}\x{202f}\x{2009}]\d{3})+(?:[.,]\d+)?$"
_SPACES = r"[ '’\x{a0}\x{202f}\x{2009}]"
_INFINITE = r"^[+-]?(?i:inf|infinity)$"
_MAYBE_GROUPED = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
_INDIAN = r"|[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d+)?"
_PLAIN = r"^[+-]?\d+$"
_SHORT = r"^[+-]?0*\d{1,3}$"
_LEAST_GROUPED = 5
"""Ambiguous numbers, such as 1.234, that prove thousands separators together."""
_LEAST_PLAIN = 2
"""Numbers of at most three digits without a separator that such a proof needs."""


def _shape(decimal: str, group: str, more: str = "") -> str:
    exponent = r"(?:[eE][+-]?\d+)?"
    plain = rf"\d*{decimal}\d+{exponent}|\d+{decimal}?{exponent}"
    return rf"^[+-]?(?:{plain}|[1-9]\d{{0,2}}(?:{group}\d{{3}})+(?:{decimal}\d+)?{more})$"


_SHAPES = {"point": _shape(r"\.", ",", _INDIAN), "comma": _shape(",", r"\.")}


@dataclass(frozen=True)
class _Text:
    """A column of text, classified cell by cell."""

    cells: pa.ChunkedArray
    missing: Mask
    marks: Mapping[str, int]
    """Texts that were taken for an empty cell, and how often."""
    infinite: Mask
    fits: Mapping[str, Mask]
    units: Sequence[str]
    """Currencies and percent signs that were found; they were removed if it is one."""
    minus: str
    """A negative number that was written in another way; empty if there is none."""
    without_unit: Mask
    """Cells that lack the unit of the others."""

    @classmethod
    def of(cls, values: pa.ChunkedArray) -> _Text:
        written = pc.utf8_trim_whitespace(values)
        cells = amounts.signed(written)
        units = amounts.units(cells)
        bare, without = cells, np.zeros(len(cells), bool)
        if len(units) == 1:
            bare = amounts.without_unit(cells, units[0])
            without = _mask(pc.and_(pc.equal(bare, cells), pc.match_substring_regex(cells, r"[1-9]")))
            if without.sum() > len(cells) / 2:  # the few that have a unit are the odd ones
                bare, units, without = cells, [], np.zeros(len(cells), bool)
        spaced = pc.match_substring_regex(bare, _SPACED)
        bare = pc.if_else(spaced, pc.replace_substring_regex(bare, _SPACES, ""), bare)
        fits = {style: _mask(pc.match_substring_regex(bare, shape)) for style, shape in _SHAPES.items()}
        without &= fits["point"] | fits["comma"]
        missing = _mask(amounts.missing(bare))
        infinite = _mask(pc.match_substring_regex(bare, _INFINITE))
        other = written.filter(pc.fill_null(pc.not_equal(written, cells), False))
        minus = other[0].as_py() if len(other) else ""
        return cls(bare, missing, _marks(written, missing), infinite, fits, units, minus, without)

    @property
    def votes(self) -> dict[str, int]:
        point, comma = self.fits["point"], self.fits["comma"]
        return {"point": int((point & ~comma).sum()), "comma": int((comma & ~point).sum())}

    @property
    def ambiguous(self) -> Mask:
        separated = _mask(pc.match_substring_regex(self.cells, "[.,]"))
        return self.fits["point"] & self.fits["comma"] & separated

    @functools.cached_property
    def grouped(self) -> str | None:
        """The style in which each number from 1,000 on has a separator, and none below has.

        Decimals would not always have three digits, nor be missing so often.
        """
        plain = _mask(pc.match_substring_regex(self.cells, _PLAIN))
        short = plain & _mask(pc.match_substring_regex(self.cells, _SHORT))
        several = short & ~_mask(pc.match_substring_regex(self.cells, r"^[+-]?0+$"))
        hundreds = _mask(pc.match_substring_regex(self.cells, r"^[+-]?[1-9]\d\d$"))
        points = self.ambiguous & _mask(pc.match_substring(self.cells, "."))
        commas = self.ambiguous & ~points
        if (plain & ~short).any() or several.sum() < _LEAST_PLAIN or not hundreds.any():
            return None
        if points.any() == commas.any() or self.ambiguous.sum() < _LEAST_GROUPED:
            return None
        return "comma" if points.any() else "point"

    def numbers(self, style: str) -> Floats:
        """The numbers in one style, NaN where a cell is none."""
        decimal, group = (".", ",") if style == "point" else (",", ".")
        plain = pc.replace_substring(pc.replace_substring(self.cells, group, ""), decimal, ".")
        known = pa.array(self.fits[style] | self.infinite)
        text = pc.if_else(known, plain, pa.scalar(None, pa.string()))
        numbers = pd.to_numeric(text.to_pandas(), errors="coerce")
        return np.asarray(numbers.to_numpy(np.float64, na_value=np.nan)) / (100 if self.percent else 1)

    @property
    def percent(self) -> bool:
        """Whether the numbers are percentages."""
        return list(self.units) in (["%"], ["％"])


def _marks(written: pa.ChunkedArray, missing: Mask) -> dict[str, int]:
    """The texts that stand for nothing, without empty cells, and how often each."""
    counts = pc.value_counts(written.filter(pa.array(missing)).drop_null())
    return {each["values"]: each["counts"] for each in counts.to_pylist() if each["values"]}


def _mask(values: pa.ChunkedArray) -> Mask:
    return np.asarray(pc.fill_null(values, False).to_numpy(), dtype=bool)


def read_numbers(
    columns: Mapping[str, pa.ChunkedArray], rows: pd.Index[int], delimiter: str | None, findings: Findings
) -> tuple[dict[str, Floats], dict[str, pd.Index[int]]]:
    """Columns as float64 (N,), and per column the rows whose value could not be used (they are NaN).

    `rows` (N) are the numbers of the source rows, `delimiter` the word for a CSV file's delimiter, if one was
    read. Empty cells and marks such as NA or - are missing. Text in a number column, a number that may mean
    two things, and an infinite value are errors.
    """
    found = {name: _plain(values) for name, values in columns.items()}
    for name in [name for name, values in found.items() if values is None and _is_text(columns[name])]:
        found[name] = _booleans(name, columns[name], findings)
    texts = {
        name: _Text.of(columns[name]) for name in columns if found[name] is None and _is_text(columns[name])
    }
    votes = _sum_votes(texts)
    if any(text.ambiguous.any() for text in texts.values()):
        others = [values for name, values in columns.items() if name not in texts and _is_text(values)]
        votes["point"] += sum(pc.any(pc.match_substring(values, ".")).as_py() or False for values in others)
    numbers: dict[str, Floats] = {}
    unusable: dict[str, Mask] = {}
    for name, values in columns.items():
        if name in texts:
            style = _style(texts[name], votes, delimiter)
            numbers[name], unusable[name] = _from_text(name, texts[name], style, rows, findings)
        elif (plain := found[name]) is not None:
            numbers[name] = plain
        else:
            numbers[name], unusable[name] = _of_wrong_type(name, values, rows, findings)
    _report_styles(texts, votes, delimiter, findings)
    _report_units(texts, findings)
    for name, values in numbers.items():
        infinite = np.isinf(values)
        if infinite.any():
            _report_infinite(name, rows[infinite], findings)
            numbers[name] = np.where(infinite, np.nan, values)
            unusable[name] = unusable.get(name, np.zeros(len(rows), bool)) | infinite
    return numbers, {name: rows[mask] for name, mask in unusable.items() if mask.any()}


def _is_text(values: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_string(values.type))


def _plain(values: pa.ChunkedArray) -> Floats | None:
    """Numbers where nothing needs a thought: numeric columns, and text that only the point style explains."""
    kind, types = values.type, pa.types
    numeric = (types.is_null, types.is_boolean, types.is_integer, types.is_floating, types.is_decimal)
    if any(is_type(kind) for is_type in numeric):
        return _floats(values)
    if not types.is_string(kind) or pc.any(pc.match_substring_regex(values, _MAYBE_GROUPED)).as_py():
        return None
    try:
        cells = pc.utf8_trim_whitespace(values)
        return _floats(
            pc.if_else(pc.is_in(pc.utf8_lower(cells), _NOTHING), pa.scalar(None, pa.string()), cells)
        )
    except pa.ArrowInvalid:
        return None


_NOTHING = pa.array([""])


def _booleans(name: str, values: pa.ChunkedArray, findings: Findings) -> Floats | None:
    """1 and 0 for words that mean yes and no in the whole column."""
    cells = pc.utf8_lower(pc.utf8_trim_whitespace(values))
    words = pc.unique(cells).drop_null()
    if len(words) > _MOST_WORDS:
        return None
    pair = amounts.yes_and_no(word for word in words.to_pylist() if word not in amounts.MISSING)
    if pair is None:
        return None
    yes, no = pair
    findings.change("booleans", f"column '{name}': '{yes}' was read as 1 and '{no}' as 0", "", name)
    numbers = pc.if_else(pc.is_in(cells, pa.array([yes, no])), pc.equal(cells, yes).cast(pa.int8()), None)
    return _floats(numbers)


_MOST_WORDS = 20
"""Different words from which on a column holds no yes and no."""


def _floats(values: pa.ChunkedArray) -> Floats:
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _sum_votes(texts: Mapping[str, _Text]) -> dict[str, int]:
    return {style: sum(text.votes[style] for text in texts.values()) for style in _SHAPES}


def _style(text: _Text, file_votes: Mapping[str, int], delimiter: str | None) -> str | None:
    """How a column is written; None if its numbers may mean two things."""
    for votes in (text.votes, file_votes):
        if votes["point"] or votes["comma"]:
            if votes is file_votes and votes["point"] and votes["comma"]:
                break
            style = "comma" if votes["comma"] > votes["point"] else "point"
            return style if votes is text.votes or text.grouped in (None, style) else None
    if text.grouped:
        return text.grouped
    with_comma = _mask(pc.match_substring(text.cells, ",")) & text.ambiguous
    certain = delimiter in (None, "comma") and not with_comma.any()
    return "point" if certain or not text.ambiguous.any() else None


def _from_text(
    name: str, text: _Text, style: str | None, rows: pd.Index[int], findings: Findings
) -> tuple[Floats, Mask]:
    numbers = text.numbers(style or "point")
    fits = text.fits[style or "point"]
    unusable = ~(text.missing | text.infinite | fits)
    if len(text.units) > 1:
        _report_several_units(name, text, findings)
    elif unusable.any():
        _report_text(name, text, unusable, rows, findings)
    if text.without_unit.any():
        _report_without_unit(name, text, rows, findings)
        unusable |= text.without_unit
    if style is None:
        findings.error(
            "ambiguous-number",
            f"column '{name}' has numbers that may mean two things, for example {_readings(text)}",
            "write numbers with a decimal point and without thousands separators",
            name,
            rows[text.ambiguous],
        )
        unusable |= text.ambiguous
    return np.where(unusable, np.nan, numbers), unusable


def _report_text(name: str, text: _Text, unusable: Mask, rows: pd.Index[int], findings: Findings) -> None:
    mixed = bool((unusable & (text.fits["point"] | text.fits["comma"])).any())
    advice = "write a plain number, without units, or leave the cell empty"
    if mixed:
        advice = "use the same decimal sign in the whole column: a point, or a comma"
    elif _mask(pc.match_substring_regex(text.cells, _SHEET_ERROR))[unusable].any():
        advice = "these are errors of a spreadsheet: correct the formulas, or leave the cells empty"
    elif not (text.fits["point"] | text.fits["comma"]).any():
        advice = f"{advice}; a column of categories belongs under columns.factors"
    findings.error(
        "not-a-number",
        f"column '{name}' has {int(unusable.sum())} value(s) that are not numbers, for example "
        f"{_examples(text, unusable)}",
        advice,
        name,
        rows[unusable],
    )


_SHEET_ERROR = r"^#[A-Z0-9/]+[!?]$"


def _report_several_units(name: str, text: _Text, findings: Findings) -> None:
    findings.error(
        "several-units",
        f"column '{name}' has amounts in several units: {some(text.units)}",
        "deliver one currency or unit per column, as plain numbers",
        name,
    )


def _report_without_unit(name: str, text: _Text, rows: pd.Index[int], findings: Findings) -> None:
    lacking = text.without_unit
    findings.error(
        "several-units",
        f"column '{name}' has {int(lacking.sum())} number(s) without the {text.units[0]} of the others, for "
        f"example {_examples(text, lacking)}",
        "write all numbers of the column with the same unit, or all without",
        name,
        rows[lacking],
    )


def _readings(text: _Text) -> str:
    """A number that may mean two things, with both."""
    cell = pc.unique(text.cells.filter(pa.array(text.ambiguous)))[0].as_py()
    whole, part = re.split("[.,]", cell)
    return f"'{cell}': {whole}{part}, with a thousands separator, or {whole}.{part}, with a decimal sign"


def _examples(text: _Text, mask: Mask) -> str:
    chosen = pc.unique(text.cells.filter(pa.array(mask))).to_pylist()
    return some((f"'{value}'" for value in chosen), 3)


def _of_wrong_type(
    name: str, values: pa.ChunkedArray, rows: pd.Index[int], findings: Findings
) -> tuple[Floats, Mask]:
    findings.error(
        "not-a-number",
        f"column '{name}' holds values of type {values.type}, not numbers",
        "name a numeric column, or cast it in the source",
        name,
    )
    return np.full(len(rows), np.nan), np.ones(len(rows), bool)


def _report_styles(
    texts: Mapping[str, _Text], votes: Mapping[str, int], delimiter: str | None, findings: Findings
) -> None:
    styles = {name: _style(text, votes, delimiter) for name, text in texts.items()}
    commas = [name for name, style in styles.items() if style == "comma"]
    if commas:
        findings.change("decimal-comma", f"numbers were read with a decimal comma in: {', '.join(commas)}")
    for name, style in styles.items():
        mark = "," if style == "point" else r"\."
        grouped = texts[name].cells.filter(pa.array(texts[name].fits[style or "point"]))
        grouped = grouped.filter(pc.match_substring_regex(grouped, rf"{mark}\d{{3}}(?:\D|$)"))
        if style and len(grouped):
            one = grouped[0].as_py()
            plain = re.sub(mark, "", one).replace(",", ".")
            findings.change("thousands-separator", f"column '{name}': '{one}' was read as {plain}", "", name)


def _report_units(texts: Mapping[str, _Text], findings: Findings) -> None:
    currencies: dict[str, str] = {}
    for name, text in texts.items():
        if text.marks:
            marks = some((f"'{mark}' ({count})" for mark, count in text.marks.items()), 5)
            findings.change("missing-marks", f"column '{name}': cells were read as empty: {marks}", "", name)
        if text.minus:
            findings.change(
                "minus", f"column '{name}': '{text.minus}' was read as a negative number", "", name
            )
        if text.percent:
            findings.change("percent", f"column '{name}' holds percentages: 50 % was read as 0.5", "", name)
        elif len(text.units) == 1:
            currencies[name] = text.units[0]
            findings.change("currency", f"column '{name}' holds amounts in {text.units[0]}", "", name)
    if len({unit.upper() for unit in currencies.values()}) > 1:
        listed = ", ".join(f"{name} in {unit}" for name, unit in currencies.items())
        findings.warning(
            "several-currencies",
            f"columns hold amounts in different currencies: {listed}",
            "deliver all amounts in one currency, or their ROAS cannot be compared",
        )


def _report_infinite(name: str, rows: pd.Index[int], findings: Findings) -> None:
    findings.error(
        "infinite",
        f"column '{name}' has {len(rows)} infinite value(s)",
        "correct the values; a division by 0 in the source is the usual cause",
        name,
        rows,
    )
