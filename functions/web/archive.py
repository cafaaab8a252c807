"""Many files as one ZIP, made while it is sent: nothing is kept, on disk or whole in memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import IO, Any, cast

from functions.ports import NotFound, ObjectStore

_CHUNK = 256 * 1024


class _Sent(io.RawIOBase):
    """What the archive has written and the reader has not taken yet."""

    def __init__(self) -> None:
        super().__init__()
        self._data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._data += data
        return len(data)

    def taken(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


def stream(objects: ObjectStore, files: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    """The pieces of a ZIP of (name, object) pairs; an object that is gone meanwhile is left out."""
    sent = _Sent()
    with zipfile.ZipFile(cast(IO[bytes], sent), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, object_name in files:
            try:
                with (
                    objects.reader(object_name) as content,
                    archive.open(name, "w", force_zip64=True) as entry,
                ):
                    while chunk := content.read(_CHUNK):
                        entry.write(chunk)
                        yield sent.taken()
            except NotFound:
                continue
    yield sent.taken()
