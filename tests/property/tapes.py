"""Tapes from a seed, and tapes that are kept because they once broke a promise."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.property.schedule import broken
from tests.property.simulation import Simulation

KEPT = Path(__file__).parent / "schedules"
_LENGTHS = (40, 80, 160, 320)


def tape(seed: int, number: int) -> list[int]:
    """The n-th tape of a seed."""
    source = random.Random(f"{seed}-{number}")  # noqa: S311 (repeatable)
    return list(source.randbytes(source.choice(_LENGTHS)))


def shorter(sim: Simulation, numbers: list[int]) -> list[int]:
    """The tape without what the failure does not need, found by leaving out ever smaller pieces."""
    size = len(numbers) // 2
    while size:
        start = 0
        while start < len(numbers):
            without = numbers[:start] + numbers[start + size :]
            if broken(sim, without):
                numbers = without
            else:
                start += size
        size //= 2
    return numbers


def keep(name: str, numbers: list[int], why: str) -> Path:
    """Store a failing schedule, to be replayed by every test run from now on."""
    path = KEPT / f"{name}.json"
    path.write_text(json.dumps({"broke": why, "tape": numbers}) + "\n", encoding="utf-8")
    return path


def load(path: Path) -> list[int]:
    """The tape of a stored schedule."""
    numbers: list[int] = json.loads(path.read_text(encoding="utf-8"))["tape"]
    return numbers
