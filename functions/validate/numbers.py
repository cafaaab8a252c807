"""From text to numbers, without guessing.

`1,5` can only have a decimal comma, `1,234.5` only a decimal point; `1.234` may be either. What is certain in
a column decides for its other cells, then what is certain in the whole file; if nothing is, it is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from functions.validate.findings import Findings, some

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

_MISSING = pa.array(["", "na", "n/a", "nan", "null", "none"])
_SPACED = r"^[+-]?\d{1,3}(?:[ '’\x{a0}\x{202f}\x{2009}]\d{3})+(?:[.,]\d+)?$"
_SPACES = r"[ '’\x{a0}\x{202f}\x{2009}]"
_INFINITE = r"^[+-]?(?i:inf|infinity)$"
_MAYBE_GROUPED = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"


def _shape(decimal: str, group: str) -> str:
    exponent = r"(?:[eE][+-]?\d+)?"
    plain = rf"\d*{decimal}\d+{exponent}|\d+{decimal}?{exponent}"
    return rf"^[+-]?(?:{plain}|[1-9]\d{{0,2}}(?:{group}\d{{3}})+(?:{decimal}\d+)?)$"


_SHAPES = {"point": _shape(r"\.", ","), "comma": _shape(",", r"\.")}


@dataclass(frozen=True)
class _Text:
    """A column of text, classified cell by cell."""

    cells: pa.ChunkedArray
    missing: Mask
    infinite: Mask
    fits: Mapping[str, Mask]

    @classmethod
    def of(cls, values: pa.ChunkedArray) -> _Text:
        cells = pc.utf8_trim_whitespace(values)
        spaced = pc.match_substring_regex(cells, _SPACED)
        cells = pc.if_else(spaced, pc.replace_substring_regex(cells, _SPACES, ""), cells)
        fits = {style: _mask(pc.match_substring_regex(cells, shape)) for style, shape in _SHAPES.items()}
        missing = _mask(pc.is_in(pc.utf8_lower(cells), _MISSING)) | _mask(pc.is_null(cells))
        return cls(cells, missing, _mask(pc.match_substring_regex(cells, _INFINITE)), fits)

    @property
    def votes(self) -> dict[str, int]:
        point, comma = self.fits["point"], self.fits["comma"]
        return {"point": int((point & ~comma).sum()), "comma": int((comma & ~point).sum())}

    @property
    def ambiguous(self) -> Mask:
        separated = _mask(pc.match_substring_regex(self.cells, "[.,]"))
        return self.fits["point"] & self.fits["comma"] & separated

    def numbers(self, style: str) -> Floats:
        """The numbers in one style, NaN where a cell is none."""
        decimal, group = (".", ",") if style == "point" else (",", ".")
        plain = pc.replace_substring(pc.replace_substring(self.cells, group, ""), decimal, ".")
        known = pa.array(self.fits[style] | self.infinite)
        text = pc.if_else(known, plain, pa.scalar(None, pa.string()))
        numbers = pd.to_numeric(text.to_pandas(), errors="coerce")
        return np.asarray(numbers.to_numpy(np.float64, na_value=np.nan))


def _mask(values: pa.ChunkedArray) -> Mask:
    return np.asarray(pc.fill_null(values, False).to_numpy(), dtype=bool)


def read_numbers(
    columns: Mapping[str, pa.ChunkedArray], rows: pd.Index[int], delimiter: str | None, findings: Findings
) -> tuple[pd.DataFrame, dict[str, pd.Index[int]]]:
    """Columns as float64, and per column the rows whose value could not be used (they are NaN).

    `rows` (N) are the numbers of the source rows, `delimiter` the word for a CSV file's delimiter, if it was
    one. Empty cells and NA, N/A, NaN, null, none are missing. Text in a number column, a number that may mean
    two things, and an infinite value are errors.
    """
    numbers = {name: _plain(values) for name, values in columns.items()}
    texts = {
        name: _Text.of(columns[name]) for name in columns if numbers[name] is None and _is_text(columns[name])
    }
    votes = _sum_votes(texts)
    unusable: dict[str, Mask] = {}
    for name, values in columns.items():
        if name in texts:
            style = _style(texts[name], votes, delimiter)
            numbers[name], unusable[name] = _from_text(name, texts[name], style, rows, findings)
        elif numbers[name] is None:
            numbers[name], unusable[name] = _of_wrong_type(name, values, rows, findings)
    frame = pd.DataFrame(numbers, index=rows, dtype=np.float64)
    _report_styles(texts, votes, delimiter, findings)
    for name in columns:
        infinite = _reject_infinite(name, frame, findings)
        unusable[name] = unusable.get(name, np.zeros(len(rows), bool)) | infinite
    return frame, {name: rows[mask] for name, mask in unusable.items() if mask.any()}


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
        missing = pc.is_in(pc.utf8_lower(cells), _MISSING)
        return _floats(pc.if_else(missing, pa.scalar(None, pa.string()), cells))
    except pa.ArrowInvalid:
        return None


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
            return "comma" if votes["comma"] > votes["point"] else "point"
    with_comma = _mask(pc.match_substring(text.cells, ",")) & text.ambiguous
    certain = delimiter in (None, "comma") and not with_comma.any()
    return "point" if certain or not text.ambiguous.any() else None


def _from_text(
    name: str, text: _Text, style: str | None, rows: pd.Index[int], findings: Findings
) -> tuple[Floats, Mask]:
    numbers = text.numbers(style or "point")
    fits = text.fits[style or "point"]
    unusable = ~(text.missing | text.infinite | fits)
    if unusable.any():
        _report_text(name, text, unusable, rows, findings)
    if style is None:
        findings.error(
            "ambiguous-number",
            f"column '{name}' has numbers that may mean two things, for example "
            f"{_examples(text, text.ambiguous)}: a decimal sign, or a thousands separator?",
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
    findings.error(
        "not-a-number",
        f"column '{name}' has {int(unusable.sum())} value(s) that are not numbers, for example "
        f"{_examples(text, unusable)}",
        advice,
        name,
        rows[unusable],
    )


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


def _reject_infinite(name: str, frame: pd.DataFrame, findings: Findings) -> Mask:
    infinite = np.asarray(np.isinf(frame[name].to_numpy()), dtype=bool)
    if infinite.any():
        findings.error(
            "infinite",
            f"column '{name}' has {int(infinite.sum())} infinite value(s)",
            "correct the values; a division by 0 in the source is the usual cause",
            name,
            frame.index[infinite],
        )
        frame.loc[infinite, name] = np.nan
    return infinite
