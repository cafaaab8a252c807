"""CSV as people deliver it: several encodings and delimiters, titles above the header, rows that are too
short or too long, and clear words where a file is broken.

The reader is that of pyarrow; what is ours is to find out how the file is written, to mend rows where only
one reading is possible, and to say which line is wrong. Every value stays text. Lines are counted from 1 and
include the header and what stands above it; empty lines are not counted.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from functions.errors import BadSource
from functions.extract.headers import header_line, named, skipped
from functions.extract.wrapped import is_wrapped, unwrapped, unwrapping
from functions.reading import said

ENCODING = b"mmm.encoding"
DELIMITER = b"mmm.delimiter"
"""Keys of the schema's metadata: how the file was read."""

_SAMPLE_BYTES = 256 << 10
_BLOCK_BYTES = 1 << 20
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_SEPARATOR_LINE = re.compile(r"\ufeff?\"?sep=(.)\"?[,;\t| ]*[\r\n]+", re.IGNORECASE)
_SINGLE_QUOTED = re.compile(r"'[^'\r\n]*'([,;\t|]'[^'\r\n]*')+[,;\t|]?\s*(?:[\r\n]|$)")
_ESCAPED = re.compile(r'\\"(?![,;\t|\r\n]|$)')
_FORMULA = re.compile(r'^="([^"]*)"$')
"""Text that a spreadsheet must not read as a number: `="007"`."""
_LOOKED_AT = 4096
"""Characters at the beginning from which encoding and quotes are told."""
_MOST_MENDED = 100_000
"""Rows of another length than the header that are mended at most."""
_SHOWN = 10
"""Line numbers that a message names."""


class _Dialect(NamedTuple):
    """How the fields of a line are written."""

    delimiter: str
    quote: str = '"'
    escape: str | None = None
    wrapped: bool = False
    """Whether each line as a whole stands in quotes, those in it doubled."""

    def rows(self, text: str) -> list[_Row]:
        """The rows of a text that are not empty, with the number of characters up to the end of each."""
        lines = list(io.StringIO(text, newline=""))
        reader = csv.reader(
            map(unwrapped, lines) if self.wrapped else lines,
            delimiter=self.delimiter,
            quotechar=self.quote,
            escapechar=self.escape,
            skipinitialspace=False,
        )
        ends = [0, *accumulate(map(len, lines))]
        try:
            return [
                _Row([_FORMULA.sub(r"\1", cell) for cell in fields], ends[reader.line_num])
                for fields in reader
                if fields
            ]
        except csv.Error:  # a field beyond the csv module's limit: this is not the delimiter
            return [_Row([lines[0]], ends[1])]


class _Row(NamedTuple):
    fields: list[str]
    end: int


@dataclass(frozen=True)
class _Format:
    encoding: str
    dialect: _Dialect
    header: list[str]
    """The name of every column; empty where the file has none."""
    start: int
    """Where the rows begin, in bytes."""
    lines: int
    """Number of non-empty lines above them."""
    notes: list[str]


def read_batches(name: str, stream: BinaryIO, wanted: Collection[str] = ()) -> Iterator[pa.RecordBatch]:
    """The rows of a CSV file, every column as text, with names stripped of spaces.

    Comma, semicolon, tab or bar; UTF-8, UTF-16 or UTF-32, or Latin-1 as Windows writes it (cp1252). The
    header is the line that holds the `wanted` names. The schema's metadata say how the file was read.
    `stream` is read twice: to be sure of the encoding, and for the rows.

    Raises:
        BadSource: empty, no rows, NUL bytes, rows of another length than the header.
    """
    form = _format(name, stream, wanted)
    odd = _OddRows(form)
    schema = _schema(form)
    rows = 0
    try:
        for batch in _spliced(_open(name, stream, form, odd), odd, schema):
            rows += batch.num_rows
            yield batch
    except pa.ArrowInvalid as error:
        reason = "a row is longer than 1 MB" if "straddling" in str(error) else str(error)
        raise BadSource(f"{name} cannot be read as CSV: {reason}.") from error
    odd.raise_if_any(name)
    if not rows:
        raise BadSource(f"{name} has a header, but no rows.")


def _schema(form: _Format) -> pa.Schema:
    names = [column.strip() or f"unnamed {i}" for i, column in enumerate(form.header, 1)]
    metadata = {ENCODING: form.encoding.encode(), DELIMITER: _DELIMITERS[form.dialect.delimiter].encode()}
    return pa.schema([(column, pa.string()) for column in names], metadata | said(form.notes))


def _open(name: str, stream: BinaryIO, form: _Format, odd: _OddRows) -> pa_csv.CSVStreamingReader:
    stream.seek(form.start)
    dialect, encoding = form.dialect, form.encoding
    if dialect.wrapped:
        stream, encoding = unwrapping(name, stream, encoding), "utf-8"
    return pa_csv.open_csv(
        stream,
        read_options=pa_csv.ReadOptions(
            encoding=encoding,
            block_size=_BLOCK_BYTES,
            use_threads=False,  # only then rows have numbers
            column_names=[str(i) for i in range(len(form.header))],
        ),
        parse_options=pa_csv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char=dialect.quote,
            escape_char=dialect.escape or False,
            newlines_in_values=True,
            invalid_row_handler=odd.take,
        ),
        convert_options=pa_csv.ConvertOptions(default_column_type=pa.string(), strings_can_be_null=False),
    )


