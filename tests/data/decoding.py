"""A file as extract decodes it, from a stream to Parquet."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from typing import BinaryIO

from functions.extract.decode import read_batches, write_batches
from functions.ports import ObjectWriter


def decode_upload(
    name: str,
    stream: BinaryIO,
    out: ObjectWriter,
    wanted: Collection[str] = (),
    sheet: str | None = None,
) -> int:
    """The number of rows that were written."""
    with ExitStack() as stack:
        return write_batches(read_batches(name.rsplit("/", 1)[-1], stream, wanted, sheet, stack), out)
