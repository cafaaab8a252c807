"""From whatever delivers the data to zstd Parquet, batch by batch: memory does not grow with the rows.

Only decodes. The values of a CSV file stay text, exactly as they stand there, so that validation can say
which rows hold something else than a number or a date.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from functions.errors import BadSource
from functions.extract import csv_text, parquet
from functions.extract.packed import archive, packing, unpacked
from functions.ports import ObjectWriter
from functions.reading import NESTED, ours, said, unusable_in

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAX_COLUMNS = 2_000
MAX_CELLS = 200_000_000
"""Rows × columns of a source: a query that answers with more is stopped while it streams."""
_ROWS_PER_GROUP = 65_536
_BYTES_PER_GROUP = 32 << 20
_WRITE_BUFFER = 1 << 20
_BYTES_PER_COLUMN = 1 << 10  # what a column of a batch costs besides its values
_PARQUET = b"PAR1"
_OTHER_FORMATS = {
    b"\xd0\xcf\x11\xe0": "an old Excel workbook, or one with a password; save it as .xlsx without a password",
    b"BZh": "bzip2-compressed; decompress it first",
    b"\xfd7zXZ": "xz-compressed; decompress it first",
    b"\x28\xb5\x2f\xfd": "zstd-compressed; decompress it first",
    b"PARE": "an encrypted Parquet file; write it without encryption",
    b"%PDF": "a PDF document; export the table as CSV",
}
_TEXT_ENDINGS = (".csv", ".tsv", ".tab", ".txt")
_MAX_WHOLE = 64 << 20  # a Parquet file or a workbook that is packed must be unpacked into memory
_STORED = (
    (pa.string(), (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)),
    (pa.binary(), (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)),
    (pa.date32(), (pa.types.is_date,)),
    (pa.time64("us"), (pa.types.is_time,)),
    (pa.duration("us"), (pa.types.is_duration,)),
)
"""The type in which columns of these types are stored."""


def write_batches(batches: Iterator[pa.RecordBatch], out: ObjectWriter) -> int:
    """Write Arrow batches as zstd Parquet and return the number of rows.

    Small batches are joined to row groups of at most 65,536 rows. Dictionaries and large types become plain
    ones, integers int64, decimals double and times those of microseconds, so that batches whose types differ
    slightly fit together. A column that cannot be kept (lists, maps, structs; a type that changes on the way;
    damaged values) is empty or left out, and the metadata say why (see functions.reading): it matters only to
    whoever asks for it.

    Raises:
        BadSource: there is nothing at all, or there are more than MAX_COLUMNS or MAX_CELLS.
    """
    first = next(batches, None)
    if first is None:
        raise BadSource("The source answered nothing at all, not even columns.")
    columns = _Columns(first.schema)
    with _buffered(out) as sink, pq.ParquetWriter(sink, columns.schema, compression="zstd") as writer:
        rows = 0
        for table in _row_groups(chain([first], batches), columns):
            writer.write_table(table, row_group_size=_ROWS_PER_GROUP)
            rows += table.num_rows
            if rows * table.num_columns > MAX_CELLS:
                raise BadSource(
                    f"The source has more than {MAX_CELLS:,} cells ({rows:,} rows × {table.num_columns} "
                    "columns so far); filter or aggregate it, or ask for fewer columns."
                )
        writer.add_key_value_metadata(said(unusable=columns.unusable))
        return rows


def stored(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Arrow batches in the types in which a dataset would store them; the first table may have no rows.

    Raises:
        BadSource: there is nothing at all, or there are more than MAX_COLUMNS.
    """
    first = next(batches, None)
    if first is None:
        raise BadSource("The source answered nothing at all, not even columns.")
    columns = _Columns(first.schema)
    for batch in chain([first], batches):
        table = pa.Table.from_batches([columns.cast(batch)], columns.schema)
        told = {**(columns.schema.metadata or {}), **said(unusable=columns.unusable)}
        yield table.replace_schema_metadata(told)


def read_batches(
    name: str, stream: BinaryIO, wanted: Collection[str], sheet: str | None, stack: ExitStack
) -> Iterator[pa.RecordBatch]:
    """The rows of a file; `stack` closes what must be open while they are read.

    CSV, Parquet, a sheet of an Excel workbook, or one CSV or Parquet file in gzip or ZIP. `stream` is
    seekable and at its beginning; what it holds is recognised by its content, CSV by the ending of its name.
    `wanted` are the columns that somebody asked for: they tell where the header is. The metadata of the
    batches' schema say how the file was read (see functions.reading).

    Raises:
        BadSource: it is of none of the formats, or is damaged.
    """
    magic = stream.read(8)
    stream.seek(0)
    for start, what in _OTHER_FORMATS.items():
        if magic.startswith(start):
            raise BadSource(f"{name} is {what}.")
    kind = packing(magic)
    if kind == "zip" and _is_workbook(name, stream):
        from functions.extract import workbook

        return workbook.read_batches(name, stream, wanted, sheet)
    if kind:
        inner = stack.enter_context(unpacked(name, stream, kind))
        return read_batches(inner.name, _unpacked(name, inner.stream), wanted, sheet, stack)
    if sheet is not None:
        raise BadSource(f"`sheet` names a sheet of a workbook, but {name} is none; leave `sheet` out.")
    if magic.startswith(_PARQUET):
        return parquet.read_batches(name, stream)
    if not name.lower().endswith(_TEXT_ENDINGS) and "." in name:
        raise BadSource(
            f"{name} is neither Parquet nor an Excel workbook, and its name does not end in "
            f"{', '.join(_TEXT_ENDINGS)}. Upload CSV, Parquet or .xlsx."
        )
    return csv_text.read_batches(name, stream, wanted)


