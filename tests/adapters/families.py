"""The adapter families under test, and what their tests share."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from functions.adapters.embedded import Embedded
from functions.adapters.embedded.launcher import LauncherSettings
from functions.ports import Ports

SPAWN = multiprocessing.get_context("spawn")


class StepClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 5, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Family:
    """One family: its ports, and how another process opens the same ones."""

    ports: Ports
    reopen: Callable[[], Ports]  # can be sent to another process
    delivered: Callable[[], list[dict[str, Any]]]  # envelopes that came since it was last asked


def embedded_ports(folder: Path) -> Ports:
    return Embedded(folder).ports()


def embedded_family(folder: Path) -> Family:
    envelopes: list[dict[str, Any]] = []
    embedded = Embedded(
        folder,
        push=lambda _, envelope: envelopes.append(envelope),
        launcher=LauncherSettings(stepping=True),
    )

    def delivered() -> list[dict[str, Any]]:
        envelopes.clear()
        while embedded.bus.deliver_one():
            pass
        return list(envelopes)

    return Family(embedded.ports(), partial(embedded_ports, folder), delivered)


FAMILIES: dict[str, Callable[[Path], Family]] = {"embedded": embedded_family}


def race(count: int, work: Callable[[Ports, int], Any], reopen: Callable[[], Ports]) -> list[Any]:
    """What `work(ports, number)` returns in `count` processes that begin at the same moment."""
    barrier = SPAWN.Barrier(count)
    with ProcessPoolExecutor(count, SPAWN, _contender, (barrier, reopen)) as pool:
        return list(pool.map(partial(_contend, work), range(count)))


_barrier: Barrier
_ports: Ports


def _contender(barrier: Barrier, reopen: Callable[[], Ports]) -> None:
    global _barrier, _ports
    _barrier, _ports = barrier, reopen()


def _contend(work: Callable[[Ports, int], Any], number: int) -> Any:
    _barrier.wait(60)
    return work(_ports, number)


def crash(target: Callable[..., None], *args: Any) -> None:
    """Run something in another process that dies in the middle of it, without any cleaning up."""
    process = SPAWN.Process(target=target, args=args)
    process.start()
    process.join()
    assert process.exitcode == 9, "it was meant to die"


def die(*_: Any) -> None:
    os._exit(9)
