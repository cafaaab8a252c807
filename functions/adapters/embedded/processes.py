"""Processes of tasks: started in a session of their own, recognised again by pid and start time.

The start is counted in ticks since the machine was started, which do not move when somebody sets the clock.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

_SAME_START_S = 2.0
"""Start times of one process, read twice, differ by less."""
_PROC = Path("/proc")

_WRAPPER = """"$@"
printf %s $? > "$0.part" && mv "$0.part" "$0"
"""
"""Runs a command and leaves its exit code in a file, so that it is known although nobody waited."""


class Leader(NamedTuple):
    """The first process of a session."""

    pid: int
    started: str | float  # see `start_of`; seconds since the epoch if an earlier release recorded it


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
    return Leader(process.pid, start_of(process.pid))


def find_leader(variables: Mapping[str, str]) -> Leader | None:
    """The session leader that was started with these environment variables, if it lives."""
    for process in psutil.process_iter():
        if _leads_own_session(process.pid) and variables.items() <= _environment(process).items():
            return Leader(process.pid, start_of(process.pid))
    return None


def start_of(pid: int) -> str:
    """When a process was started, in a form that no other process of its number will ever have.

    Raises:
        psutil.NoSuchProcess: there is none of that number.
    """
    if not (_PROC / "self" / "stat").exists():  # macOS: recorded once, and not moved with the clock
        return str(psutil.Process(pid).create_time())
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{_ticks(pid)}"


def _ticks(pid: int) -> int:
    try:
        status = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise psutil.NoSuchProcess(pid) from error
    return int(status.rpartition(")")[2].split()[19])


def age_s(pid: int) -> float:
    """How long ago a process was started, whatever the clock says.

    Raises:
        psutil.NoSuchProcess: there is none of that number.
    """
    if not (_PROC / "self" / "stat").exists():
        return time.time() - psutil.Process(pid).create_time()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - _ticks(pid) / os.sysconf("SC_CLK_TCK")


def alive(leader: Leader) -> bool:
    """Whether this very process runs, and not just another one with its number."""
    try:
        process = psutil.Process(leader.pid)
        if isinstance(leader.started, str):
            same = start_of(leader.pid) == leader.started
        else:
            same = abs(process.create_time() - leader.started) < _SAME_START_S
        return same and process.status() != psutil.STATUS_ZOMBIE
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
