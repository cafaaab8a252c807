"""The adapter families under test, and what their tests share.

Every test that takes `family`, `job_store`, `object_store` or `launcher` runs once for each family; so does
`test_delivery.py`, for what a bus delivers, and `test_executions.py`, for a launcher's processes.
A third family joins by an entry in `FAMILIES`: a context manager that takes an empty folder and gives a
`Family` whose stores are empty; its warehouse joins in `warehouses.WAREHOUSES`, and its whole pipeline run in
`tests/pipeline/test_families.py`, in the same way. It raises `MissingPart` where something that it needs is
not on the machine; its tests are skipped then, with that reason. How a family differs from production is said
in its own file, and is an expectation of a test where a test would notice.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from functions.adapters.embedded import Embedded
from functions.adapters.embedded.bus import BusSettings
from functions.adapters.embedded.launcher import LauncherSettings
from functions.ports import Bus, Launcher, Ports
from tests.adapters.receiver import Receiver, receiving

SPAWN = multiprocessing.get_context("spawn")


class StepClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 5, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class MissingPart(Exception):
    """Something that a family needs is not on this machine; the text says what."""


@contextmanager
def skipped_if_missing() -> Iterator[None]:
    """Skips the test, with the reason, if a part that it needs is missing."""
    try:
        yield
    except MissingPart as reason:
        pytest.skip(str(reason))


@dataclass(frozen=True)
class Delivering:
    """A bus whose subscriptions push to a receiver, each to the path of its function."""

    bus: Bus
    receiver: Receiver
    ack_deadline_s: float
    max_attempts: int
    tells_reason: bool  # whether a dead letter says why; Pub/Sub's never do
    counts: bool  # whether a delivery says its number; Pub/Sub's emulator does not, Pub/Sub does


@dataclass(frozen=True)
class Family:
    """One family: its ports, and how another process opens the same ones."""

    ports: Ports
    reopen: Callable[[], Ports]  # can be sent to another process
    delivered: Callable[[], list[dict[str, Any]]]  # envelopes since it was last asked, oldest message first
    delivering: Callable[[], AbstractContextManager[Delivering]]  # its own bus, with short back-off
    launching: Callable[..., AbstractContextManager[Launcher]]  # (script, folder, timeout_s) of every task
    reads: Callable[[Callable[[], Any]], int]  # what a call makes the job store read: documents, or steps


def embedded_ports(folder: Path) -> Ports:
    return Embedded(folder).ports()


@contextmanager
def embedded_family(folder: Path) -> Iterator[Family]:
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

    def reads(call: Callable[[], Any]) -> int:
        steps = itertools.count()
        connection = embedded._database.connection
        connection.set_progress_handler(lambda: next(steps) and None, 1)
        try:
            call()
        finally:
            connection.set_progress_handler(None, 1)
        return next(steps)

    delivering = partial(embedded_delivering, folder)
    yield Family(
        embedded.ports(), partial(embedded_ports, folder), delivered, delivering, embedded_launching, reads
    )


@contextmanager
def embedded_delivering(folder: Path) -> Iterator[Delivering]:
    settings = BusSettings(min_back_off_s=0.5, ack_deadline_s=2, max_attempts=5)
    bus = Embedded(folder, bus=settings).bus
    with receiving() as receiver:
        bus.start(receiver.url)
        try:
            yield Delivering(
                bus, receiver, settings.ack_deadline_s, settings.max_attempts, tells_reason=True, counts=True
            )
        finally:
            bus.stop()


@contextmanager
def embedded_launching(script: str, folder: Path, timeout_s: float = 3600) -> Iterator[Launcher]:
    settings = LauncherSettings(("/bin/sh", "-c", script), folder, task_timeout_s=timeout_s, max_parallel=9)
    with TemporaryDirectory() as own:
        launcher, stop = Embedded(Path(own), launcher=settings).launcher, threading.Event()

        def host() -> None:
            while not stop.is_set():
                launcher.step()
                launcher.wait(0.05)

        thread = threading.Thread(target=host)
        thread.start()
        try:
            yield launcher
        finally:
            stop.set()
            thread.join()
            launcher.stop_all()


@contextmanager
def gcp_family(_: Path) -> Iterator[Family]:
    try:
        from tests.adapters.family_gcp import family
    except ModuleNotFoundError as error:
        raise MissingPart(f"requirements/gcp.txt is not installed ({error})") from error
    with family() as gcp:
        yield gcp


FAMILIES: dict[str, Callable[[Path], AbstractContextManager[Family]]] = {
    "embedded": embedded_family,
    "gcp": gcp_family,
}


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
