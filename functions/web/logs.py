"""What an attempt has said: the end of its log, for people."""

from __future__ import annotations

import re
from dataclasses import dataclass

from contracts import names
from contracts.job import Job
from functions.ports import NotFound, ObjectInfo, Ports

TAIL = 40
"""Lines that are shown of a log."""
_BYTES = 64 * 1024
_ALARMING = re.compile(
    r"error|fail|warning|traceback|exception|killed|NOT converged|^(bad|doubtful):", re.IGNORECASE
)


@dataclass(frozen=True)
class LogTail:
    """The last lines of an attempt's log."""

    lines: list[str]
    earlier: bool
    """Whether there are more before them."""
    whole: bool
    """Whether the attempt has ended, and its log is a file of its result."""


def tail(ports: Ports, job: Job, *, only_errors: bool = False) -> LogTail | None:
    """The end of the log of a job's attempt, of its last task while it runs; None if there is no log.

    With `only_errors` the last lines that speak of errors and warnings, as far as the end of the log goes.
    """
    whole = ports.objects.stat(f"{names.results(job)}console.log") if job.revision else None
    found = [whole] if whole else list(ports.objects.list(names.attempt_of(job).logs))
    if not found:
        return None
    text, cut = _end(ports, found[-1])
    lines = text.splitlines()
    if only_errors:
        lines = [line for line in lines if _ALARMING.search(line)]
    return LogTail(lines[-TAIL:], cut or len(lines) > TAIL, whole=whole is not None)


def _end(ports: Ports, info: ObjectInfo) -> tuple[str, bool]:
    try:
        with ports.objects.reader(info.name) as stream:
            stream.seek(max(0, info.size - _BYTES))
            data = stream.read()
    except NotFound:
        return "", False
    cut = info.size > _BYTES
    if cut:
        data = data.partition(b"\n")[2]
    return data.decode(errors="replace"), cut
