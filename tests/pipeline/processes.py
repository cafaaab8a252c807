"""Tasks of a training as processes of their own, which can be killed at any object that they create."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal
from unittest import mock

from functions.adapters.embedded import Embedded
from functions.log import Log
from functions.ports import ObjectInfo, ObjectStore, ObjectWriter
from functions.runtime import Runtime
from functions.settings import EmbeddedSettings
from tests.pipeline.conftest import QuickEngine
from tests.pipeline.world import FakeClock, World, task_settings
from trainer.engines.base import EngineError
from trainer.life import Life

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])  # a process of its own costs as much as a fork


@dataclass(frozen=True)
class Death:
    """SIGKILL when the object whose name ends so is created."""

    name: str
    when: Literal["before", "during", "after"]

    def __str__(self) -> str:
        return f"{self.when} {self.name}"


class Endless(QuickEngine):
    """Searches until somebody ends the process."""

    def search(self, *_: object) -> None:
        while True:
            time.sleep(0.01)


class Untrainable(QuickEngine):
    def search(self, *_: object) -> None:
        raise EngineError("all media are zero")


class Deadly:
    """An object store that kills its process."""

    def __init__(self, objects: ObjectStore, death: Death) -> None:
        self._objects, self._death = objects, death

    def __getattr__(self, method: str) -> Any:
        return getattr(self._objects, method)

    def create(self, name: str, *args: Any) -> ObjectInfo:
        self._point(name, "before")
        info = self._objects.create(name, *args)
        self._point(name, "after")
        return info

    @contextmanager
    def writer(self, name: str) -> Iterator[ObjectWriter]:
        self._point(name, "before")
        with self._objects.writer(name) as writer:
            yield writer
            self._point(name, "during")
        self._point(name, "after")

    def _point(self, name: str, when: str) -> None:
        if name.endswith(self._death.name) and when == self._death.when:
            os.kill(os.getpid(), signal.SIGKILL)


def start(
    world: World, task: Any, engine: type[QuickEngine] = QuickEngine, death: Death | None = None
) -> BaseProcess:
    """Start a process for a task that the platform runs."""
    process = _context.Process(
        target=_live, args=(world.embedded.folder, world.clock.time, dict(task), engine, death)
    )
    process.start()
    return process


def ended(world: World, task: Any, process: BaseProcess) -> int:
    """Wait until a process has ended, and tell the platform; its exit code."""
    process.join()
    code = int(process.exitcode or 0)
    world.embedded.launcher.finish_task(task["execution"], task["task_index"], code)
    return code


def _live(
    folder: Path, now: datetime, task: Mapping[str, Any], engine: type[QuickEngine], death: Death | None
) -> None:
    clock = FakeClock()
    clock.time = now
    ports = Embedded(folder, clock).ports()
    if death:
        ports = replace(ports, objects=Deadly(ports.objects, death))
    settings = EmbeddedSettings(
        family="embedded", folder=folder, engines=["native"], queues={"default": 1}, log_format="text"
    )
    with mock.patch("trainer.life.load", return_value=engine), mock.patch("trainer.heartbeat.PERIOD_S", 0.05):
        Life(Runtime(ports, settings, Log("text")), task_settings(task)).live()
