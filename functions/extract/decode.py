"""From whatever delivers the data to zstd Parquet, batch by batch: memory does not grow with the rows.

Only decodes. The values of a CSV file stay text, exactly as they stand there, so that validation can say
which rows hold something else than a number or a date.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from functions.errors import BadSource
from functions.extract import csv_text
from functions.ports import ObjectWriter

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAX_COLUMNS = 2_000
_ROWS_PER_GROUP = 65_536
_BYTES_PER_GROUP = 32 << 20
_WRITE_BUFFER = 1 << 20
_BYTES_PER_COLUMN = 1 << 10  # what a column of a batch costs besides its values
_PARQUET = b"PAR1"
_OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or a ZIP archive; save the sheet as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV (UTF-8)",
    b"\x1f\x8b": "gzip-compressed; decompress it first",
    b"BZh": "bzip2-compressed; decompress it first",
    b"\xfd7zXZ": "xz-compressed; decompress it first",
    b"\x28\xb5\x2f\xfd": "zstd-compressed; decompress it first",
    b"PARE": "an encrypted Parquet file; write it without encryption",
    b"%PDF": "a PDF document; export the table as CSV",
}
_TEXT_ENDINGS = (".csv", ".tsv", ".txt")


def write_batches(batches: Iterator[pa.RecordBatch], out: ObjectWriter) -> int:
    """Write Arrow batches as zstd Parquet and return the number of rows.

    Small batches are joined to row groups of at most 65,536 rows. Dictionaries and large types become plain
    ones, integers int64 and decimals double, so that batches whose types differ slightly fit together.

    Raises:
        BadSource: a column name occurs twice, there are more than MAX_COLUMNS, or a type cannot be stored or
            changes on the way.
    """
    first = next(batches, None)
    if first is None:
        raise BadSource("The source answered nothing at all, not even columns.")
    schema = _plain_schema(first.schema)
    try:
        with _buffered(out) as sink, pq.ParquetWriter(sink, schema, compression="zstd") as writer:
            rows = 0
            for table in _row_groups(_chain(first, batches), schema):
                writer.write_table(table, row_group_size=_ROWS_PER_GROUP)
                rows += table.num_rows
            return rows
    except pa.ArrowNotImplementedError as error:
        raise BadSource(
            f"A column has a type that Parquet cannot hold; cast it in the query: {error}"
        ) from error


def decode_upload(name: str, stream: BinaryIO, out: ObjectWriter) -> int:
    """Decode a CSV or Parquet file to zstd Parquet and return the number of rows.

    `stream` is seekable and at its beginning; what it holds is recognised by its content, CSV by the endings
    .csv, .tsv and .txt of its name. The Parquet metadata of a CSV say how it was read (see `csv_text`).

    Raises:
        BadSource: the file is neither, or is damaged; the text says what to do.
    """
    magic = stream.read(8)
    stream.seek(0)
    short = name.rsplit("/", 1)[-1]
    for start, what in _OTHER_FORMATS.items():
        if magic.startswith(start):
            raise BadSource(f"{short} is {what}.")
    if magic.startswith(_PARQUET):
        return _decode_parquet(short, stream, out)
    if not name.lower().endswith(_TEXT_ENDINGS):
        raise BadSource(
            f"{short} is not a Parquet file, and its name does not end in {', '.join(_TEXT_ENDINGS)}. "
            "Upload CSV or Parquet."
        )
    return write_batches(csv_text.read_batches(short, stream), out)


def _decode_parquet(name: str, stream: BinaryIO, out: ObjectWriter) -> int:
    from functions.extract.parquet import read_batches

    try:
        return write_batches(read_batches(name, stream), out)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and type(error) is not OSError:
            raise  # the connection, not the content: for that, pyarrow raises plain OSErrors
        raise BadSource(
            f"{name} is damaged or was cut short; write and upload it again ({error})."
        ) from error


def _chain(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def _row_groups(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Tables of about one row group each, in the types of the schema."""
    pending: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        plain = _cast(batch, schema)  # its size counts: a dictionary may be a thousandth of it
        pending.append(plain)
        rows += plain.num_rows
        size += plain.nbytes + _BYTES_PER_COLUMN * plain.num_columns
        if rows >= _ROWS_PER_GROUP or size >= _BYTES_PER_GROUP:
            yield pa.Table.from_batches(pending, schema)
            pending, rows, size = [], 0, 0
    if rows:
        yield pa.Table.from_batches(pending, schema)


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        raise BadSource(f"A column holds damaged values, or text that is not UTF-8: {error}") from error
    try:
        columns = [
            _plain(column).cast(field.type) for column, field in zip(batch.columns, schema, strict=True)
        ]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise BadSource(
            f"The columns change their type on the way; cast them, for example to DOUBLE: {error}"
        ) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _plain(column: pa.Array) -> pa.Array:
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    if len(schema.names) > MAX_COLUMNS:
        raise BadSource(
            f"There are {len(schema.names):,} columns, and at most {MAX_COLUMNS:,} are read. "
            "Leave out those that the model does not need."
        )
    counts = Counter(schema.names)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise BadSource(f"Columns occur more than once: {', '.join(repeated)}. Give each a name of its own.")
    fields = [pa.field(field.name, _plain_type(field.type)) for field in schema]
    ours = {key: value for key, value in (schema.metadata or {}).items() if key.startswith(b"mmm.")}
    return pa.schema(fields, metadata=ours)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _plain_type(kind.storage_type)
    if types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if types.is_integer(kind):
        return kind if types.is_uint64(kind) else pa.int64()
    if types.is_decimal(kind) or types.is_floating(kind):
        return pa.float64()
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    return kind


def _buffered(out: ObjectWriter) -> io.BufferedWriter:
    return io.BufferedWriter(_Sink(out), _WRITE_BUFFER)


class _Sink(io.RawIOBase):
    """A raw file over something that can only be written to."""

    def __init__(self, out: ObjectWriter) -> None:
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        block = bytes(data)
        self._out.write(block)
        return len(block)
