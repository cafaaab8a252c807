"""CSV whose every line stands in quotes as a whole, as spreadsheets write a file that was opened wrongly."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from functions.errors import BadSource

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_LINE = re.compile(r'"([^"]*(?:""[^"]*)*)"[,;\t|]*(\s*)')
_MOST_CHARACTERS = 1 << 20
_LOOKED_AT = 20
"""Non-empty lines that are looked at."""
_FEWEST = 2
"""Lines from which on a file can be told to be wrapped."""


def is_wrapped(text: str) -> bool:
    """Whether the first lines of a text, and the delimiters in them, all stand in quotes."""
    lines = [line for line in text.splitlines() if line.strip()][:_LOOKED_AT]
    found = [_LINE.fullmatch(line) for line in lines]
    return len(lines) >= _FEWEST and all(one and re.search(r"[,;\t|]", one[1]) for one in found)


def unwrapped(line: str) -> str:
    """A line without the quotes around it; as it is if there are none."""
    found = _LINE.fullmatch(line)
    return found[1].replace('""', '"') + found[2] if found else line


def unwrapping(name: str, stream: BinaryIO, encoding: str) -> BinaryIO:
    """The rest of a stream, its lines unwrapped, in UTF-8; raises BadSource for a line of 1 MB."""
    return cast(BinaryIO, io.BufferedReader(_Lines(_unwrapped_lines(name, stream, encoding))))


def _unwrapped_lines(name: str, stream: BinaryIO, encoding: str) -> Iterator[bytes]:
    text = io.TextIOWrapper(cast(IO[bytes], stream), encoding, newline="")
    try:
        while line := text.readline(_MOST_CHARACTERS):
            if len(line) == _MOST_CHARACTERS:
                raise BadSource(f"{name} cannot be read as CSV: a row is longer than 1 MB.")
            yield unwrapped(line).encode()
    finally:
        text.detach()


class _Lines(io.RawIOBase):
    """Lines as a stream."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines, self._left = lines, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        self._left = self._left or next(self._lines, b"")
        count = min(len(view), len(self._left))
        view[:count], self._left = self._left[:count], self._left[count:]
        return count
