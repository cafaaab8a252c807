"""The life of one task: claim → download → its trials → share; the task that sees all shares merges them."""

from __future__ import annotations

import errno
import os
import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from pydantic import ValidationError

from contracts.attempt import (
    Heartbeat,
    Manifest,
    ManifestFile,
    Merge,
    Outcome,
    Progress,
    TrainingConfig,
)
from contracts.base import error_lines
from contracts.names import Attempt
from contracts.problem import Problem
from contracts.result import REQUIRED, contract_of
from functions.attempts import OUT_OF_MEMORY, claim
from functions.errors import BadData, NotYet, Transient, shortened
from functions.ports import Conflict, NotFound
from functions.runtime import TrainerRuntime
from functions.settings import TaskSettings
from functions.steps import create_once
from trainer.changes import find_changes
from trainer.console import Console
from trainer.engines.base import Engine, EngineError, Host, Material, SearchProgress
from trainer.engines.registry import load
from trainer.heartbeat import Pulse
from trainer.posterior.job import Asked
from trainer.posterior.regions import ByRegion
from trainer.posterior.sampling import CHAINS
from trainer.timings import Steps, cpu_seconds, peak_memory_mb
from trainer.transfer import download, upload
from trainer.trust.job import Judge
from trainer.warnings import add_warnings
from trainer.weights import Weights

_CONTINUED = re.compile(r"\w[\w.-]*\.(csv|json)|pareto_alldecomp_matrix\.parquet", re.ASCII)
"""Files of a former result that another training needs; plain names only, never a path out of the folder."""
_PREPARED_DATA = "prepared.parquet"


