"""Starts `fakesnow_server` in an environment of its own, which is made from a lock file when first needed.

fakesnow needs version 4 of Snowflake's driver, which cannot live beside the version 5 that is tested.
"""

from __future__ import annotations

import fcntl
import hashlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.adapters.families import MissingPart

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "fakesnow.txt"
SERVER = Path(__file__).with_name("fakesnow_server.py")


def interpreter() -> Path:
    """The Python of the environment.

    Raises:
        MissingPart: it cannot be made here (no network, for example).
    """
    folder = ROOT / ".test-env" / f"fakesnow-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    python, done = folder / "bin" / "python", folder / "done"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run in several processes
        if not done.exists():
            _run(sys.executable, "-m", "venv", "--clear", str(folder))
            _run(str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(LOCK))
            done.touch()
    return python


def _run(*command: str) -> None:
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        last = (made.stderr.strip() or made.stdout.strip() or "no output").splitlines()[-1]
        raise MissingPart(f"the environment of fakesnow cannot be built: {last}")


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
        [str(interpreter()), str(SERVER), str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
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
