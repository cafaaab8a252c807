"""Excel workbooks (.xlsx): one sheet, as text.

The reader is calamine, which builds a sheet in memory as a full rectangle, with a copy of a text for every
cell that holds it. So the XML is looked at first, in a stream: how large the rectangle and its texts are, and
which formulas come without a value.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import BinaryIO
from xml.etree import ElementTree
from xml.parsers import expat

import pyarrow as pa
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from functions.errors import BadSource
from functions.extract.headers import header_line, skipped
from functions.extract.packed import archive
from functions.reading import said

MAX_FILE = 64 << 20
MAX_XML = 256 << 20
MAX_SHARED = 64 << 20
MAX_OTHER = 16 << 20
MAX_CELLS = 2_000_000
MAX_TEXT = 128 << 20
"""Bytes of the file; of its sheet, its table of texts and each other part, unpacked; cells of the sheet's
rectangle; characters of its cells."""

SHEET = b"mmm.sheet"
"""Key of the schema's metadata: the name of the sheet that was read."""

_ROWS_PER_BATCH = 10_000
_BLOCK = 1 << 20
_LINES_LOOKED_AT = 200
"""Rows in which the header is looked for."""
_GROUPED = re.compile(r"-?[1-9]\d{0,2}\.\d{3}")
_EXACT = 1e15
"""Whole numbers below it are exact as floats, and written without a decimal point."""
_SMALLER = "save the sheet as CSV, or leave out what the model does not need"
_UNREADABLE: tuple[type[Exception], ...] = (
    CalamineError, expat.ExpatError, ElementTree.ParseError, zipfile.BadZipFile, zlib.error, EOFError,
    KeyError, StopIteration, ValueError, NotImplementedError, RuntimeError,
)  # fmt: skip
"""What reading a damaged workbook raises."""


def read_batches(
    name: str, stream: BinaryIO, wanted: Collection[str], sheet: str | None
) -> Iterator[pa.RecordBatch]:
    """The rows of a sheet, left out: of the first that is visible; every column as text.

    Dates are ISO, numbers have a decimal point, formulas the value that Excel computed. Titles above the
    names of the columns and columns without name and value are left out. The schema's metadata say so.

    Raises:
        BadSource: the workbook is damaged, too large, or has no such sheet, or the sheet has no rows.
    """
    content = stream.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise BadSource(f"{name} is larger than {MAX_FILE >> 20} MB; {_SMALLER}.")
    try:
        with archive(name, io.BytesIO(content)) as files, _opened(files, content) as workbook:
            title, notes = _chosen(name, workbook, sheet)
            formulas = _Scan(name, files, title).formulas
            yield from _batches(name, workbook.get_sheet_by_name(title), wanted, notes, formulas)
    except _UNREADABLE as error:
        raise BadSource(f"{name} is damaged, or no workbook of Excel; save it again ({error}).") from error


def _opened(files: zipfile.ZipFile, content: bytes) -> CalamineWorkbook:
    for member in files.infolist():
        part = member.filename.lower()
        limit = (
            MAX_XML if "sheet" in part else MAX_SHARED if part.endswith("sharedstrings.xml") else MAX_OTHER
        )
        if part.endswith((".xml", ".rels")) and member.file_size > limit:
            raise BadSource(
                f"The workbook's {member.filename} is larger than {limit >> 20} MB when unpacked; {_SMALLER}."
            )
    return CalamineWorkbook.from_object(io.BytesIO(content))


