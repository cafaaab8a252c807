"""Reads the rows of a batch from a table: CSV, an Excel workbook, or JSON Lines.

The names of the columns are dotted paths into a request (`search.trials`, `columns.paid_media.0.spend`), and
a cell is written as YAML writes it. An empty cell says nothing, and so does an empty row.
"""

from __future__ import annotations

import codecs
import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import Any

from contracts.base import plain_name, storable
from contracts.request import SettingsError, parse_settings

ENDINGS = (".csv", ".xlsx", ".jsonl")
"""How the names of tables end that can be read."""
MAX_TABLE_BYTES = 4 << 20
_MAX_UNPACKED = 64 << 20
"""Of a workbook."""
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_DELIMITERS = ",;\t"

Row = dict[str, Any] | list[str]
"""What a row says, by dotted path; or a list of the reasons why it says nothing that can be read."""


class TableError(ValueError):
    """A table cannot be read at all; the message says why."""


def read_rows(name: str, content: bytes) -> list[Row]:
    """The rows of a table, in their order; what is no table of rows is told from its name and its content.

    Raises:
        TableError: it is none of the formats, is damaged or too large, or has no rows.
    """
    ending = next((one for one in ENDINGS if name.lower().endswith(one)), None)
    if ending is None:
        raise TableError(f"is none of the tables that are read; they end in {', '.join(ENDINGS)}")
    if len(content) > MAX_TABLE_BYTES:
        raise TableError(f"is larger than {MAX_TABLE_BYTES >> 20} MiB; divide it")
    if ending == ".jsonl":
        rows = [_of_line(line) for line in _text(content).splitlines() if line.strip()]
    else:
        lines = _of_workbook(content) if ending == ".xlsx" else _of_csv(content)
        rows = list(_below_header(lines))
    if not rows:
        raise TableError("has no rows")
    return rows


def _text(content: bytes) -> str:
    """The text of a file in UTF-8, in UTF-16 with its mark, or as Excel writes CSV in the West (cp1252)."""
    for mark, encoding in _BOMS.items():
        if content.startswith(mark):
            try:
                return content[len(mark) :].decode(encoding)
            except UnicodeDecodeError as error:
                raise TableError(f"is not {encoding} text (byte {error.start})") from error
    try:
        return content.decode()
    except UnicodeDecodeError:
        pass
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError as error:
        raise TableError("is neither UTF-8 nor cp1252; save it as UTF-8") from error


def _of_line(line: str) -> Row:
    if not line.lstrip().startswith("{"):
        return ["(whole row): must be a JSON object"]
    try:
        return parse_settings(line.encode(errors="surrogatepass"))
    except SettingsError as error:
        return [f"(whole row): {error}"]


def _of_csv(content: bytes) -> list[list[Any]]:
    text = _text(content)
    first, _, rest = text.partition("\n")
    declared = first.strip().strip('"').lower()
    if declared.startswith("sep=") and len(declared) == len("sep=;"):
        text, delimiter = rest, declared[-1]
    else:
        delimiter = max(_DELIMITERS, key=first.count)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise TableError(f"cannot be read as CSV: {error}") from error


def _of_workbook(content: bytes) -> list[list[Any]]:
    """The cells of the first visible sheet."""
    from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as files:
            if sum(member.file_size for member in files.infolist()) > _MAX_UNPACKED:
                raise TableError(f"is larger than {_MAX_UNPACKED >> 20} MiB when it is unpacked")
        workbook = CalamineWorkbook.from_object(io.BytesIO(content))
        visible = [one.name for one in workbook.sheets_metadata if one.visible == SheetVisibleEnum.Visible]
        if not visible:
            raise TableError("has no visible sheet")
        return [list(row) for row in workbook.get_sheet_by_name(visible[0]).to_python(skip_empty_area=True)]
    except (CalamineError, zipfile.BadZipFile, OSError, RuntimeError) as error:
        raise TableError(f"is damaged, or no workbook of Excel ({error})") from error


def _below_header(lines: Sequence[Sequence[Any]]) -> Iterator[Row]:
    filled = [line for line in lines if any(not _is_empty(cell) for cell in line)]
    if not filled:
        raise TableError("is empty")
    header = [plain_name(str(cell)) for cell in filled[0]]
    while header and not header[-1]:
        header.pop()
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        raise TableError(f"has several columns of the name '{repeated[0]}'")
    for line in filled[1:]:
        yield _of_cells(header, list(line))


def _of_cells(header: Sequence[str], cells: list[Any]) -> Row:
    while len(cells) > len(header) and _is_empty(cells[-1]):
        cells.pop()
    if len(cells) != len(header):
        return [f"(whole row): has {len(cells)} cells, the header {len(header)}"]
    row: dict[str, Any] = {}
    problems = []
    for name, cell in zip(header, cells, strict=True):
        if not _is_empty(cell):
            try:
                row[name] = _value(cell)
            except SettingsError as error:
                problems.append(f"{name}: {error}")
    return problems or row


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _value(cell: Any) -> Any:
    """What a cell says: text as YAML reads it, a number, or a date as text."""
    if isinstance(cell, str):
        return written_value(cell)
    if isinstance(cell, datetime):
        return (cell.date() if cell.time() == time() else cell).isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    value, problems = storable(cell)
    if problems:
        raise SettingsError("; ".join(problems))
    return value


def written_value(text: str) -> Any:
    """The value that a text is in YAML.

    Raises:
        SettingsError: it is none.
    """
    return parse_settings(b"value: " + text.encode(errors="surrogatepass"))["value"]
