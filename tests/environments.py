"""Environments that tests need, each made from one lock file, kept under `.test-env` while the lock does."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.adapters.families import MissingPart

ROOT = Path(__file__).resolve().parents[1]


def environment(lock: Path) -> Path:
    """The Python of the environment that a lock describes; made when first asked for.

    Raises:
        MissingPart: it cannot be made here (no network, for example).
    """
    home = ROOT / ".test-env"
    folder = home / f"{lock.stem}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    python, done = folder / "bin" / "python", folder / "done"
    home.mkdir(exist_ok=True)
    with (home / f"{lock.stem}.lock").open("w") as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)  # tests may run in several processes
        if not done.exists():
            for former in home.glob(f"{lock.stem}-*"):
                shutil.rmtree(former)
            _run(lock, sys.executable, "-m", "venv", str(folder))
            _run(lock, str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock))
            done.touch()
    return python


def _run(lock: Path, *command: str) -> None:
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        last = (made.stderr.strip() or made.stdout.strip() or "no output").splitlines()[-1]
        raise MissingPart(f"no environment can be made from requirements/{lock.name}: {last}")
