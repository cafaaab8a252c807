"""One generation of an object as a seekable stream."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any, cast

from google.api_core import exceptions as api
from google.cloud.storage import Blob

from functions.adapters.gcp.errors import STORAGE_RETRY, TIMEOUT_S
from functions.errors import Unavailable

BLOCK = 4 * 1024 * 1024
_KEPT = 4  # blocks: Parquet is read from its end and from several places in turn


class FrozenObject(io.RawIOBase):
    """Reads blocks on demand and keeps the latest; never content of another generation."""

    def __init__(self, blob: Blob) -> None:
        """`blob`: with the properties of the generation to read."""
        super().__init__()
        self._blob = blob
        self._position = 0
        self._block = lru_cache(_KEPT)(self._fetch)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, counted in bytes from the start, from here, or from the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: int(self._blob.size)}[whence]
        self._position = max(0, base + offset)
        return self._position

    def close(self) -> None:
        """Forget what was read."""
        self._block.cache_clear()
        super().close()

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer and say how many bytes; 0 at the end.

        Raises:
            Unavailable: the object was replaced meanwhile.
        """
        if self._position >= self._blob.size:
            return 0
        number, start = divmod(self._position, BLOCK)
        piece = self._block(number)[start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def _fetch(self, number: int) -> bytes:
        start = number * BLOCK
        end = min(start + BLOCK, int(self._blob.size)) - 1
        try:  # the blob's generation is part of the address
            answer = self._blob.download_as_bytes(
                start=start,
                end=end,
                checksum=None,  # of the whole object, never of a part
                raw_download=True,  # as it is stored: a part of what is gzip-encoded cannot be decoded
                retry=STORAGE_RETRY,
                timeout=TIMEOUT_S,
            )
        except api.NotFound as error:
            raise Unavailable(f"'{self._blob.name}' was replaced while it was read") from error
        return cast(bytes, answer)