def trials_of(task: int, tasks: int, trials: int) -> range:
    """The trials of a task, counted from 1; tasks have equally many, or one more."""
    return range(1 + task * trials // tasks, 1 + (task + 1) * trials // tasks)


@dataclass
class Life:
    """One run of one task of an attempt."""

    runtime: TrainerRuntime
    task: TaskSettings
    steps: Steps = field(default_factory=Steps)
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self.attempt = Attempt(self.task.job_id, self.task.attempt)
        self.objects = self.runtime.ports.objects
        self.index = self.task.cloud_run_task_index
        self.done = 0.0
        self.weights: Weights | None = None
        """None before the configuration is known."""
        self.merging = False
        self.console = Console(
            self.objects,
            self.attempt,
            self.index,
            self.task.cloud_run_task_attempt,
            self.runtime.ports.clock,
        )
        self.pulse = self._pulse()

    def live(self) -> None:
        """Train, unless the attempt has ended or is another execution's; raise only what a retry may fix."""
        if self.objects.stat(self.attempt.outcome) is not None:
            self._log("INFO", "the attempt has ended already")
            return
        holder = claim(self.runtime.ports, self.attempt, self.task.cloud_run_execution).execution
        if holder != self.task.cloud_run_execution:
            self._log("INFO", f"the attempt belongs to {holder or 'nobody any more'}")
            return
        if self.task.cloud_run_task_attempt:
            self._remember()
        with self.pulse, TemporaryDirectory(prefix="mmm-") as folder:
            self._train_and_end(Path(folder))

    def _remember(self) -> None:
        """Restore the progress made before the retry; it still counts if the share is there."""
        try:
            text = self.objects.read(self.attempt.heartbeat(self.index))
        except NotFound:
            return
        self.progress = Heartbeat.model_validate_json(text).progress
        self.done = self.progress.done

    def _train_and_end(self, folder: Path) -> None:
        try:
            config = TrainingConfig.model_validate_json(self.objects.read(self.attempt.config))
        except NotFound as error:
            raise NotYet(f"{self.attempt.config} does not exist") from error
        except ValidationError as error:
            title = "The trainer is older than the functions and cannot read the config: deploy it"
            unreadable = Problem(type="unreadable-config", title=title, errors=error_lines(error))
            self._end(status="failed", error=unreadable)  # the next attempt may find the newer trainer
            return
        result: Path | None = None
        problem: Problem | None = None
        deterministic = False
        try:
            result = self._train(config, folder)
        except EngineError as error:
            problem, deterministic = _untrainable(str(error)), True
        except (Transient, Conflict):
            raise
        except Exception as error:  # noqa: BLE001 (whatever an engine raises ends the attempt, with its reason)
            detail = "".join(traceback.format_exception(error))
            self.console(detail)
            title = f"The engine failed: {type(error).__name__}: {error}"[:300]
            problem = Problem(type="engine-failed", title=title, detail=detail[-8000:])
            if out_of_memory(error):
                problem, deterministic = _TOO_LARGE, True
        if problem:  # here nothing holds the engine any more, nor what it had in memory
            self._fail(config, problem, deterministic=deterministic)
        elif result:
            self._succeed(config, result)

    def _train(self, config: TrainingConfig, folder: Path) -> Path | None:
        """The folder of the result if it is this task that merges the shares, otherwise None."""
        count, trials = self.task.cloud_run_task_count, config.model.search.trials
        self.console(
            f"engine {config.engine}, attempt {config.attempt}, execution {self.task.cloud_run_execution}, "
            f"task {self.index + 1} of {count}"
        )
        tasks = min(count, trials)  # with more tasks than trials, the last ones have nothing to do
        self.weights = Weights(config, tasks)
        if self.index >= tasks:
            self.done = self.weights.searched
            return None
        engine, asked = self._engine(config, folder, tasks)
        shares = [self.attempt.share(task, engine.share_suffix) for task in range(tasks)]
        if self.objects.stat(shares[self.index]) is None:
            share, ours = folder / f"share.{engine.share_suffix}", trials_of(self.index, tasks, trials)
            iterations = len(ours) * config.model.search.iterations
            self.progress = Progress(trials=len(ours), iterations=iterations)
            engine.search(ours, share)
            for number, chain in asked.begun.items():
                create_once(self.runtime, self.attempt.chain(number), chain)
            self.pulse.beat()  # so that the task that merges sees the whole log and progress
            with self.steps("upload"):
                upload(self.runtime, shares[self.index], share)
        self.done = max(self.done, self.weights.searched)
        if not self._merges(shares):
            return None
        names = [info.name for info in self.objects.list(self.attempt.chains)]
        for number in range(CHAINS):
            if (name := self.attempt.chain(number)) in names:
                asked.begun[number] = self.objects.read(name)
        return self._merged(engine, config, shares, folder)

    def _engine(self, config: TrainingConfig, folder: Path, tasks: int) -> tuple[Engine, Asked]:
        """The engine, and what it asks for the posterior."""
        with self.steps("load"):
            prepared = folder / _PREPARED_DATA
            download(self.objects, config.prepared, prepared)
            material = Material(prepared, config.model.national, self._former(config, folder / "former"))
            cores = self.runtime.settings.cores or os.cpu_count() or 1
            by_region = self._by_region(config, folder)
            asked = Asked(cores, self.steps, self.console, self.steps.tell, by_region)
            if tasks > 1:
                drawn = trials_of(self.index, tasks, CHAINS)
                asked.chains = range(drawn.start - 1, drawn.stop - 1)
            host = Host(
                cores,
                self.steps,
                self._progressed,
                self.console,
                asked,
                Judge(asked, config.warnings),
                asked.begin,
            )
            return load(config.engine)(material, host), asked

    def _by_region(self, config: TrainingConfig, folder: Path) -> ByRegion | None:
        """The prepared data by region; None if there are no regions."""
        column = config.model.columns.region
        if config.regions is None or column is None:
            return None
        path = folder / "regions.parquet"
        download(self.objects, config.regions, path)
        studies = tuple(study for study in config.model.calibration if study.region)
        return ByRegion(pd.read_parquet(path), column, studies)

    def _former(self, config: TrainingConfig, folder: Path) -> Path | None:
        """The tables and documents of the former result; None if the attempt has none."""
        if config.former is None:
            return None
        folder.mkdir()
        try:
            manifest = Manifest.model_validate_json(self.objects.read(f"{config.former}manifest.json"))
            for file in manifest.files:
                if _CONTINUED.fullmatch(file.name):
                    download(self.objects, f"{config.former}{file.name}", folder / file.name)
        except NotFound as error:
            raise EngineError(f"the former result is not whole: {error}") from error
        return folder

    def _merges(self, shares: Sequence[str]) -> bool:
        """Whether every share is there, and this task was the first to see it, now or before a retry.

        Whoever writes the last share sees all of them. If that task dies its retry comes here again; if it is
        not repeated its execution has failed, and sweep ends the attempt.
        """
        there = {info.name for info in self.objects.list(self.attempt.shares)}
        if missing := len(set(shares) - there):
            self._log("INFO", f"{missing} of {len(shares)} shares are missing: another task merges them")
            return False
        ours = Merge(execution=self.task.cloud_run_execution, task=self.index)
        create_once(self.runtime, self.attempt.merge, ours.model_dump_json().encode())
        merger = Merge.model_validate_json(self.objects.read(self.attempt.merge))
        self._log("INFO", f"task {merger.task + 1} of {merger.execution} merges the shares")
        return merger == ours

    def _merged(self, engine: Engine, config: TrainingConfig, shares: Sequence[str], folder: Path) -> Path:
        """Merge the shares that are in the bucket, also this task's own; return the folder of the result."""
        self.merging = True
        paths = [folder / name.rsplit("/", 1)[-1] for name in shares]
        with self.steps("load"):
            for name, path in zip(shares, paths, strict=True):
                download(self.objects, name, path)
        out = folder / "results"
        out.mkdir()
        engine.finish(paths, out)
        self._compare(config, folder, out)
        check_documents(out)
        for warning in add_warnings(out, config):
            self.console(f"warning: {warning.message}")
        return out

    def _compare(self, config: TrainingConfig, folder: Path, out: Path) -> None:
        """Write what has changed since the job before it; nothing where a former release wrote the config."""
        if config.series is None or not (out / REQUIRED).is_file():  # the engine left nothing to compare
            return
        with self.steps("changes"):
            found = find_changes(self.objects, config, config.series, folder / _PREPARED_DATA, out)
            (out / "changes.json").write_text(found.model_dump_json(indent=1), encoding="utf-8")
        for line in (found.reason, *found.changed, *found.unknown):
            if line:
                self.console(f"changes: {line}")

    def _progressed(self, search: SearchProgress) -> None:
        self.progress = Progress(
            trial=search.trial,
            trials=search.trials,
            iteration=search.iteration,
            iterations=search.iterations,
            best_nrmse=search.nrmse,
            best_rssd=search.rssd,
        )

    def _succeed(self, config: TrainingConfig, out: Path) -> None:
        with self.steps("upload"):
            paths = sorted(out.iterdir())
            files = [upload(self.runtime, f"{config.results}{path.name}", path) for path in paths]
        report = self.steps.report()
        seconds = ", ".join(f"{name} {step.seconds:.1f} s" for name, step in report.root.items())
        self.console(f"trained; {seconds}")
        texts = {
            "console.log": self.console.whole(),
            "timings.json": report.model_dump_json(indent=2).encode(),
        }
        files += [create_once(self.runtime, f"{config.results}{name}", text) for name, text in texts.items()]
        listed = [
            ManifestFile(name=info.name.removeprefix(config.results), size=info.size, crc32c=info.crc32c)
            for info in files
        ]
        manifest = Manifest(job_id=config.job_id, attempt=config.attempt, files=listed)
        manifest_json = manifest.model_dump_json(indent=2).encode()
        create_once(self.runtime, f"{config.results}manifest.json", manifest_json)
        self._end(status="succeeded")

    def _fail(self, config: TrainingConfig, problem: Problem, *, deterministic: bool = False) -> None:
        self.console(f"failed: {problem.title}")
        create_once(self.runtime, f"{config.results}console.log", self.console.whole())
        self._end(status="failed", error=problem, deterministic=deterministic)

    def _end(self, **fields: Any) -> None:
        outcome = Outcome(
            job_id=self.task.job_id,
            attempt=self.task.attempt,
            ended_by="trainer",
            at=self.runtime.ports.clock.now(),
            progress=self._all_tasks(),
            **fields,
        )
        self.pulse.stop()  # it would take this outcome for somebody else's, and end the process
        create_once(self.runtime, self.attempt.outcome, outcome.model_dump_json(indent=2).encode())
        self._log("INFO", f"attempt {outcome.status}")

    def _pulse(self) -> Pulse:
        return Pulse(
            self.objects,
            self.attempt,
            self.index,
            self.task.cloud_run_task_count,
            self.task.cloud_run_execution,
            self._now,
            self.console,
            self.runtime.log,
        )

    def _now(self) -> Progress:
        searched = {}
        if self.weights is not None:
            evaluated = self.progress.iteration / max(self.progress.iterations, 1)
            most = 1.0 if self.merging else self.weights.searched
            self.done = max(self.done, min(self.weights.done(self.steps, evaluated), most))
            searched = {"searched": round(self.weights.searched, 3)}
        return self.progress.model_copy(
            update={
                **searched,
                "step": self.steps.now,
                "done": round(self.done, 3),
                "memory_mb": round(peak_memory_mb(), 1),
                "cpu_s": round(cpu_seconds(), 2),
            }
        )

    def _all_tasks(self) -> Progress:
        """What this task has done by now, together with what the others have last said of themselves."""
        count, own = self.task.cloud_run_task_count, self.attempt.heartbeat(self.index)
        others = [info.name for info in self.objects.list(self.attempt.heartbeats)] if count > 1 else []
        beats = [Heartbeat.model_validate_json(self.objects.read(name)) for name in others if name != own]
        return Progress.of([*(beat.progress for beat in beats), self._now()], count)

    def _log(self, severity: Any, message: str) -> None:
        self.runtime.log(severity, message, job_id=self.task.job_id, attempt=self.task.attempt)


def check_documents(folder: Path) -> None:
    """Refuse a result whose JSON documents break their contracts, because no later step could read them.

    Raises:
        EngineError: with every problem, a line each.
    """
    problems = [] if (folder / REQUIRED).is_file() else [f"{REQUIRED} is missing"]
    for path in sorted(folder.glob("*.json")):
        contract = contract_of(path.name)
        try:
            if contract:
                contract.model_validate_json(path.read_bytes())
        except ValidationError as error:
            problems += [f"{path.name}: {line}" for line in error_lines(error)]
    if problems:
        raise EngineError("\n".join(f"the engine left a broken result: {problem}" for problem in problems))


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what it came of, says that there was no memory left."""
    if error is None:
        return False
    said = getattr(error, "errno", None) == errno.ENOMEM or any(words in str(error) for words in _NO_ROOM)
    return isinstance(error, MemoryError) or said or out_of_memory(error.__cause__ or error.__context__)


_NO_ROOM = ("can't start new thread", "failed to map segment")
"""What is said where a thread, or a library of the system, finds no room."""
_TOO_LARGE = Problem(
    type=OUT_OF_MEMORY,
    title="The training needs more memory than it may have; choose a larger size or fewer candidates",
)


def _untrainable(reasons: str) -> Problem:
    """An engine's reasons, one a line, as a problem short enough for a job document."""
    lines = reasons.splitlines()
    if len(lines) == 1:
        return Problem(type="untrainable", title=shortened(reasons))
    title = f"{len(lines)} reasons why this cannot be trained on"
    return Problem(type="untrainable", title=title, errors=BadData(title, lines).problem.errors)
