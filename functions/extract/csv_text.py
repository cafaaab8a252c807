"""CSV as people deliver it: several encodings and delimiters, and clear words where a file is broken.

The reader is that of pyarrow; what is ours is to find out how the file is written, and to say which line is
wrong. Every value stays text. Lines are counted from 1 and include the header; empty lines are not counted.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv

from functions.errors import BadSource

ENCODING = b"mmm.encoding"
DELIMITER = b"mmm.delimiter"
"""Keys of the schema's metadata: how the file was read."""

_SAMPLE_BYTES = 256 << 10
_BLOCK_BYTES = 1 << 20
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_SHOWN = 10


@dataclass(frozen=True)
class _Format:
    encoding: str
    delimiter: str
    header: list[str]


def read_batches(name: str, stream: BinaryIO) -> Iterator[pa.RecordBatch]:
    """The rows of a CSV file, every column as text, with names stripped of spaces.

    Comma, semicolon or tab; UTF-8, UTF-16 with a byte order mark, or Latin-1 as Windows writes it (cp1252).
    The schema's metadata name both. `stream` is read twice: to be sure of the encoding, and for the rows.

    Raises:
        BadSource: empty, no rows, NUL bytes, rows of another length than the header, a repeated name.
    """
    form = _format(name, stream)
    ragged = _Ragged(len(form.header))
    schema = _schema(form)
    rows = 0
    try:
        for batch in _open(stream, form, ragged):
            rows += batch.num_rows
            yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
    except pa.ArrowInvalid as error:
        reason = "a row is longer than 1 MB" if "straddling" in str(error) else str(error)
        raise BadSource(f"{name} cannot be read as CSV: {reason}.") from error
    ragged.raise_if_any(name)
    if not rows:
        raise BadSource(f"{name} has a header, but no rows.")


def _schema(form: _Format) -> pa.Schema:
    names = [column.strip() or f"unnamed {i}" for i, column in enumerate(form.header, 1)]
    metadata = {ENCODING: form.encoding, DELIMITER: _DELIMITERS[form.delimiter]}
    return pa.schema([(column, pa.string()) for column in names], metadata)


def _open(stream: BinaryIO, form: _Format, ragged: _Ragged) -> pa_csv.CSVStreamingReader:
    stream.seek(0)
    return pa_csv.open_csv(
        stream,
        # one thread, as only then rows have numbers
        read_options=pa_csv.ReadOptions(encoding=form.encoding, block_size=_BLOCK_BYTES, use_threads=False),
        parse_options=pa_csv.ParseOptions(
            delimiter=form.delimiter, newlines_in_values=True, invalid_row_handler=ragged.skip
        ),
        convert_options=pa_csv.ConvertOptions(default_column_type=pa.string(), strings_can_be_null=False),
    )


@dataclass
class _Ragged:
    """The rows that do not have as many fields as the header."""

    expected: int
    count: int = 0
    lines: list[str] = field(default_factory=list)

    def skip(self, row: pa_csv.InvalidRow) -> str:
        self.count += 1
        if len(self.lines) < _SHOWN:
            self.lines.append(f"line {row.number}: {row.actual_columns} fields instead of {self.expected}")
        return "skip"

    def raise_if_any(self, name: str) -> None:
        if self.count:
            raise BadSource(
                f"{name}: {self.count} row(s) have another number of fields than the header, first "
                f"{self.lines[0]}. Put text that contains the delimiter, and numbers with a decimal comma, "
                "in quotation marks.",
                self.lines,
            )


def _format(name: str, stream: BinaryIO) -> _Format:
    encoding = _encoding(name, stream)
    stream.seek(0)
    head = stream.read(_SAMPLE_BYTES)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    if not text.strip():
        raise BadSource(f"{name} is empty.")
    if len(head) == _SAMPLE_BYTES:
        text = text[: text.rfind("\n") + 1]
        if not text:
            raise BadSource(
                f"{name}: the first line is longer than {_SAMPLE_BYTES >> 10} kB; it must name the columns."
            )
    delimiter = max(_DELIMITERS, key=lambda candidate: _fit(text, candidate))
    rows = _rows(text, delimiter)
    _check_header(name, rows[0])
    if len(rows) == 1 and len(head) < _SAMPLE_BYTES:
        raise BadSource(f"{name} has a header, but no rows.")
    return _Format(encoding.removesuffix("-sig"), delimiter, rows[0])


def _check_header(name: str, header: list[str]) -> None:
    if len(header) == 1:
        raise BadSource(
            f"{name} has only one column, '{header[0][:80]}'. Separate columns by comma, semicolon or tab."
        )
    counts = Counter(column.strip() for column in header if column.strip())
    repeated = [column for column, count in counts.items() if count > 1]
    if repeated:
        raise BadSource(
            f"{name}: the header names these columns more than once: {', '.join(repeated)}. "
            "Give each column a name of its own."
        )


def _rows(text: str, delimiter: str) -> list[list[str]]:
    lines = io.StringIO(text, newline="")
    try:
        return [row for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:  # a field beyond the csv module's limit: this is not the delimiter
        return [[text.splitlines()[0]]]


def _fit(text: str, delimiter: str) -> tuple[float, int]:
    """How well a delimiter explains a text: the share of rows as long as the header, then their length."""
    rows = _rows(text, delimiter)
    length = len(rows[0])
    alike = sum(len(row) == length for row in rows) / len(rows)
    return (alike, length) if length > 1 else (0.0, 1)


def _encoding(name: str, stream: BinaryIO) -> str:
    """The Python codec that decodes the whole stream."""
    stream.seek(0)
    start = stream.read(3)
    marked = next((codec for bom, codec in _BOMS.items() if start.startswith(bom)), None)
    for encoding in [marked] if marked else ["utf-8", "cp1252"]:
        if _decodes(name, stream, encoding):
            return encoding
    expected = "as its byte order mark says" if marked else "and it is not Latin-1 either"
    raise BadSource(
        f"{name} is not {(marked or 'utf-8').removesuffix('-sig').upper()}, {expected}; save it as UTF-8."
    )


def _decodes(name: str, stream: BinaryIO, encoding: str) -> bool:
    """Whether the whole stream is valid in an encoding; what is wrong in every encoding raises."""
    decoder = codecs.getincrementaldecoder(encoding)()
    stream.seek(0)
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
        return False
    if quotes % 2:
        raise BadSource(
            f'{name} holds an odd number of quotation marks ("): one is opened and never closed, or stands '
            "alone in a text, where it must be doubled."
        )
    return True


def _check_nul(name: str, text: str, line: int) -> None:
    if "\0" in text:
        line += text.count("\n", 0, text.index("\0"))
        raise BadSource(
            f"{name} holds a NUL byte in line {line}: it is damaged, or UTF-16 without a byte order mark. "
            "Save it as UTF-8."
        )
