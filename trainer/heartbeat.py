"""A task's heartbeat, and its check whether the attempt has ended."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

from contracts.attempt import Heartbeat, Progress
from contracts.names import Attempt
from functions.errors import Failure
from functions.log import Log
from functions.ports import ObjectStore
from trainer.console import Console

PERIOD_S = 2.0
"""Seconds between heartbeats."""


@dataclass
class Pulse:
    """Writes a heartbeat every few seconds, and ends the process once the attempt has an outcome."""

    objects: ObjectStore
    attempt: Attempt
    task: int
    tasks: int
    execution: str
    progress: Callable[[], Progress]
    console: Console
    log: Log
    _stopped: threading.Event = field(default_factory=threading.Event)
    _beating: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Pulse:
        """Begin, with the first beat written."""
        self.beat()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop: no beat comes after this."""
        self.stop()

    def stop(self) -> None:
        """No beat and no look comes after this; the process that ends its attempt must not end itself."""
        self._stopped.set()
        if self._thread:
            self._thread.join()

    def beat(self) -> None:
        """Write one heartbeat and the log so far; a failure is logged, and the next beat tries again."""
        with self._forgiving(), self._beating:  # older progress must not be written after newer
            heartbeat = Heartbeat(
                job_id=self.attempt.job_id,
                attempt=self.attempt.attempt,
                task=self.task,
                tasks=self.tasks,
                execution=self.execution,
                progress=self.progress(),
            )
            name = self.attempt.heartbeat(self.task)
            self.objects.replace(name, heartbeat.model_dump_json().encode(), if_generation=None)
            self.console.save()

    def look(self) -> None:
        """End the process if the attempt has an outcome; otherwise write a heartbeat."""
        with self._forgiving():
            if self.objects.stat(self.attempt.outcome) is not None:
                self._leave()
        self.beat()

    def _run(self) -> None:
        while not self._stopped.wait(PERIOD_S):
            self.look()

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        """Log a failed heartbeat rather than end the training; sweep tolerates several missing ones."""
        try:
            yield
        except Failure as error:
            self.log("WARNING", f"no heartbeat: {error.problem.detail}", job_id=self.attempt.job_id)

    def _leave(self) -> None:
        """Exit at once: the attempt has been ended elsewhere, and nothing done from here on counts."""
        self.log("INFO", "the attempt was ended by somebody else: stopping", job_id=self.attempt.job_id)
        try:
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        finally:
            os._exit(0)
