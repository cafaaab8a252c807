"""A training that computes nothing and leaves a complete result at once."""

from __future__ import annotations

import multiprocessing
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from contracts.attempt import Manifest, ManifestFile, Outcome, TrainingConfig
from contracts.job import Job, JobState
from contracts.names import Attempt, attempt_of
from functions.adapters.embedded import Embedded
from functions.adapters.embedded.launcher import LauncherSettings
from functions.attempts import claim
from functions.ports import AlreadyExists, NotFound, Ports

_EXAMPLES = Path(__file__).parents[3] / "contracts" / "examples"
_FILES = {
    "best_model.json": (_EXAMPLES / "best_model.json").read_bytes(),
    "timings.json": (_EXAMPLES / "timings.json").read_bytes(),
    "provenance.json": b'{"engine": "none"}',
}
_POLL_S = 0.05


class NoOpTrainings:
    """Until the `with` block ends, one process does every training of an installation.

    Its launcher must have `LauncherSettings(stepping=True)`, so that nobody else starts them.
    """

    def __init__(self, folder: Path, slots: int) -> None:
        """`folder`: of the embedded installation; `slots`: trainings that run at once."""
        context = multiprocessing.get_context("spawn")
        self._end = context.Event()
        self._twice = context.Value("i")
        self._process = context.Process(
            target=_train_all, args=(folder, slots, self._end, self._twice), daemon=True
        )

    def __enter__(self) -> NoOpTrainings:
        """Start the process."""
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._end.set()
        self._process.join()

    def cpu_s(self) -> float:
        """CPU that the process has used, in seconds."""
        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system

    def twice(self) -> int:
        """How many attempts were trained a second time."""
        return int(self._twice.value)


def _train_all(folder: Path, slots: int, end: Any, twice: Any) -> None:
    embedded = Embedded(folder, launcher=LauncherSettings(stepping=True, max_parallel=slots))
    ports, done = embedded.ports(), set[str]()
    while not end.wait(_POLL_S):
        for job in ports.jobs.find(Job, state=JobState.RUNNING.value):
            for execution in (one.name for one in ports.launcher.find(job.job_id, job.attempt)):
                if execution in done:
                    continue
                try:
                    train(ports, attempt_of(job), execution)
                except AlreadyExists:
                    twice.value += 1
                embedded.launcher.step()
                with suppress(NotFound):
                    embedded.launcher.finish_task(execution, 0, 0)
                done.add(execution)


def train(ports: Ports, attempt: Attempt, execution: str) -> None:
    """Write everything that the functions need from a training, if the attempt is for this execution.

    Raises:
        functions.ports.AlreadyExists: it was trained before.
    """
    if claim(ports, attempt, execution).execution != execution:
        return
    config = TrainingConfig.model_validate_json(ports.objects.read(attempt.config))
    files = []
    for name, content in _FILES.items():
        info = ports.objects.create(f"{config.results}{name}", content)
        files.append(ManifestFile(name=name, size=info.size, crc32c=info.crc32c))
    told = {"job_id": attempt.job_id, "attempt": attempt.attempt}
    manifest = Manifest.model_validate({**told, "files": files})
    ports.objects.create(f"{config.results}manifest.json", manifest.model_dump_json().encode())
    outcome = Outcome.model_validate(
        {**told, "status": "succeeded", "ended_by": "trainer", "at": ports.clock.now()}
    )
    ports.objects.create(attempt.outcome, outcome.model_dump_json().encode())
