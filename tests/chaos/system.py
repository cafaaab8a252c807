"""What is put under stress: server processes that are started again, trainings, what people see."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests

from contracts.job import Job
from functions.ports import D, Ports
from functions.settings import Settings
from tests.adapters.receiver import Receiver
from tests.chaos.training import WATCH
from tests.property.recurring import Recurring

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Server:
    """A process that somebody starts again whenever it has ended."""

    command: Sequence[str]
    log: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    again_at: float = 0.0  # monotonic
    starts: int = 0

    def look_after(self) -> int | None:
        """Start it if it does not run and its time has come; the exit status if it has ended by itself."""
        if self.process is not None and self.process.poll() is not None:
            status, self.process = self.process.returncode, None
            self.again_at = time.monotonic() + 1
            return status
        if self.process is None and time.monotonic() >= self.again_at:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    self.command, cwd=ROOT, env=self.environment, stdout=log, stderr=log
                )
            self.starts += 1
        return None

    def kill(self, pause_s: float) -> bool:
        """SIGKILL, and no new start for a while; whether there was a process."""
        if self.process is None:
            return False
        self.process.kill()
        self.process.wait()
        self.process = None
        self.again_at = time.monotonic() + pause_s
        return True


@dataclass
class System:
    """One installation, which answers what invariants ask of a simulation."""

    ports: Ports
    settings: Settings
    upstream: Receiver
    watch: Path
    url: str  # of the status page
    servers: list[Server] = field(default_factory=list)
    full: bool = False  # nothing can be stored just now
    recurring: Recurring = field(init=False)

    def __post_init__(self) -> None:
        self.recurring = Recurring(self)  # type: ignore[arg-type]

    @property
    def raw(self) -> Ports:
        return self.ports

    def pending(self) -> list[Any]:
        """Messages that are under way, as far as this family can tell."""
        return []

    def documents(self, kind: type[D]) -> list[D]:
        """All of a kind, newest first."""
        return self.ports.jobs.find(kind)

    def jobs(self) -> list[Job]:
        return self.documents(Job)

    def written(self) -> list[tuple[str, int]]:
        """Name and generation of every object of an attempt, its results left out."""
        folders = [self.ports.objects.list(folder) for folder in ("outcomes/", "scratch/")]
        return [(info.name, info.generation) for folder in folders for info in folder]

    # what people do

    def upload(self, name: str, data: bytes) -> None:
        """Put a file into the drop-zone."""
        self.ports.objects.create(name, data)

    def act(self, job_id: str, verb: str) -> int:
        """The status of a click; 0 if nobody answered."""
        try:
            return requests.post(f"{self.url}/api/v1/jobs/{job_id}:{verb}", timeout=10).status_code
        except requests.RequestException:
            return 0

    # what happens to it

    def look_after(self) -> Iterator[str]:
        """Keep the servers running; says which ended by themselves."""
        for server in self.servers:
            status = server.look_after()
            if status is not None:
                yield f"{server.log.stem} ended by itself with {status}; see {server.log}"

    def trainings(self) -> list[tuple[psutil.Process, str]]:
        """Every process of a training, with its job: the task, and what waits for it."""
        return [found for process in psutil.process_iter() if (found := self._training(process))]

    def _training(self, process: psutil.Process) -> tuple[psutil.Process, str] | None:
        try:
            told = process.environ()
            if told.get(WATCH) == str(self.watch) and process.status() != psutil.STATUS_ZOMBIE:
                return process, told["JOB_ID"]
        except (psutil.Error, OSError, KeyError):
            return None
        return None

    def left_behind(self) -> list[Path]:
        """Files that nobody needs once every training has ended."""
        return []

    def fill(self) -> None:
        """From now on nothing can be stored."""
        self.full = True

    def free(self) -> None:
        """Things can be stored again."""
        self.full = False

    def stop(self) -> None:
        for server in self.servers:
            server.kill(0)
        for process, _ in self.trainings():
            kill(process)


def kill(process: psutil.Process, whole_group: bool = False) -> bool:
    """SIGKILL to a process, or to its whole group; whether there was somebody."""
    try:
        if whole_group:
            os.killpg(os.getpgid(process.pid), signal.SIGKILL)
        else:
            process.kill()
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False
    return True


@dataclass
class Misfortune:
    """Kills from a seed: when, whom, how; whom it hits depends on who is there."""

    seed: int
    every_s: float  # on average
    most: int  # kills, so that the run ends on a slow machine, too
    counts: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)  # job → kills of its trainings

    def __post_init__(self) -> None:
        self._random = random.Random(f"kills-{self.seed}")  # noqa: S311
        self._next = time.monotonic() + self._gap()

    def _gap(self) -> float:
        return self._random.uniform(0.3, 1.7) * self.every_s

    def strike(self, system: System) -> None:
        """The next kill, if its time has come."""
        whom, which, how, pause = (self._random.random() for _ in range(4))
        if whom < 0.25:
            server = system.servers[int(which * len(system.servers))]
            self.counts[server.log.stem] += server.kill(4 * pause)
            return
        there = system.trainings()
        if there:
            process, job_id = there[int(which * len(there))]
            whole = how < 0.3
            kind = "training, whole group" if whole else f"training, {_role(process)} alone"
            if kill(process, whole):
                self.counts[kind] += 1
                self.hit[job_id] += 1

    def go_on(self, system: System) -> None:
        if time.monotonic() >= self._next and self.counts.total() < self.most:
            self.strike(system)
            self._next = time.monotonic() + self._gap()


def _role(process: psutil.Process) -> str:
    try:
        return "the shell that waits" if process.name() == "sh" else "the task"
    except psutil.NoSuchProcess:
        return "the task"
