"""Tasks for the tests of a warm server: Python code that is told in the environment."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def preload() -> None:
    """Leave a line, and a thread if a test wants one."""
    with Path("preloaded").open("a") as lines:
        lines.write(f"{os.getpid()}\n")
    if Path("thread").exists():
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def main() -> int:
    """Run the code; its exit code is in `code`."""
    told = {"code": 0}
    exec(os.environ["TASK"], told)  # noqa: S102 (the test's own)
    return told["code"]