def _chosen(name: str, workbook: CalamineWorkbook, sheet: str | None) -> tuple[str, list[str]]:
    """The sheet to read, and what is said of the choice."""
    sheets = [each for each in workbook.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    listed = ", ".join(f"'{each.name}'" for each in sheets[:20])
    if sheet is not None:
        found = [each.name for each in sheets if each.name.strip().casefold() == sheet.strip().casefold()]
        if not found:
            raise BadSource(f"{name} has no sheet '{sheet}'; it has: {listed}.")
        return found[0], []
    visible = [each.name for each in sheets if each.visible == SheetVisibleEnum.Visible]
    if not visible:
        raise BadSource(f"{name} has no visible sheet.")
    more = visible[1:21]
    note = f"the sheet '{visible[0]}' was read, the first of {len(visible)}; `sheet` can name another: "
    return visible[0], [note + ", ".join(f"'{each}'" for each in more)] if more else []


_Start = Callable[[str, dict[str, str]], None]
_End = Callable[[str], None]


class _Scan:
    """The cells of a sheet as its XML has them, counted without keeping them."""

    def __init__(self, name: str, files: zipfile.ZipFile, title: str) -> None:
        self.formulas: dict[int, str] = {}
        """The first cell of each column (from 0) that holds a formula without a value."""
        self._name = name
        self._row = self._column = self._rows = self._columns = self._characters = 0
        self._kind = self._reference = self._text = ""
        self._inside = self._formula = False
        self._lengths = array("q")
        for member in files.namelist():
            if member.lower() == "xl/sharedstrings.xml":
                self._read(files, member, self._shared_start, self._shared_end)
        self._read(files, _member_of(files, title), self._start, self._end)

    def _read(self, files: zipfile.ZipFile, member: str, start: _Start, end: _End) -> None:
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = start, end
        parser.CharacterDataHandler = self._characters_of
        parser.StartDoctypeDeclHandler = self._doctype
        with files.open(member) as stream:
            while block := stream.read(_BLOCK):
                parser.Parse(block, False)
        parser.Parse(b"", True)

    def _doctype(self, *_: object) -> None:
        raise BadSource(f"{self._name} was not written by Excel: its XML declares entities.")

    def _characters_of(self, text: str) -> None:
        if self._inside:
            self._text += text

    def _shared_start(self, tag: str, _: dict[str, str]) -> None:
        if tag.endswith("}si"):
            self._lengths.append(0)
        self._inside, self._text = tag.endswith("}t"), ""

    def _shared_end(self, tag: str) -> None:
        if self._inside and tag.endswith("}t") and self._lengths:
            self._lengths[-1] += len(self._text)
        self._inside = False

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        kind = tag.rpartition("}")[2]
        if kind == "row":
            self._row, self._column = int(attributes.get("r", self._row + 1)), 0
        elif kind == "c":
            self._place(attributes.get("r", ""))
            self._kind, self._formula, self._text = attributes.get("t", ""), False, ""
        elif kind == "f":
            self._formula = True
        self._inside = kind in ("v", "t")

    def _place(self, reference: str) -> None:
        match = re.fullmatch(r"([A-Z]{1,3})(\d{1,7})", reference)
        self._column += 1
        if match:
            self._column, self._row = _number(match[1]), int(match[2])
        self._rows, self._columns = max(self._rows, self._row), max(self._columns, self._column)
        self._reference = reference
        if self._rows * self._columns > MAX_CELLS:
            raise BadSource(f"{self._name} has a sheet of more than {MAX_CELLS:,} cells; {_SMALLER}.")

    def _end(self, tag: str) -> None:
        self._inside = False
        if tag.rpartition("}")[2] != "c":
            return
        if self._formula and not self._text:
            self.formulas.setdefault(self._column - 1, self._reference)
        shared = self._kind == "s" and self._text.isdecimal() and int(self._text) < len(self._lengths)
        self._characters += self._lengths[int(self._text)] if shared else len(self._text)
        if self._characters > MAX_TEXT:
            raise BadSource(f"{self._name} has a sheet of more than {MAX_TEXT >> 20} MB of text; {_SMALLER}.")


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number


def _member_of(files: zipfile.ZipFile, title: str) -> str:
    """The part of a workbook that holds a sheet."""
    sheets = ElementTree.fromstring(files.read("xl/workbook.xml")).iter()  # noqa: S314 (expat bounds entities)
    found = next(each for each in sheets if each.tag.endswith("}sheet") and each.get("name") == title)
    relation = next(value for key, value in found.items() if key.endswith("}id"))
    relations = ElementTree.fromstring(files.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    target = next(each.get("Target", "") for each in relations if each.get("Id") == relation)
    return posixpath.normpath(posixpath.join("xl", target)) if target[:1] != "/" else target[1:]


def _batches(
    name: str, sheet: CalamineSheet, wanted: Collection[str], notes: list[str], formulas: dict[int, str]
) -> Iterator[pa.RecordBatch]:
    head = [_texts(row) for row in islice(sheet.iter_rows(), _LINES_LOOKED_AT)]
    line = header_line(head, wanted)
    if len(head) < line + 2:
        raise BadSource(f"{name} has no rows in its sheet '{sheet.name}'.")
    filled = {i for row in islice(sheet.iter_rows(), line, None) for i, cell in enumerate(row) if cell != ""}
    kept = sorted(filled)
    first = sheet.start[1] if sheet.start else 0
    names = [head[line][i].strip() or f"unnamed {i + 1}" for i in kept]
    unusable = {
        column: f"it holds formulas without a value, first in cell {formulas[i + first]}; open the workbook "
        "in Excel and save it"
        for i, column in zip(kept, names, strict=True)
        if i + first in formulas
    }
    metadata = {SHEET: sheet.name.encode()} | said([*notes, skipped(head[:line])], unusable)
    schema = pa.schema([(column, pa.string()) for column in names], metadata)
    rows = islice(sheet.iter_rows(), line + 1, None)
    while block := [_texts(row) for row in islice(rows, _ROWS_PER_BATCH)]:
        yield pa.RecordBatch.from_arrays(
            [pa.array([row[i] for row in block], pa.string()) for i in kept], schema=schema
        )


def _texts(row: Sequence[object]) -> list[str]:
    return [_text(cell) for cell in row]


def _text(cell: object) -> str:
    """A value as a CSV file would have it, and a number so that it can only mean one thing."""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        text = str(int(cell)) if cell.is_integer() and abs(cell) < _EXACT else repr(cell)
        return f"{text}0" if _GROUPED.fullmatch(text) else text
    if isinstance(cell, datetime):
        return cell.isoformat(" ").removesuffix(" 00:00:00")
    return str(cell)
