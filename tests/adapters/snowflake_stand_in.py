"""Starts `fakesnow_server` in an environment of its own, which is made from a lock file when first needed.

fakesnow needs version 4 of Snowflake's driver, which cannot live beside the version 5 that is tested.
"""

from __future__ import annotations

import atexit
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from tests.adapters.families import MissingPart
from tests.environments import environment

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "fakesnow.txt"
SERVER = Path(__file__).with_name("fakesnow_server.py")


def server() -> str:
    """The address of a server that is there until the tests end.

    Raises:
        MissingPart: there is no environment to run it in.
    """
    found = _server()
    if isinstance(found, MissingPart):
        raise found
    return found


@cache
def _server() -> str | MissingPart:
    stack = ExitStack()
    atexit.register(stack.close)
    try:
        return stack.enter_context(serving())
    except MissingPart as reason:
        return reason


@contextmanager
def serving() -> Iterator[str]:
    """A server on a free port; its address.

    Raises:
        MissingPart: there is no environment to run it in.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [str(environment(LOCK)), str(SERVER), str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not _listens(port):
            assert process.poll() is None, "the stand-in for Snowflake ended at once"
            threading.Event().wait(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
