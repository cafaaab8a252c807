"""Compressed files: gzip, and ZIP archives of one file, unpacked while they are read."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from functions.errors import BadSource

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_UNPACKED = 1 << 30
MAX_MEMBERS = 1_000
_BUFFER = 1 << 20
_DAMAGED = (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, NotImplementedError)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_KINDS = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}


class Inner(NamedTuple):
    """The one file that a compressed file holds."""

    name: str
    stream: BinaryIO


def packing(magic: bytes) -> str | None:
    """How a file that begins so is compressed; None if it is not."""
    return next((kind for start, kind in _KINDS.items() if magic.startswith(start)), None)


@contextmanager
def unpacked(name: str, stream: BinaryIO, kind: str) -> Iterator[Inner]:
    """The file inside, as a seekable stream.

    Raises:
        BadSource: when it is opened or read: the file is damaged, encrypted, holds several files, or decodes
            to more than MAX_UNPACKED bytes.
    """
    with _opened(name, stream, kind) as (inner, raw):
        yield Inner(inner, cast(BinaryIO, io.BufferedReader(_Bounded(name, raw), _BUFFER)))


@contextmanager
def _opened(name: str, stream: BinaryIO, kind: str) -> Iterator[tuple[str, BinaryIO]]:
    if kind == "zip":
        with archive(name, stream) as files:
            member = _only_member(name, files)
            with files.open(member) as raw:
                yield PurePosixPath(member.filename).name, cast(BinaryIO, raw)
        return
    yield re.sub(r"\.gz(ip)?$", "", name, flags=re.I), cast(BinaryIO, gzip.GzipFile(fileobj=stream))


@contextmanager
def archive(name: str, stream: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """A ZIP archive with at most MAX_MEMBERS files.

    Raises:
        BadSource: it is damaged, or holds more.
    """
    try:
        files = zipfile.ZipFile(stream)
    except _DAMAGED as error:
        raise _damaged(name, error) from error
    with files:
        if len(files.infolist()) > MAX_MEMBERS:
            raise BadSource(f"{name} is an archive of more than {MAX_MEMBERS:,} files. Upload one table.")
        yield files


def _only_member(name: str, files: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [member for member in files.infolist() if not _is_litter(member)]
    if len(members) != 1:
        there = ", ".join(PurePosixPath(member.filename).name for member in members[:10])
        raise BadSource(
            f"{name} is a ZIP archive of {len(members)} files{f' ({there})' if members else ''}. "
            "Upload an archive of one CSV file, or each file by itself."
        )
    if members[0].flag_bits & 1:
        raise BadSource(f"{name} is an encrypted ZIP archive; upload it without a password.")
    if members[0].compress_type not in _METHODS:
        raise BadSource(f"{name} is compressed in an unusual way; write it as ZIP with deflate.")
    return members[0]


def _is_litter(member: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(member.filename)
    return member.is_dir() or "__MACOSX" in path.parts or path.name in (".DS_Store", "Thumbs.db")


def _damaged(name: str, error: Exception) -> BadSource:
    return BadSource(f"{name} is damaged or was cut short; compress and upload it again ({error}).")


class _Bounded(io.RawIOBase):
    """What is unpacked, up to MAX_UNPACKED bytes; damage is a reason that people can read."""

    def __init__(self, name: str, raw: BinaryIO) -> None:
        self._name, self._raw = name, raw

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._raw.read(len(view))
        except _DAMAGED as error:
            raise _damaged(self._name, error) from error
        view[: len(data)] = data
        if self._raw.tell() > MAX_UNPACKED:
            raise BadSource(
                f"{self._name} is larger than {MAX_UNPACKED >> 20:,} MB when it is unpacked; upload only the "
                "rows and columns that the model needs."
            )
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return self._raw.seek(offset, whence)
        except _DAMAGED as error:
            raise _damaged(self._name, error) from error

    def tell(self) -> int:
        return self._raw.tell()
