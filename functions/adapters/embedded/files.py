"""Files of the object store: how they are recognised, written aside, checked and opened."""

from __future__ import annotations

import base64
import errno
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

import google_crc32c

from functions.errors import Unavailable

CHUNK = 1 << 20  # bytes
_LATER = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE})
"""Errors that may go away: of the disk, or too many open files."""


class Mark(NamedTuple):
    """What identifies the content of a file without reading it: size, time and inode."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Mark | None:
        """The mark of a regular file; None for anything else."""
        if not S_ISREG(status.st_mode):
            return None
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)

    @classmethod
    def at(cls, path: Path) -> Mark | None:
        """The mark of the regular file at a path, if there is one; a symbolic link is none."""
        try:
            return cls.of(path.lstat())
        except (FileNotFoundError, NotADirectoryError):
            return None


class Checksum:
    """An incremental CRC32C."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        """Take more bytes."""
        self._value = google_crc32c.extend(self._value, data)

    def __str__(self) -> str:
        """As Cloud Storage writes it: base64 of the big-endian number."""
        return base64.b64encode(self._value.to_bytes(4, "big")).decode()


class Upload:
    """A file that is being written aside; it disappears unless it is renamed.

    Every method raises `functions.errors.Unavailable` while the disk is full or broken.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _said_clearly():
            self._file = path.open("xb")
        self.checksum = Checksum()
        self._renamed = False

    def write(self, data: bytes, /) -> int:
        """Append bytes."""
        content = bytes(data)  # copies only what is not bytes yet, such as Arrow's buffers
        self.checksum.update(content)
        with _said_clearly():
            return self._file.write(content)

    @property
    def closed(self) -> bool:
        """Whether the file is closed. Arrow reads this."""
        return self._file.closed

    def flush(self) -> None:
        """Do nothing: the file is invisible until it is complete. Arrow calls this."""

    def close(self) -> None:
        """Write out what is buffered."""
        with _said_clearly():
            self._file.close()

    def rename(self, path: Path) -> Mark:
        """Move the closed file to where it belongs, over what is there.

        Raises:
            ValueError: a folder is in the way, or a file where a folder must be.
        """
        try:
            with _said_clearly():
                try:
                    self._path.replace(path)
                except FileNotFoundError:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self._path.replace(path)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise ValueError(f"there cannot be both a file and a folder of one name: {path}") from error
        self._renamed = True
        mark = Mark.at(path)
        if mark is None:
            raise Unavailable(f"{path} was removed while it was written")
        return mark

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        finally:
            if not self._renamed:
                self._path.unlink(missing_ok=True)


@contextmanager
def _said_clearly() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _LATER:
            raise Unavailable(f"the local disk cannot be written now: {error}") from error
        raise


def open_plain(path: Path) -> BinaryIO:
    """A file for reading, but not through a symbolic link."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")


def checksums_of(path: Path, beginning: int) -> tuple[str, str]:
    """The checksum of a file, and that of its first bytes."""
    first, whole = Checksum(), Checksum()
    with open_plain(path) as content:
        while chunk := content.read(CHUNK):
            first.update(chunk[: max(0, beginning)])
            whole.update(chunk)
            beginning -= len(chunk)
    return str(whole), str(first)


def open_for_writing(path: Path) -> bool | None:
    """Whether some program has a file open for writing; None where that cannot be told.

    The kernel grants a read lease only on a file that nobody writes, whoever it is and in whichever
    container; it does so for files of this user, and not on every network mount.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return None
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)  # a harmless signal if somebody opens it now
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(handle)
    return False
