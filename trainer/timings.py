"""Where the time of a training goes: seconds, CPU and memory of each step."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from contracts.result import Timings

STEPS = (
    "load",
    "prepare",
    "decompose",
    "search",
    "posterior",
    "select",
    "outputs",
    "trust",
    "changes",
    "upload",
)


@dataclass
class Step:
    """One step's cost."""

    seconds: float = 0.0
    cpu_s: float = 0.0
    peak_memory_mb: float = 0.0  # of the largest process so far


class Steps:
    """Times named steps; a step that is entered twice adds up."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {name: Step() for name in STEPS}
        self.current = "load"
        self.detail = ""
        self._since = time.monotonic()

    def seconds(self, name: str) -> float:
        """How long a step took; 0 as long as it has not ended."""
        return self._steps[name].seconds

    @property
    def present(self) -> float:
        """For how many seconds the present step has gone on, without steps inside it."""
        return time.monotonic() - self._since

    @property
    def now(self) -> str:
        """The present step, and how far it is if it says so."""
        return f"{self.current}, {self.detail}" if self.detail else self.current

    def tell(self, detail: str) -> None:
        """Say how far the present step is."""
        self.detail = detail

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time what happens inside as a step."""
        outer, self.current, self.detail = self.current, name, ""
        before, self._since = self._since, time.monotonic()
        seconds, cpu = time.monotonic(), cpu_seconds()
        try:
            yield
        finally:
            step = self._steps[name]
            step.seconds += time.monotonic() - seconds
            step.cpu_s += cpu_seconds() - cpu
            step.peak_memory_mb = peak_memory_mb()
            self.current, self.detail = outer, ""
            self._since = before + time.monotonic() - seconds

    def report(self) -> Timings:
        """What every step used, to three digits after the point."""
        steps = {
            name: {k: round(v, 3) for k, v in asdict(step).items()} for name, step in self._steps.items()
        }
        return Timings.model_validate(steps)


def cpu_seconds() -> float:
    """CPU used by this process and its children, those that run and those that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + ended.ru_utime + ended.ru_stime
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
            total += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return total


def peak_memory_mb() -> float:
    """Largest resident memory that this process or one of its ended children had."""
    return max(_own_peak_kb(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def _own_peak_kb() -> float:
    """Linux carries ru_maxrss over from the process that started this one; /proc tells our own."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))
