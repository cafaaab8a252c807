"""Fault points: every call of a port, before and after, named by caller, call, and what it is about.

Everything that a handler or the trainer does between doing, committing and the effects is a call of a port,
so these points are all the places where a death, an error or somebody else's step can matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.job import Document
from functions.errors import Unavailable
from functions.ports import Ports


class Crash(BaseException):
    """The process dies here: nothing catches it."""


FAULTS = ("none", "none", "none", "crash-before", "crash-after", "error-before", "error-after",
          "meanwhile-before", "meanwhile-after", "meanwhile-after")  # fmt: skip


@dataclass
class Frame:
    """One process at work: a delivery or a task of a training."""

    actor: str
    state: str  # of the job that it is about, when it began
    fault: str = "none"
    at: int = 0  # at which of its port calls, counted from 1
    length: int = 1  # how many calls in a row an error lasts
    execution: str = ""
    calls: int = 0
    generation: int = 0  # of the newest object when it began

    def due(self, when: str) -> str:
        """The fault that happens at this point of the present call, if one does."""
        kind, _, its_when = self.fault.partition("-")
        last = self.at + (self.length if kind == "error" else 1)
        return kind if its_when == when and self.at <= self.calls < last else ""


@dataclass
class Faults:
    """Decides at each point what happens; knows which processes are at work, the innermost last."""

    meanwhile: Callable[[], None] = lambda: None
    told: Callable[[str, tuple[Any, ...]], None] = lambda *_: None
    stack: list[Frame] = field(default_factory=list)
    outage: str = ""  # the port that does not answer at present
    doomed: set[str] = field(default_factory=set)  # executions that were killed while they are on the stack
    covered: set[tuple[str, str, str]] = field(default_factory=set)

    @contextmanager
    def process(self, frame: Frame) -> Iterator[None]:
        self.stack.append(frame)
        try:
            yield
        finally:
            self.stack.pop()

    def around(self, point: str, args: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        if not self.stack:
            return call()
        self.enter(point, args)
        result = call()
        self.leave(point)
        return result

    def enter(self, point: str, args: tuple[Any, ...]) -> None:
        frame = self.stack[-1]
        frame.calls += 1
        if self.outage and point.startswith(self.outage):
            self._cover(frame, f"outage@{point}")
            raise Unavailable(f"{self.outage} does not answer")
        self._act(frame, point, "before")
        self.told(point, args)

    def leave(self, point: str) -> None:
        self._act(self.stack[-1], point, "after")

    def _act(self, frame: Frame, point: str, when: str) -> None:
        kind = frame.due(when)
        if kind:
            self._cover(frame, f"{kind}-{when}@{point}")
        if kind == "crash":
            raise Crash(point)
        if kind == "error":
            raise Unavailable(f"no answer {when} {point}")
        if kind == "meanwhile":
            self.meanwhile()
        if frame.execution in self.doomed:
            raise Crash(f"{frame.execution} was killed")

    def _cover(self, frame: Frame, fault: str) -> None:
        self.covered.add((frame.state, frame.actor, fault))


class Watched:
    """A port whose calls are fault points."""

    def __init__(self, name: str, port: Any, faults: Faults) -> None:
        self._name, self._port, self._faults = name, port, faults

    def __getattr__(self, method: str) -> Any:
        real = getattr(self._port, method)
        if not callable(real):
            return real
        if method in ("writer", "reader", "query"):
            return lambda *args, **kwargs: self._opened(method, real, args, kwargs)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._faults.around(self._point(method, args), args, lambda: real(*args, **kwargs))

        return call

    def _point(self, method: str, args: tuple[Any, ...]) -> str:
        return f"{self._name}.{method}({_about(args[0]) if args else ''})"

    @contextmanager
    def _opened(self, method: str, real: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
        point = self._point(method, args)
        if not self._faults.stack:
            with real(*args, **kwargs) as stream:
                yield stream
            return
        self._faults.enter(point, args)
        with real(*args, **kwargs) as stream:
            yield stream
        self._faults.leave(point)


def _about(value: Any) -> str:
    """What a call is about, without what differs from job to job."""
    if isinstance(value, Document):
        return f"{value.kind}:{getattr(value, 'state', '')}"
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, str) and "/" in value:
        return f"{value.split('/')[0]}/{value.rsplit('/', 1)[1].split('.')[0].rstrip('-0123456789')}"
    return value if isinstance(value, str) and value.islower() and "_" not in value else ""


def watched(ports: Ports, faults: Faults) -> Ports:
    """The same ports, every call of which is a fault point."""
    warehouses: Mapping[str, Any] = {
        name: Watched("warehouse", ports.warehouses[name], faults) for name in ports.warehouses
    }
    names = ("jobs", "objects", "bus", "launcher")
    return replace(
        ports, warehouses=warehouses, **{name: Watched(name, getattr(ports, name), faults) for name in names}
    )
