"""A training that computes nothing and leaves a complete result at once."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from types import TracebackType
from typing import Any

from contracts.attempt import Manifest, ManifestFile, Outcome, TrainingConfig
from contracts.names import Attempt
from functions.adapters.embedded import Embedded
from functions.attempts import claim
from functions.ports import Execution, ExecutionState, Ports

_EXAMPLES = Path(__file__).parents[3] / "contracts" / "examples"
_FILES = {
    "best_model.json": (_EXAMPLES / "best_model.json").read_bytes(),
    "timings.json": (_EXAMPLES / "timings.json").read_bytes(),
    "provenance.json": b'{"engine": "none"}',
}


class NoOpLauncher:
    """Implements `functions.ports.Launcher`: until the `with` block ends, one process does every training."""

    def __init__(self, folder: Path) -> None:
        """`folder`: of the embedded installation."""
        context = multiprocessing.get_context("spawn")
        self._started: dict[tuple[str, int], Execution] = {}
        self._orders = context.SimpleQueue()
        self._process = context.Process(target=_train_all, args=(folder, self._orders), daemon=True)

    def __enter__(self) -> NoOpLauncher:
        """Start the process."""
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._orders.put(None)
        self._process.join()

    def start(self, job_id: str, attempt: int, size: str, task_count: int) -> str:
        """Order one training."""
        del size, task_count
        execution = Execution(f"no-op-{job_id}-{attempt}", ExecutionState.RUNNING)
        self._started[job_id, attempt] = execution
        self._orders.put((job_id, attempt, execution.name))
        return execution.name

    def find(self, job_id: str, attempt: int) -> list[Execution]:
        """The execution of an attempt, if there is one."""
        return [self._started[job_id, attempt]] if (job_id, attempt) in self._started else []

    def get(self, execution: str) -> Execution | None:
        """An execution by its name, always reported as running."""
        return next((one for one in self._started.values() if one.name == execution), None)

    def cancel(self, execution: str) -> None:
        """Do nothing: the training has ended long ago."""


def _train_all(folder: Path, orders: Any) -> None:
    ports = Embedded(folder).ports()
    while order := orders.get():
        job_id, attempt, execution = order
        train(ports, Attempt(job_id, attempt), execution)


def train(ports: Ports, attempt: Attempt, execution: str) -> None:
    """Write everything that the functions need from a training: claim, files, manifest, outcome."""
    claim(ports, attempt, execution)
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
