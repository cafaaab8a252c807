"""The log of one run of one task, uploaded while it grows."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

from contracts.names import Attempt
from functions.ports import Clock, ObjectStore


@dataclass
class Console:
    """Timestamped log lines. `save` may be called from another thread."""

    objects: ObjectStore
    attempt: Attempt
    task: int
    task_attempt: int
    clock: Clock
    _lines: list[str] = field(default_factory=list)
    _saved: int = 0
    _saving: Lock = field(default_factory=Lock)

    def __call__(self, text: str) -> None:
        """Add the lines of a text."""
        now = self.clock.now().strftime("%H:%M:%SZ")
        self._lines += [f"{now} {line}\n" for line in text.splitlines()]

    def save(self) -> None:
        """Upload the log if it has grown since the last upload."""
        with self._saving:  # an older text must not be written after a newer one
            lines = list(self._lines)
            if len(lines) > self._saved:
                name = self.attempt.log(self.task, self.task_attempt)
                self.objects.replace(name, "".join(lines).encode(), if_generation=None)
                self._saved = len(lines)

    def whole(self) -> bytes:
        """The logs of all runs of all tasks, this one's included."""
        self.save()
        return b"".join(self.objects.read(info.name) for info in self.objects.list(self.attempt.logs))
