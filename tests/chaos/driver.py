"""One run: requests come, processes are killed, the disk is full once, and the promises are watched."""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from contracts.base import canonical_json
from contracts.events import TRAIN_REQUESTS
from contracts.job import Job, JobState
from contracts.request import job_id_for
from functions.errors import Unavailable
from tests.chaos.plan import Request, Step
from tests.chaos.promises import Promises, jobs_of
from tests.chaos.system import Misfortune, System
from tests.property.invariants import Violation, promise

LOOK_S = 1.0
STUCK_S = 300.0
"""Nothing waits for so long: every patience of the system is far shorter here."""


@dataclass
class Run:
    """What happens to one system."""

    system: System
    steps: list[Step]
    misfortune: Misfortune
    full_s: float  # how long the disk is full; 0: never
    tables: bool  # whether there is a warehouse
    finding: str = ""
    seconds: float = 0.0
    filled: bool = False
    states: Counter[str] = field(default_factory=Counter)
    attempts: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        asked = {step.request.number: step.request for step in self.steps}.values()
        self.requests = [request for request in asked if request.kind != "garbage"]
        self.promises = Promises(self.system)
        self._left = list(self.steps)
        self._began = self._looked = self._moved = time.monotonic()
        self._free_at = 0.0
        self._share_left = 1.0  # of the jobs, when they were last looked at
        self._seen: Any = None

    def run(self) -> bool:
        """Whether every promise was kept; if not, `finding` says which was broken."""
        try:
            while not self._done():
                self._tick()
                time.sleep(0.05)
            self._nothing_is_left()
            self.promises.check_end(self.requests, self.misfortune.hit, self.filled)
        except Violation as violation:
            self.finding = str(violation)
        self.seconds = time.monotonic() - self._began
        return not self.finding

    def _tick(self) -> None:
        now = time.monotonic()
        for why in self.system.look_after():
            promise(False, why)
        due = [step for step in self._left if self._began + step.at <= now]
        for step in due[:5]:
            self._left.remove(step)
            if self._does(step):
                self._moved = now
            else:
                self._left.append(replace(step, at=now - self._began + 1))  # tried again, after the others
        self._strike(now)
        if now - self._looked >= LOOK_S and not self.system.full:
            self._look(now)

    def _look(self, now: float) -> None:
        self.promises.look()
        jobs = self.system.jobs()
        seen = sorted((job.job_id, job.version) for job in jobs)
        if seen != self._seen:
            self._seen, self._moved = seen, now
        self._share_left = 1 - sum(job.state.terminal for job in jobs) / len(self.requests)
        waiting = [f"{job.job_id} {job.state}" for job in jobs if not job.state.terminal]
        under_way = [getattr(one, "subscription", one) for one in self.system.pending()]
        promise(now - self._moved < STUCK_S, f"stuck: {waiting}, {under_way}, {self._left}")
        self._looked = time.monotonic()

    # misfortune

    def _strike(self, now: float) -> None:
        self.misfortune.go_on(self.system)
        if self.full_s and not self.filled and self._share_left < 0.7:
            self.filled, self._free_at = True, now + self.full_s
            self.system.fill()
        if self.system.full and now >= self._free_at:
            self.system.free()
            self._moved = now

    # people

    def _does(self, step: Step) -> bool:
        """Do a step; whether it is done, or was in vain for good."""
        ways: dict[str, Callable[[Request], bool]] = {
            "publish": self._publish,
            "conflict": partial(self._publish, revision="r2"),
            "upload": self._upload,
            "cancel": self._cancel,
            "retry": self._retry,
        }
        try:
            return ways[step.what](step.request)
        except (Unavailable, OSError):
            return False

    def _publish(self, request: Request, revision: str = "r1") -> bool:
        if request.kind == "garbage":
            content = f"garbage {request.number}".encode()
            self.promises.garbage.add(base64.b64encode(content).decode())
        else:
            body = request.body(self.tables, revision)
            self.promises.requested(job_id_for(request.request_id), body)
            content = canonical_json(body).encode()
        self.system.ports.bus.publish(TRAIN_REQUESTS, content)
        return True

    def _upload(self, request: Request) -> bool:
        for name, content in request.files().items():
            self.system.upload(name, content)
        return True

    def _cancel(self, request: Request) -> bool:
        job = self._job(request)
        if job is None or job.state.terminal:
            return job is not None
        self.promises.cancelled.add(job.job_id)
        return self.system.act(job.job_id, "cancel") in (200, 409)

    def _retry(self, request: Request) -> bool:
        job = self._job(request)
        if job is None or not job.state.terminal:
            return False
        if job.state not in (JobState.FAILED, JobState.CANCELLED):
            return True
        return self.system.act(job.job_id, "retry") in (200, 409)

    def _job(self, request: Request) -> Job | None:
        return next(iter(jobs_of(self.system.jobs(), request)), None)

    # the end

    def _done(self) -> bool:
        if self._left or self.system.full or self._share_left > 0:
            return False
        return self.promises.at_rest()

    def _nothing_is_left(self) -> None:
        until = time.monotonic() + STUCK_S
        while left := [*self.system.trainings(), *self.system.left_behind()]:
            for why in self.system.look_after():
                promise(False, why)
            promise(time.monotonic() < until, f"left behind, though all has ended: {left}")
            time.sleep(0.2)
        for job in self.system.jobs():
            self.states[job.state.value] += 1
            self.attempts[job.attempt] += 1
