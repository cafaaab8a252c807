"""The promises of the property test, watched from outside while real processes work."""

from __future__ import annotations

import base64
import fcntl
import json
import time
from collections import Counter
from pathlib import Path

from contracts.job import DeadLetter, Job, JobState
from tests.chaos.plan import Request
from tests.chaos.system import System
from tests.chaos.training import VIOLATIONS
from tests.property.invariants import Invariants, promise

S = JobState
DYING_S = 1.0
"""Between a kill and the end of a process."""

ENDS: dict[str, set[JobState]] = {
    "table": {S.SUCCEEDED}, "object": {S.SUCCEEDED}, "upload": {S.SUCCEEDED}, "conflict": {S.SUCCEEDED},
    "validate": {S.SUCCEEDED}, "invalid": {S.REJECTED}, "broken": {S.REJECTED},
}  # fmt: skip
KILLED = ("training-crashed", "heartbeat-lost")
"""The errors of jobs whose every attempt was killed."""


class Promises(Invariants):
    """What must be true of a system whose processes may be anywhere."""

    def __init__(self, system: System) -> None:
        super().__init__(system)  # type: ignore[arg-type]
        self.system = system
        self.cancelled: set[str] = set()
        self._heard = 0

    def look(self) -> None:
        """What must be true at any moment."""
        self._hear()
        self.check()
        self._nobody_trains_on()
        told = self.system.watch / VIOLATIONS
        promise(not told.exists(), told.read_text() if told.exists() else "")

    def _hear(self) -> None:
        envelopes = self.system.upstream.got[self._heard :]
        self._heard += len(envelopes)
        for _, envelope in envelopes:
            self.told_upstream(json.loads(base64.b64decode(envelope["message"]["data"])))

    def _trainings(self) -> None:
        """Trainings watch each other; here only those whose attempt is over are looked for."""

    def _nobody_trains_on(self) -> None:
        suspects = self._over()
        if suspects:
            time.sleep(DYING_S)
            still = [path.stem for path in suspects if _held(path)]
            promise(not still, f"attempts are over, but train: {still}")

    def _over(self) -> list[Path]:
        """The locks of attempts that are over, but held. Jobs are read first: no such attempt begins anew."""
        over = {
            f"{job.job_id}.{attempt}"
            for job in self.system.jobs()
            for attempt in range(1, job.attempt + (job.state is S.CANCELLED))
        }
        locks = self.system.watch.glob("*.lock")  # <job>.<attempt>.<part>.lock
        return [path for path in locks if path.stem.rpartition(".")[0] in over and _held(path)]

    def _no_message_lost(self, letters: list[DeadLetter]) -> None:
        """Nothing is under way any more, and no dead letter is unexplained: that is all one sees outside."""
        for letter in letters:
            promise(letter.data in self.garbage, f"a dead letter: {letter.subscription}: {letter.reason}")

    def at_rest(self) -> bool:
        """Whether all has ended and upstream knows."""
        self._hear()
        jobs = self.system.jobs()
        last = {(job.job_id, job.attempt, job.state.value) for job in jobs}
        ended = all(job.state.terminal for job in jobs) and not self.system.pending()
        return ended and last <= self.events.keys()

    def check_end(self, requests: list[Request], hit: Counter[str], filled: bool) -> None:
        """What must be true once everything has ended."""
        self.look()
        self.check_rest()
        self._no_bug()
        for request in requests:
            self._ended_as_it_must(request, hit, filled)

    def _no_bug(self) -> None:
        """Whatever happens to a process, its neighbours find an error of the tree, never a surprise."""
        for server in self.system.servers:
            for line in server.log.read_text().splitlines():
                bug = " ERROR " in line and "Traceback" in line and " function=" in line
                promise(not bug, f"{server.log.stem}: a bug: {line}")

    def _ended_as_it_must(self, request: Request, hit: Counter[str], filled: bool) -> None:
        found = jobs_of(self.system.jobs(), request)
        promise(len(found) == 1, f"{request} has {len(found)} jobs: {[job.job_id for job in found]}")
        job = found[0]
        if job.state is S.FAILED:
            kind = job.error.type if job.error else ""
            why = f"{job.job_id} FAILED although nobody killed its trainings: {job.error}"
            promise(kind in KILLED and (hit[job.job_id] or filled), why)
        elif job.state is S.CANCELLED:
            promise(job.job_id in self.cancelled, f"{job.job_id} is CANCELLED, but nobody asked for it")
        else:
            promise(job.state in ENDS[request.kind], f"{request} ended {job.state}: {job.error}")


def jobs_of(jobs: list[Job], request: Request) -> list[Job]:
    """The jobs that a request has."""
    if request.is_upload:
        return [job for job in jobs if job.upload and job.upload.name == request.file]
    return [job for job in jobs if job.request_id == request.request_id]


def _held(path: Path) -> bool:
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
