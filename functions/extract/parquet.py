"""Parquet as people upload it: a small file may decode to a huge one, so memory must be bounded.

The footer says how large the row groups are before any is read, text is read as dictionaries, and a batch is
cut until what it decodes to is small.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from functions.errors import BadSource
from functions.reading import NESTED, said

MAX_FOOTER = 32 << 20
MAX_ROW_GROUP = 192 << 20
MAX_DECODED = 4 << 30
"""Bytes of the footer, of one row group before compression, and of all rows together."""
_CELLS_PER_BATCH = 1 << 20
_ROWS_PER_BATCH = 1 << 16
_BYTES_PER_SLICE = 32 << 20
_MB = 1 << 20
_TEXT = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
    pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
)  # fmt: skip
"""What is read as dictionaries."""


def read_batches(name: str, stream: BinaryIO) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file, in batches that decode to about 32 MB at most.

    Raises:
        BadSource: the file is damaged, has no rows, no column without lists, maps or structs, or more than
            fits into the bounds.
    """
    with telling_damage(name):
        yield from within_bounds(name, read_rows(name, stream))


@contextmanager
def telling_damage(name: str) -> Iterator[None]:
    """Raise BadSource where the block finds a file damaged."""
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and type(error) is not OSError:
            raise  # the connection, not the content: for that, pyarrow raises plain OSErrors
        raise BadSource(
            f"{name} is damaged or was cut short; write and upload it again ({error})."
        ) from error


def within_bounds(name: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches, as long as they decode to no more than MAX_DECODED.

    Raises:
        BadSource: they decode to more.
    """
    decoded = 0
    for batch in batches:
        decoded += _decoded_bytes(batch)
        if decoded > MAX_DECODED:
            raise BadSource(
                f"{name} decodes to more than {MAX_DECODED // _MB} MB; upload only the rows and columns "
                "that the model needs."
            )
        yield batch


def read_rows(name: str, stream: BinaryIO) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file, without a bound on all of them together.

    Raises:
        BadSource: no rows, no column without lists, maps or structs, or too large a row group.
        pyarrow.ArrowException, OSError: the file is damaged.
    """
    check_footer(name, stream)
    delivered = pq.ParquetFile(stream).schema_arrow
    nested = {field.name: NESTED.format(str(field.type)[:80]) for field in delivered if _is_nested(field)}
    flat = [field for field in delivered if field.name not in nested]
    if not flat:
        raise BadSource(
            f"{name} has only columns that hold lists, maps or structs: {', '.join(nested)}. Write each "
            "value into a column of its own."
        )
    text = [field.name for field in flat if any(is_kind(field.type) for is_kind in _TEXT)]
    told = said(unusable=nested)
    file = pq.ParquetFile(stream, buffer_size=_MB, pre_buffer=False, read_dictionary=text)
    _check_sizes(name, file.metadata)
    rows = max(1, min(_ROWS_PER_BATCH, _CELLS_PER_BATCH // max(1, file.metadata.num_columns)))
    columns = [field.name for field in flat] if nested else None
    for batch in file.iter_batches(batch_size=rows, columns=columns):
        yield from _cut(batch.replace_schema_metadata(told))


def check_footer(name: str, stream: BinaryIO) -> None:
    """Look at the size of a footer before it is read; leaves the stream at its beginning.

    Raises:
        BadSource: it is larger than MAX_FOOTER.
    """
    stream.seek(-8, os.SEEK_END)
    size, magic = int.from_bytes(stream.read(4), "little"), stream.read(4)
    stream.seek(0)
    if magic == b"PAR1" and size > MAX_FOOTER:
        raise BadSource(
            f"{name} describes its columns and row groups in more than {MAX_FOOTER // _MB} MB; write it "
            "with fewer columns, or larger row groups."
        )


def _is_nested(field: pa.Field) -> bool:
    return bool(pa.types.is_nested(field.type))


def _check_sizes(name: str, metadata: pq.FileMetaData) -> None:
    if metadata.num_rows == 0:
        raise BadSource(f"{name} has columns, but no rows.")
    sizes = (metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    largest = max(sizes, default=0)
    if largest > MAX_ROW_GROUP:
        raise BadSource(
            f"{name} has a row group of {largest // _MB} MB before compression; write it with row groups of "
            f"at most {MAX_ROW_GROUP // _MB} MB."
        )


def _cut(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    half = batch.num_rows // 2
    if not half or _decoded_bytes(batch) <= _BYTES_PER_SLICE:
        yield batch
    else:
        yield from _cut(batch.slice(0, half))
        yield from _cut(batch.slice(half))


def _decoded_bytes(batch: pa.RecordBatch) -> int:
    return sum(_bytes_of(column) for column in batch.columns)


def _bytes_of(column: pa.Array) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pc.take(pc.binary_length(column.dictionary), column.indices)
    return int(pc.sum(lengths, min_count=0).as_py() or 0) + 8 * len(column)
