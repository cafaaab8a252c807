"""Fault points: every call of a port, before and after, named by caller, call, and what it is about.

Everything that a handler or the trainer does between doing, committing and the effects is a call of a port,
so these points are all the places where a death, an error or somebody else's step can matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.events import NOTIFIED_PREFIXES, TOPICS
from contracts.job import Document
from functions.errors import Unavailable
from functions.ports import Ports

Triple = tuple[str, str, str]
"""The state of a job, the process at work, and what struck it where."""
_TOPICS = {*TOPICS, *NOTIFIED_PREFIXES.values()}


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
    at: int | str = 0  # at which of its port calls, counted from 1, or at the first whose name begins so
    length: int = 1  # how many calls in a row an error lasts
    process: str = ""  # of the platform, if it is a task
    calls: int = 0
    generation: int = 0  # of the newest object when it began

    def begins(self, point: str) -> str:
        """One more call of a port begins; the fault that strikes it, if one does."""
        self.calls += 1
        if isinstance(self.at, str) and point.startswith(self.at):
            self.at = self.calls
        if isinstance(self.at, str):
            return ""
        last = self.at + (self.length if self.fault.startswith("error") else 1)
        return self.fault if self.at <= self.calls < last else ""


@dataclass
class Faults:
    """Decides at each point what happens; knows which processes are at work, the innermost last."""

    everywhere: Frame = field(default_factory=lambda: Frame("", ""))  # counts the calls of all processes
    meanwhile: Callable[[], None] = lambda: None
    told: Callable[[str, tuple[Any, ...]], None] = lambda *_: None
    stack: list[Frame] = field(default_factory=list)
    outage: str = ""  # the port that does not answer at present
    doomed: set[str] = field(default_factory=set)  # tasks that were killed while they are on the stack
    covered: set[Triple] = field(default_factory=set)

    @contextmanager
    def process(self, frame: Frame) -> Iterator[None]:
        self.stack.append(frame)
        try:
            yield
        finally:
            self.stack.pop()

    def around(self, point: str, args: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        fault = self.enter(point, args)
        result = call()
        self.leave(point, fault)
        return result

    def enter(self, point: str, args: tuple[Any, ...]) -> str:
        """The fault that strikes this call, before or after it."""
        frame = self.stack[-1]
        its, everybodys = frame.begins(point), self.everywhere.begins(point)
        if self.outage and point.startswith(self.outage):
            self._cover(frame, f"outage@{point}")
            raise Unavailable(f"{self.outage} does not answer")
        self._act(point, its or everybodys, "before")
        self.told(point, args)
        return its or everybodys

    def leave(self, point: str, fault: str) -> None:
        self._act(point, fault, "after")

    def _act(self, point: str, fault: str, when: str) -> None:
        frame = self.stack[-1]
        if fault.endswith(when):
            self._cover(frame, f"{fault}@{point}")
            self._strike(fault.partition("-")[0], point)
        if frame.process in self.doomed:
            raise Crash(f"{frame.process} was killed")

    def _strike(self, kind: str, point: str) -> None:
        if kind == "crash":
            raise Crash(point)
        if kind == "error":
            raise Unavailable(f"no answer from {point}")
        self.meanwhile()

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

        def called(*args: Any, **kwargs: Any) -> Any:
            if not self._faults.stack:
                return real(*args, **kwargs)
            return self._faults.around(self._point(method, args), args, lambda: real(*args, **kwargs))

        def opened(*args: Any, **kwargs: Any) -> Any:
            return self._opened(method, real, args, kwargs)

        call = opened if method in ("writer", "reader", "query") else called
        setattr(self, method, call)  # from now on it is found without asking here
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
        fault = self._faults.enter(point, args)
        with real(*args, **kwargs) as stream:
            yield stream
        self._faults.leave(point, fault)


def _about(value: Any) -> str:
    """What a call is about, without what differs from job to job."""
    if isinstance(value, Document):
        return f"{value.kind}:{getattr(value, 'state', '')}"
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, str) and "/" in value:
        return f"{value.split('/')[0]}/{value.rsplit('/', 1)[1].split('.')[0].rstrip('-0123456789')}"
    return value if value in _TOPICS else ""


def watched(ports: Ports, faults: Faults) -> Ports:
    """The same ports, every call of which is a fault point."""
    warehouses: Mapping[str, Any] = {
        name: Watched("warehouse", ports.warehouses[name], faults) for name in ports.warehouses
    }
    names = ("jobs", "objects", "bus", "launcher")
    return replace(
        ports, warehouses=warehouses, **{name: Watched(name, getattr(ports, name), faults) for name in names}
    )