def _is_workbook(name: str, stream: BinaryIO) -> bool:
    """Whether a ZIP archive is an Excel workbook.

    Raises:
        BadSource: it is damaged, or a workbook of a kind that is not read.
    """
    with archive(name, stream) as files:
        members = set(files.namelist())
    stream.seek(0)
    if members & {"xl/workbook.bin", "content.xml"}:
        raise BadSource(f"{name} is a workbook, but not .xlsx; save it as .xlsx or CSV.")
    return "xl/workbook.xml" in members


def _unpacked(name: str, stream: BinaryIO) -> BinaryIO:
    """What was unpacked, in memory if it must be read from several places, which in a packed file is slow."""
    magic = stream.read(8)
    stream.seek(0)
    kind = packing(magic)
    if not kind and not magic.startswith(_PARQUET):
        return stream
    content = io.BytesIO(stream.read(_MAX_WHOLE + 1))
    if content.getbuffer().nbytes > _MAX_WHOLE:
        raise BadSource(
            f"{name} is larger than {_MAX_WHOLE >> 20} MB when it is unpacked; upload what is in it."
        )
    if kind and not (kind == "zip" and _is_workbook(name, content)):
        raise BadSource(f"{name} is compressed twice; upload what is in it.")
    return content


def _row_groups(batches: Iterator[pa.RecordBatch], columns: _Columns) -> Iterator[pa.Table]:
    """Tables of about one row group each, in the types of the dataset."""
    pending: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        plain = columns.cast(batch)  # its size counts: a dictionary may be a thousandth of it
        pending.append(plain)
        rows += plain.num_rows
        size += plain.nbytes + _BYTES_PER_COLUMN * plain.num_columns
        if rows >= _ROWS_PER_GROUP or size >= _BYTES_PER_GROUP:
            yield pa.Table.from_batches(pending, columns.schema)
            pending, rows, size = [], 0, 0
    if rows:
        yield pa.Table.from_batches(pending, columns.schema)


class _Columns:
    """The columns of a dataset, made from those that are delivered."""

    def __init__(self, delivered: pa.Schema) -> None:
        if len(delivered.names) > MAX_COLUMNS:
            raise BadSource(
                f"There are {len(delivered.names):,} columns, and at most {MAX_COLUMNS:,} are read. "
                "Leave out those that the model does not need."
            )
        kinds = [plain_type(field.type) for field in delivered]
        self._names = delivered.names
        self._kept = [i for i, kind in enumerate(kinds) if kind is not None]
        self.unusable = unusable_in(delivered.metadata) | {
            field.name: NESTED.format(str(field.type)[:80])
            for field, kind in zip(delivered, kinds, strict=True)
            if kind is None
        }
        if not self._kept:
            raise BadSource("No column holds numbers, texts or times. Deliver one value per cell.")
        fields = [(self._names[i], kinds[i]) for i in self._kept]
        self.schema = pa.schema(fields, ours(delivered.metadata))

    def cast(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch in the types of the dataset."""
        if batch.schema.names != self._names:
            raise BadSource(
                "The columns change on the way: some rows have other columns than the first ones."
            )
        columns = [
            self._cast(batch.column(i), field) for i, field in zip(self._kept, self.schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _cast(self, column: pa.Array, field: pa.Field) -> pa.Array:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            return self._lost(column, field, f"it holds damaged values, or text that is not UTF-8 ({error})")
        try:
            plain = column.storage if isinstance(column, pa.ExtensionArray) else column
            return plain.cast(field.type, safe=getattr(plain.type, "unit", "") != "ns")
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
            change = f"it changes its type from {field.type} to {str(column.type)[:80]}"
            return self._lost(column, field, f"{change}; cast it, for example to DOUBLE ({error})")

    def _lost(self, column: pa.Array, field: pa.Field, why: str) -> pa.Array:
        self.unusable.setdefault(field.name, why[:500])
        return pa.nulls(len(column), field.type)


def plain_type(kind: pa.DataType) -> pa.DataType | None:
    """How values of a type are stored; None if they are not."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if types.is_integer(kind):
        return kind if types.is_uint64(kind) else pa.int64()
    if types.is_decimal(kind) or types.is_floating(kind):
        return pa.float64()
    for stored, alike in _STORED:
        if any(is_kind(kind) for is_kind in alike):
            return stored
    if types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    return kind if types.is_null(kind) or types.is_boolean(kind) or types.is_fixed_size_binary(kind) else None


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
