"""Many schedules of one seed, run by several processes, and what they come to together."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from tests.property.faults import Triple
from tests.property.schedule import broken
from tests.property.simulation import simulation
from tests.property.tapes import tape

_PART = 50
"""Schedules that a process runs at a time: some seconds."""


@dataclass(frozen=True)
class Explored:
    """What schedules of a seed came to; the last of them broke a promise if `broke` says how."""

    schedules: int = 0
    covered: frozenset[Triple] = frozenset()
    broke: str = ""


def explore(seed: int, numbers: range, processes: int) -> Generator[Explored]:
    """Run schedules of a seed by their numbers; again and again, what they came to so far.

    It ends with the last one or with the first that breaks a promise, which is the same one, whatever the
    number of processes. Close the iterator to end it earlier.
    """
    parts = [numbers[start : start + _PART] for start in range(0, len(numbers), _PART)]
    fresh = multiprocessing.get_context("spawn")  # a copy of this process would share its connections
    pool = ProcessPoolExecutor(processes, fresh)
    so_far = Explored()
    try:
        for part in _begun(pool, seed, parts):
            so_far = Explored(so_far.schedules + part.schedules, so_far.covered | part.covered, part.broke)
            yield so_far
            if so_far.broke:
                return
    finally:
        pool.shutdown(cancel_futures=True)


def _begun(pool: ProcessPoolExecutor, seed: int, parts: list[range]) -> Iterator[Explored]:
    """The parts in their order; Ctrl-C, which reaches every process of a terminal, is for this one alone."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the pool's processes inherit it
    try:
        return pool.map(_explore, [seed] * len(parts), parts)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _explore(seed: int, numbers: range) -> Explored:
    covered: set[Triple] = set()
    with simulation() as sim:
        for done, number in enumerate(numbers, start=1):
            why = broken(sim, tape(seed, number))
            covered |= sim.faults.covered
            if why:
                return Explored(done, frozenset(covered), why)
    return Explored(len(numbers), frozenset(covered))
