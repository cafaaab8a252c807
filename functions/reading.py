"""What extraction says of a dataset: metadata of its Parquet file, which validation reports.

Beside these keys, those of `mmm.` name how the file was written: encoding, delimiter, sheet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

_PREFIX = b"mmm."
_NOTES = b"mmm.notes"
_UNUSABLE = b"mmm.unusable"

NESTED = "it holds values of type {}; write each value into a column of its own"
"""Why a column of lists, maps or structs cannot be used."""


def said(notes: Iterable[str] = (), unusable: Mapping[str, str] | None = None) -> dict[bytes, bytes]:
    """Metadata: sentences on what was done, and the columns that cannot be used, with the reason."""
    told = [note for note in notes if note]
    return ({_NOTES: json.dumps(told).encode()} if told else {}) | (
        {_UNUSABLE: json.dumps(dict(unusable)).encode()} if unusable else {}
    )


def ours(metadata: Mapping[bytes, bytes] | None) -> dict[bytes, bytes]:
    """The metadata that extraction wrote."""
    return {key: value for key, value in (metadata or {}).items() if key.startswith(_PREFIX)}


def notes_in(metadata: Mapping[bytes, bytes] | None) -> list[str]:
    """The sentences on what was done."""
    notes: list[str] = json.loads((metadata or {}).get(_NOTES, b"[]"))
    return notes


def unusable_in(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    """The columns that cannot be used, with the reason."""
    unusable: dict[str, str] = json.loads((metadata or {}).get(_UNUSABLE, b"{}"))
    return unusable


def read_as(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    """How the file was written: encoding, delimiter, sheet."""
    plain = ours(metadata).items()
    return {
        key.removeprefix(_PREFIX).decode(): value.decode()
        for key, value in plain
        if key not in (_NOTES, _UNUSABLE)
    }
