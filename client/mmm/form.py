"""A form with a file, as it is sent: the file is read while it goes, however large it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import BytesIO
from typing import BinaryIO

from urllib3.filepost import choose_boundary, encode_multipart_formdata


class Form:
    """The body of a multipart form, which is read once, or again after `seek(0)`."""

    def __init__(self, fields: Mapping[str, str], name: str, file: BinaryIO) -> None:
        """`fields` come before the file, which is called `file` and has the file name `name`."""
        boundary = choose_boundary()
        whole, self.content_type = encode_multipart_formdata({**fields, "file": (name, b"")}, boundary)
        end = f"\r\n--{boundary}--\r\n".encode()
        self._parts: list[BinaryIO] = [BytesIO(whole.removesuffix(end)), file, BytesIO(end)]
        self._length = sum(part.seek(0, os.SEEK_END) for part in self._parts)
        self._at = 0
        self.seek(0)

    def __len__(self) -> int:
        """Bytes that are left to read."""
        return self._length - self._at

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size`; empty at the end."""
        found = b""
        for part in self._parts:
            found += part.read(size if size < 0 else size - len(found))
        self._at += len(found)
        return found

    def tell(self) -> int:
        """Bytes that have been read."""
        return self._at

    def seek(self, at: int) -> int:
        """Begin anew."""
        if at:
            raise ValueError("a form can only be read from its beginning")
        for part in self._parts:
            part.seek(0)
        self._at = 0
        return 0
