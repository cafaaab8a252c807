"""Processes of tasks: started in a session of their own, recognised again by pid and start time."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

_SAME_START_S = 2.0  # the start time is counted from the boot time, which clock corrections move a little

_WRAPPER = """"$@"
printf %s $? > "$0.part" && mv "$0.part" "$0"
"""
"""Runs a command and leaves its exit code in a file, so that it is known although nobody waited."""


class Leader(NamedTuple):
    """The first process of a session."""

    pid: int
    started: float  # seconds since the epoch


def spawn(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path, log: Path, exit_file: Path
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own.

    Its output is appended to `log`, its exit code left in `exit_file`.

    Raises:
        OSError: the system cannot start a process now.
    """
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 (the command is configured; nothing of a request is in it)
            ["/bin/sh", "-c", _WRAPPER, str(exit_file), *command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def leader_of(process: subprocess.Popen[bytes]) -> Leader:
    """By what a process that was just started is recognised; it must not have been waited for."""
    return Leader(process.pid, psutil.Process(process.pid).create_time())


def find_leader(variables: Mapping[str, str]) -> Leader | None:
    """The session leader that was started with these environment variables, if it lives."""
    for process in psutil.process_iter():
        if _leads_own_session(process.pid) and variables.items() <= _environment(process).items():
            return Leader(process.pid, process.create_time())
    return None


def alive(leader: Leader) -> bool:
    """Whether this very process runs, and not just another one with its number."""
    try:
        process = psutil.Process(leader.pid)
        return (
            abs(process.create_time() - leader.started) < _SAME_START_S
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False


def kill_session(leader: Leader, variables: Mapping[str, str]) -> None:
    """Kill every process of a session at once.

    Where the leader is gone, only those that carry its environment: the number may be somebody else's by now.
    """
    known = alive(leader)
    if known:
        os.killpg(leader.pid, signal.SIGKILL)  # at once, so that none of them can start another meanwhile
    for process in _members(leader.pid):
        if known or variables.items() <= _environment(process).items():
            _kill(process.pid)


def exit_code(exit_file: Path) -> int | None:
    """The exit code that a command left; None if it left none."""
    try:
        return int(exit_file.read_text())
    except FileNotFoundError:
        return None


def _members(session: int) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session:
                yield process
        except ProcessLookupError:
            continue


def _leads_own_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return {}


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
