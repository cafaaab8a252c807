"""The life of one attempt: claim → download → train → upload → manifest → outcome."""

from __future__ import annotations

import json
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contracts.attempt import Manifest, ManifestFile, Outcome, Progress, TrainingConfig
from contracts.names import Attempt
from contracts.problem import Problem
from functions.attempts import claim
from functions.errors import NotYet, Transient
from functions.ports import AlreadyExists, Conflict, NotFound, ObjectInfo
from functions.runtime import Runtime
from functions.settings import TaskSettings
from trainer.engines.base import EngineError, Host, SearchProgress, load
from trainer.heartbeat import Pulse
from trainer.steps import Steps, cpu_seconds, peak_memory_mb

CONSOLE = "console.log"


@dataclass
class Life:
    """One task of one attempt."""

    runtime: Runtime
    task: TaskSettings
    steps: Steps = field(default_factory=Steps)
    search: SearchProgress | None = None

    def __post_init__(self) -> None:
        self.attempt = Attempt(self.task.job_id, self.task.attempt)
        self.objects = self.runtime.ports.objects

    def live(self) -> None:
        """Train, unless the attempt has ended or is another execution's; raise only what a retry may mend."""
        if self.objects.stat(self.attempt.outcome) is not None:
            self._log("INFO", "the attempt has ended already")
            return
        holder = claim(self.runtime.ports, self.attempt, self.task.cloud_run_execution).execution
        if holder != self.task.cloud_run_execution:
            self._log("INFO", f"the attempt belongs to {holder or 'nobody any more'}")
            return
        with self._pulse(), TemporaryDirectory(prefix="mmm-") as folder:
            self._train_and_end(Path(folder))

    def _train_and_end(self, folder: Path) -> None:
        try:
            config = TrainingConfig.model_validate_json(self.objects.read(self.attempt.config))
        except NotFound as error:
            raise NotYet(f"{self.attempt.config} does not exist") from error
        out = folder / "results"
        out.mkdir()
        try:
            self._train(config, folder / "prepared.parquet", out)
        except EngineError as error:
            self._fail(config, out, Problem(type="untrainable", title=str(error)), deterministic=True)
        except (Transient, Conflict):
            raise
        except Exception as error:  # noqa: BLE001 (whatever an engine raises ends the attempt, with its reason)
            detail = "".join(traceback.format_exception(error))
            self._console(out, detail)
            title = f"The engine failed: {type(error).__name__}: {error}"[:300]
            self._fail(config, out, Problem(type="engine-failed", title=title, detail=detail[-4000:]))
        else:
            self._succeed(config, out)

    def _train(self, config: TrainingConfig, prepared: Path, out: Path) -> None:
        self._console(
            out,
            f"engine {config.engine}, attempt {config.attempt}, execution {self.task.cloud_run_execution}",
        )
        with self.steps("load"):
            with self.objects.reader(config.prepared) as source, prepared.open("wb") as target:
                while chunk := source.read(1 << 20):
                    target.write(chunk)
            engine = load(config.engine)
        host = Host(
            self.runtime.settings.cores, self.steps, self._progressed, lambda line: self._console(out, line)
        )
        engine(prepared, config.model, out, host)

    def _progressed(self, progress: SearchProgress) -> None:
        self.search = progress

    def _succeed(self, config: TrainingConfig, out: Path) -> None:
        with self.steps("upload"):
            files = [self._upload(config, path) for path in sorted(out.iterdir()) if path.name != CONSOLE]
        self._console(
            out, "trained; " + ", ".join(f"{k} {v['seconds']:.1f} s" for k, v in self.steps.report().items())
        )
        timings = json.dumps(self.steps.report(), indent=2).encode()
        files += [self._upload(config, out / CONSOLE), self._create(f"{config.results}timings.json", timings)]
        listed = [
            ManifestFile(name=info.name.removeprefix(config.results), size=info.size, crc32c=info.crc32c)
            for info in files
        ]
        manifest = Manifest(job_id=config.job_id, attempt=config.attempt, files=listed)
        self._create(f"{config.results}manifest.json", manifest.model_dump_json(indent=2).encode())
        self._end(status="succeeded")

    def _fail(
        self, config: TrainingConfig, out: Path, problem: Problem, *, deterministic: bool = False
    ) -> None:
        self._console(out, f"failed: {problem.title}")
        self._upload(config, out / CONSOLE)
        self._end(status="failed", error=problem, deterministic=deterministic)

    def _end(self, **fields: Any) -> None:
        outcome = Outcome(
            job_id=self.task.job_id,
            attempt=self.task.attempt,
            ended_by="trainer",
            at=self.runtime.ports.clock.now(),
            **fields,
        )
        self._create(self.attempt.outcome, outcome.model_dump_json(indent=2).encode())
        self._log("INFO", f"attempt {outcome.status}")

    def _upload(self, config: TrainingConfig, path: Path) -> ObjectInfo:
        name = f"{config.results}{path.name}"
        try:
            with self.objects.writer(name) as out, path.open("rb") as source:
                while chunk := source.read(1 << 20):
                    out.write(chunk)
        except AlreadyExists:
            self._log("INFO", f"{path.name} was uploaded before")
        return self._the(name)

    def _create(self, name: str, data: bytes) -> ObjectInfo:
        try:
            return self.objects.create(name, data)
        except AlreadyExists:
            return self._the(name)

    def _the(self, name: str) -> ObjectInfo:
        info = self.objects.stat(name)
        if info is None:
            raise Conflict(f"{name} vanished")
        return info

    def _pulse(self) -> Pulse:
        return Pulse(
            self.objects,
            self.attempt,
            self.task.cloud_run_task_index,
            self.task.cloud_run_execution,
            self._progress,
            self.runtime.log,
        )

    def _progress(self) -> Progress:
        found = self.search
        return Progress(
            step=self.steps.current,
            trial=found.trial if found else 0,
            trials=found.trials if found else 0,
            iteration=found.iteration if found else 0,
            iterations=found.iterations if found else 0,
            best_nrmse=found.nrmse if found else None,
            best_rssd=found.rssd if found else None,
            memory_mb=round(peak_memory_mb(), 1),
            cpu_s=round(cpu_seconds(), 2),
        )

    def _console(self, out: Path, text: str) -> None:
        now = self.runtime.ports.clock.now().strftime("%H:%M:%SZ")
        with (out / CONSOLE).open("a", encoding="utf-8") as console:
            console.writelines(f"{now} {line}\n" for line in text.splitlines())

    def _log(self, severity: Any, message: str) -> None:
        self.runtime.log(severity, message, job_id=self.task.job_id, attempt=self.task.attempt)