def _spliced(batches: Iterator[pa.RecordBatch], odd: _OddRows, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows as pyarrow reads them, and those that were mended, each in its place."""
    number, first = 1, ""  # of the next row in the file; the first cell of the last one
    for batch in map(_without_formulas, batches):
        done = 0
        while done < batch.num_rows:
            if odd.rows and odd.rows[0].number <= number:
                row = odd.rows.popleft()
                number += row.count
                if row.fields:
                    yield _one_row(odd.mended(row), schema)
                continue
            count = min(odd.rows[0].number - number if odd.rows else batch.num_rows, batch.num_rows - done)
            yield pa.RecordBatch.from_arrays(batch.slice(done, count).columns, schema=schema)
            number, done = number + count, done + count
        if batch.num_rows:
            first = batch.column(0)[-1].as_py()
    for row in odd.rows:
        if row.fields:
            yield _one_row(odd.mended(row, last=first), schema)


def _without_formulas(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with formulas that only hold a text replaced by that text."""
    columns = [
        pc.replace_substring_regex(column, _FORMULA.pattern, r"\1")
        if pc.any(pc.starts_with(column, '="')).as_py()
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _one_row(fields: list[str], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([cell], pa.string()) for cell in fields], schema=schema)


@dataclass
class _OddRow:
    """A row with another number of fields than the header, or several empty ones."""

    number: int
    fields: list[str]
    count: int = 1


class _OddRows:
    """The rows that do not have as many fields as the header.

    Rows without any value are skipped. Surplus fields without a value are left out. What stands below the
    last whole row, and does not begin as that does, is a total or a note, which validation looks at.
    """

    def __init__(self, form: _Format) -> None:
        self.rows: deque[_OddRow] = deque()
        self._form = form
        self._expected = len(form.header)
        self._kept = 0
        self._count = 0
        self._longer = True
        self._lines: list[tuple[int, str]] = []

    def take(self, row: pa_csv.InvalidRow) -> str:
        """What pyarrow calls for each of them."""
        number = row.number or 0
        parsed = self._form.dialect.rows(row.text)
        fields = parsed[0].fields if parsed else []
        empty = not any(cell.strip() for cell in fields)
        self._kept += not empty
        if not empty and (
            self._kept > _MOST_MENDED or any(cell.strip() for cell in fields[self._expected :])
        ):
            self._tell(number, row.actual_columns)
            empty = True
        before = self.rows[-1] if self.rows else None
        if empty and before and not before.fields and before.number + before.count == number:
            before.count += 1
        else:
            self.rows.append(_OddRow(number, [] if empty else fields))
        return "skip"

    def mended(self, row: _OddRow, last: str | None = None) -> list[str]:
        """The row as long as the header; `last` is the first cell of the file's last whole row."""
        missing = self._expected - len(row.fields)
        first = next(cell for cell in row.fields if cell.strip())
        if missing > 0 and (
            last is None or not re.search(r"[^\W\d_]", first) or _shape(first) == _shape(last)
        ):
            self._tell(row.number, len(row.fields))
        return (row.fields + [""] * max(missing, 0))[: self._expected]

    def _tell(self, number: int, fields: int) -> None:
        self._count += 1
        self._longer &= fields == self._expected + 1
        if len(self._lines) < _SHOWN:
            line = number + self._form.lines
            self._lines.append((line, f"line {line}: {fields} fields instead of {self._expected}"))

    def raise_if_any(self, name: str) -> None:
        if not self._count:
            return
        advice = "Put text that contains the delimiter, and numbers with a decimal comma, in quotation marks."
        if self._longer and self._count > 1:
            advice = f"Each has one more: name every column in the header, also one of row numbers. {advice}"
        lines = [text for _, text in sorted(self._lines)]
        raise BadSource(
            f"{name}: {self._count} row(s) have another number of fields than the header, first "
            f"{lines[0]}. {advice}",
            lines,
        )


def _shape(text: str) -> str:
    """What kind of characters a text is made of."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text.strip()))


def _format(name: str, stream: BinaryIO, wanted: Collection[str]) -> _Format:
    encoding, mark, quotes = _encoding(name, stream)
    stream.seek(mark)
    head = stream.read(_SAMPLE_BYTES)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    declared = _SEPARATOR_LINE.match(text)
    offset = declared.end() if declared else 0
    if not text[offset:].strip():
        raise BadSource(f"{name} is empty.")
    if len(head) == _SAMPLE_BYTES:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1]
        if not text:
            raise BadSource(
                f"{name}: the first line is longer than {_SAMPLE_BYTES >> 10} kB; it must name the columns."
            )
    dialect = _dialect(name, text[offset:], wanted, declared[1] if declared else None)
    if dialect.quote == '"' and not dialect.escape and quotes % 2:
        raise BadSource(
            f'{name} holds an odd number of quotation marks ("): one is opened and never closed, or stands '
            "alone in a text, where it must be doubled."
        )
    rows = dialect.rows(text[offset:])
    fields = [row.fields for row in rows]
    line = header_line(fields, wanted)
    header = _header(name, fields[line], fields[line + 1 :])
    if len(rows) == line + 1 and len(head) < _SAMPLE_BYTES:
        raise BadSource(f"{name} has a header, but no rows.")
    return _Format(
        encoding,
        dialect,
        header,
        mark + len(text[: offset + rows[line].end].encode(encoding)),
        line + 1 + bool(declared),
        [skipped(fields[:line])],
    )


def _dialect(name: str, text: str, wanted: Collection[str], declared: str | None) -> _Dialect:
    quote = "'" if _SINGLE_QUOTED.search(text[:_LOOKED_AT]) and '"' not in text[:_LOOKED_AT] else '"'
    escape = "\\" if quote == '"' and _ESCAPED.search(text) else None
    if declared is not None:
        if declared not in _DELIMITERS:
            raise BadSource(f"{name} says sep={declared}. Separate columns by {_named_delimiters()}.")
        return _Dialect(declared, quote, escape, is_wrapped(text))
    possible = [_Dialect(delimiter, quote, escape, is_wrapped(text)) for delimiter in _DELIMITERS]
    return max(possible, key=lambda dialect: _fit(text, dialect, wanted))


def _named_delimiters() -> str:
    *most, last = _DELIMITERS.values()
    return f"{', '.join(most)} or {last}"


def _header(name: str, header: list[str], rows: list[list[str]]) -> list[str]:
    """The names of the columns, as many as most rows have fields where only empty ones are more or less."""
    usual = Counter(len(row) for row in rows).most_common(1)
    length = usual[0][0] if usual else len(header)
    if length > len(header) and not any(cell.strip() for row in rows for cell in row[len(header) :]):
        header = header + [""] * (length - len(header))
    elif length < len(header) and not any(cell.strip() for cell in header[length:]):
        header = header[:length]
    if len(header) == 1:
        raise BadSource(
            f"{name} has only one column, '{header[0].strip()[:80]}'. Separate columns by "
            f"{_named_delimiters()}."
        )
    return header


def _fit(text: str, dialect: _Dialect, wanted: Collection[str]) -> tuple[int, float, int]:
    """How well a delimiter explains a text: names found, the share of rows that are alike, their length."""
    rows = [row.fields for row in dialect.rows(text)]
    length, count = Counter(len(row) for row in rows).most_common(1)[0]
    found = max(named(rows, wanted), default=0)
    return (found, count / len(rows), length) if length > 1 else (0, 0.0, 1)


def _encoding(name: str, stream: BinaryIO) -> tuple[str, int, int]:
    """The codec that decodes the whole stream, the length of its byte order mark, the number of quotes."""
    stream.seek(0)
    start = stream.read(_LOOKED_AT)
    marked = next(((codec, len(bom)) for bom, codec in _BOMS.items() if start.startswith(bom)), None)
    unmarked = _wide(start)
    possible = [marked] if marked else [(unmarked, 0)] if unmarked else [("utf-8", 0), ("cp1252", 0)]
    for encoding, mark in possible:
        quotes = _quotes(name, stream, encoding, mark)
        if quotes is not None:
            return encoding, mark, quotes
    tried = possible[0][0].upper().removesuffix("-LE").removesuffix("-BE")
    expected = "as its byte order mark says" if marked else "and it is not Latin-1 either"
    raise BadSource(f"{name} is not {tried}, {expected}; save it as UTF-8.")


def _wide(start: bytes) -> str | None:
    """UTF-16 without a byte order mark: every second byte is NUL where the text is ASCII."""
    even, odd = start[::2], start[1::2]
    most = 0.9 * min(len(even), len(odd))
    for encoding, nul, other in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if len(start) > 3 and nul.count(0) > most and not other.count(0):
            return encoding
    return None


def _quotes(name: str, stream: BinaryIO, encoding: str, mark: int) -> int | None:
    """The number of quotation marks; None if the stream is not valid in an encoding. A NUL in it raises."""
    decoder = codecs.getincrementaldecoder(encoding)()
    stream.seek(mark)
    line, quotes, last = 1, 0, False
    try:
        while not last:
            chunk = stream.read(_BLOCK_BYTES)
            last = not chunk
            text = decoder.decode(chunk, final=last)
            _check_nul(name, text, line)
            line += text.count("\n")
            quotes += text.count('"')
    except UnicodeDecodeError:
        return None
    return quotes


def _check_nul(name: str, text: str, line: int) -> None:
    if "\0" in text:
        line += text.count("\n", 0, text.index("\0"))
        raise BadSource(
            f"{name} holds a NUL byte in line {line}: it is damaged, or UTF-16 without a byte order mark. "
            "Save it as UTF-8."
        )
