"""A small disk of one's own, which can be full: in a process whose mounts nobody else sees."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PRIVATE = ("unshare", "--user", "--map-root-user", "--mount")
_MARK = "MMM_TEST_OWN_MOUNTS"
NO_DISK = "this machine lets nobody mount a disk of his own (unshare --user --mount)"


def own_mounts(arguments: Sequence[str]) -> None:
    """Become a Python that may mount; what it mounts ends with it. Returns where that cannot be."""
    if can_have_own_mounts():
        os.environ[_MARK] = "yes"
        os.execvp(_PRIVATE[0], [*_PRIVATE, sys.executable, *arguments])  # noqa: S606


def can_have_own_mounts() -> bool:
    """Whether this user may have a name space of his own."""
    try:
        return subprocess.run([*_PRIVATE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def may_mount() -> bool:
    """Whether this process was begun by `own_mounts`."""
    return _MARK in os.environ


def mount(folder: Path, megabytes: int) -> str:
    """Make a folder a disk of its own; why that cannot be, if so."""
    folder.mkdir(parents=True, exist_ok=True)
    if not may_mount():
        return NO_DISK
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()


def unmount(folder: Path) -> None:
    """Take the disk away, even from who still uses it, so that the folder can be removed."""
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(ballast: Path) -> None:
    """Fill the disk to the last byte."""
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
