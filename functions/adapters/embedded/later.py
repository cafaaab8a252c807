"""Calls that are made later, all by one thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count


class Later:
    """A thread that makes calls when their time has come; it is started by the first one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: dict[int, tuple[float, Callable[[], object]]] = {}
        self._numbers = count()
        self._thread: threading.Thread | None = None

    def call(self, after_s: float, function: Callable[[], object]) -> int:
        """Call a function, which must not raise, after some time; returns a number to `cancel` it by."""
        with self._changed:
            number, due = next(self._numbers), time.monotonic() + after_s
            first = all(due < other for other, _ in self._calls.values())
            self._calls[number] = (due, function)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="later", daemon=True)
                self._thread.start()
            elif first:
                self._changed.notify()
        return number

    def cancel(self, number: int) -> None:
        """Do not make a call, unless it is made already."""
        with self._changed:
            self._calls.pop(number, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                due = min((due for due, _ in self._calls.values()), default=None)
                self._changed.wait(None if due is None else max(0.0, due - time.monotonic()))
                now = time.monotonic()
                ripe = [number for number, (due, _) in self._calls.items() if due <= now]
                functions = [self._calls.pop(number)[1] for number in ripe]
            for function in functions:
                function()
