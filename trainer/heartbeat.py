"""A task's sign of life, and its ear for the end of the attempt."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from contracts.attempt import Heartbeat, Progress
from contracts.names import Attempt
from functions.errors import Transient
from functions.log import Log
from functions.ports import ObjectStore

PERIOD_S = 2.0


@dataclass
class Pulse:
    """Writes a heartbeat every few seconds, and ends the process once the attempt has an outcome."""

    objects: ObjectStore
    attempt: Attempt
    task: int
    execution: str
    progress: Callable[[], Progress]
    log: Log
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Pulse:
        """Begin, with the first beat written."""
        self.beat()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop: no beat comes after this."""
        self._stopped.set()
        self._thread.join()

    def beat(self) -> None:
        """Write one heartbeat."""
        heartbeat = Heartbeat(
            job_id=self.attempt.job_id,
            attempt=self.attempt.attempt,
            task=self.task,
            execution=self.execution,
            progress=self.progress(),
        )
        name = self.attempt.heartbeat(self.task)
        self.objects.replace(name, heartbeat.model_dump_json().encode(), if_generation=None)

    def look(self) -> None:
        """End the process if the attempt has an outcome; otherwise write a heartbeat."""
        if self.objects.stat(self.attempt.outcome) is not None:
            self._leave()
        self.beat()

    def _run(self) -> None:
        while not self._stopped.wait(PERIOD_S):
            try:
                self.look()
            except Transient as error:  # the next beat may go through; sweep waits for several
                self.log("WARNING", f"no heartbeat: {error.problem.detail}", job_id=self.attempt.job_id)

    def _leave(self) -> None:
        """Somebody has ended the attempt: nothing that this process still does counts."""
        self.log("INFO", "the attempt was ended by somebody else: stopping", job_id=self.attempt.job_id)
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os._exit(0)
