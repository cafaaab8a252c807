"""The figures of a measurement, each with its unit and what to compare it with."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    what: str
    value: str
    unit: str
    beside: str = ""
    """What the figure is to be compared with, or how it was measured."""


def percentile(seconds: Sequence[float], percent: float) -> float:
    """A percentile of some durations, in their unit."""
    return float(np.percentile(seconds, percent))


def machine() -> str:
    """A description of the machine that the figures were measured on."""
    load, *_ = os.getloadavg()
    return (
        f"{os.cpu_count()} CPUs ({platform.machine()}, {platform.system()}), "
        f"Python {platform.python_version()}; load when it began: {load:.1f}"
    )


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far.

    Linux's own count: `getrusage` also counts what the parent held when it started this process.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) / 1024
