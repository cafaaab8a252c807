"""Coverage-guided fuzzing of everything that reads foreign bytes; the arguments are those of libFuzzer."""

from __future__ import annotations

import io
import json
import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["contracts", "functions", "yaml"]):
    from contracts.base import canonical_json
    from contracts.request import SettingsError, parse_settings
    from functions.acceptance.readable import readable
    from functions.errors import Permanent
    from functions.message import decode
    from functions.notifications import object_event
    from tests.data.decoding import decode_upload


def settings(data: bytes) -> None:
    with suppress(SettingsError):
        canonical_json(parse_settings(data)).encode()


def request(data: bytes) -> None:
    with suppress(Permanent):
        readable(data)


def notification(data: bytes) -> None:
    with suppress(Permanent):
        object_event({"eventType": "OBJECT_FINALIZE"}, data)


def envelope(data: bytes) -> None:
    with suppress(ValueError, RecursionError):
        value = json.loads(data)
        decode(value)


def csv(data: bytes) -> None:
    with suppress(Permanent):
        decode_upload("a.csv", io.BytesIO(data), io.BytesIO())


READERS = (settings, request, notification, envelope, csv)


def read(data: bytes) -> None:
    """The first byte says who reads the rest."""
    if data:
        READERS[data[0] % len(READERS)](data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
