"""The engine `robyn`: Meta's Robyn on R, a separate process that reads one folder and writes another."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import pandas as pd
import pyarrow as pa

from contracts import series
from contracts.budget import BudgetQuestion, amount_of
from contracts.engines import chooses_by_posterior
from contracts.model import ModelConfig, Window
from contracts.posterior import PosteriorDocument
from contracts.trust import TrustDocument
from trainer.engines import figures, posterior_files, questions, robyn_answer
from trainer.engines.base import EngineError, Host, JobPosterior, Material, SearchProgress
from trainer.engines.beginning import Beginning, begin
from trainer.engines.checks import check, dates_of, interval_of
from trainer.engines.choice import aims
from trainer.engines.common import InvalidInputs
from trainer.engines.pictures import conclusions
from trainer.engines.pictures.conclusions import Conclusions
from trainer.engines.refresh import picture as refresh_picture
from trainer.engines.refresh import report as refresh_report
from trainer.engines.refresh.continuation import Continuation
from trainer.engines.tables import add_parquet, write_plain_csv

SCRIPT = Path(__file__).resolve().parents[2] / "r" / "run.R"
LOG_LINES_OF_AN_ERROR = 50
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_IN_C = {"LC_ALL": "C.UTF-8", "TZ": "UTC"}
"""R sorts the names of hyperparameters, and searches in that order."""
_ENDED_BY: dict[int, str] = {
    signal.SIGKILL: "it was killed, most likely because there was not enough memory",
    signal.SIGTERM: "it was told to stop, most likely because the time of the task was up",
    signal.SIGSEGV: "it crashed with a segmentation fault",
}


class RFailed(RuntimeError):
    """R ended without a result. The notes hold the last lines of its log, and the calls that failed."""


class RobynEngine:
    """Implements `trainer.engines.base.Engine` with `Rscript r/run.R`."""

    share_suffix = "rds"

    def __init__(self, material: Material, host: Host) -> None:
        self._material, self._host = material, host

    @cached_property
    def _data(self) -> pd.DataFrame:
        return pd.read_parquet(self._material.prepared)

    @cached_property
    def _begun(self) -> Beginning:
        try:
            begun = begin(self._data, self._material.config, self._material.former)
            check(self._data, begun.config)
        except InvalidInputs as error:
            raise EngineError(str(error)) from error
        for line in begun.refresh.notes if begun.refresh else ():
            self._host.log(f"refresh: {line}")
        return begun

    def search(self, trials: range, share: Path) -> None:
        """Run these trials, a process each, and leave Robyn's inputs and models in one file.

        Raises:
            EngineError: Robyn does not take data or configuration, or R is not there.
            RFailed: R ended for any other reason.
        """
        with TemporaryDirectory(prefix="robyn-") as scratch:
            out = Path(scratch)
            self._run(out, "--trials", f"{trials[0]}:{trials[-1]}", "--out", str(out), planned=len(trials))
            shutil.move(out / "share.rds", share)
        self._host.begin_posterior(self._data, self._begun.believed(self._material.config), None)

    def finish(self, shares: Sequence[Path], folder: Path) -> None:
        """Merge the shares, choose the models, and leave every file of the result.

        Raises:
            EngineError: Robyn does not take data or configuration, or R is not there.
            RFailed: R ended for any other reason.
        """
        believed = self._begun.believed(self._material.config)
        posterior = self._host.posterior(self._data, believed, folder, None)
        asked = [question for _, question in self._begun.config.questions]
        robyns = {
            number: question
            for number, question in enumerate(asked, 1)
            if robyn_answer.answers(question, posterior) and not self._unanswered(question)
        }
        with TemporaryDirectory(prefix="robyn-") as scratch:
            ready = Path(scratch) / "shares"
            ready.mkdir()
            for number, share in enumerate(shares):
                (ready / f"{number:04}.rds").symlink_to(share.resolve())
            self._run(
                Path(scratch),
                *("--shares", str(ready), "--out", str(folder)),
                planned=0,
                robyns=robyns,
                posterior=self._chooses(posterior),
            )
        told = posterior_files.add(posterior.document, folder, draw=self._draws) if posterior else None
        if self._begun.refresh:
            self._report(self._begun.refresh, folder)
        trust = self._host.trust(self._data, self._begun.config, folder)
        self._answer(asked, posterior, folder)
        self._conclude(told, trust, folder)
        add_parquet(folder)
        figures.write(folder, self._begun.config.pictures)
        for name in ("models.csv", "pareto_alldecomp_matrix.csv"):
            (folder / name).unlink()  # large

    def _chooses(self, posterior: JobPosterior | None) -> PosteriorDocument | None:
        """The posterior, if the best model is to be the Pareto model nearest to it."""
        if not chooses_by_posterior(self._begun.config, "robyn"):
            return None
        if posterior is None or not posterior.document.converged:
            why = "there is no posterior" if posterior is None else "the posterior has not converged"
            self._host.log(f"best model: by error_score, as {why}")
            return None
        return posterior.document

    def _answer(
        self,
        asked: Sequence[BudgetQuestion],
        posterior: JobPosterior | None,
        folder: Path,
    ) -> None:
        """Leave the answer to each question; R has left what Robyn's allocator says."""
        for number, question in enumerate(asked, 1):
            reason = robyn_answer.answers(question, posterior)
            with questions.room(folder, number) as room:
                if posterior and not reason:
                    posterior.answer_budget(question, *_best(folder), room)
                    continue
                if problem := self._unanswered(question):
                    self._host.log(f"budget: {problem}")
                    robyn_answer.refuse(room, question, _best(folder)[0], problem)
                robyn_answer.annotate(room, question, str(reason))

    def _conclude(self, told: PosteriorDocument | None, trust: TrustDocument | None, folder: Path) -> None:
        """Below Robyn's one-pager what it does not know: posterior, budget answers, and checks."""
        path = folder / "onepager.png"
        if path.is_file():  # one that R could not draw is told in its log
            dependent = self._begun.config.columns.dependent
            conclusions.append(Conclusions(dependent, told, questions.answers(folder), trust), path)

    def _unanswered(self, question: BudgetQuestion) -> str | None:
        """Why Robyn's allocator cannot be asked; None if it can."""
        if question.of_regions:
            return robyn_answer.NO_REGIONS
        config, dates = self._begun.config, dates_of(self._data, self._begun.config)
        rows = series.rows_within(dates.tolist(), config.window.start, config.window.end)
        last = series.last_days(dates.tolist(), interval_of(dates))[rows[-1]]
        return question.outside(dates[rows[0]].item(), last)

    @property
    def _draws(self) -> bool:
        return self._begun.config.pictures != "none"

    def _report(self, refresh: Continuation, folder: Path) -> None:
        model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        refresh_report.write(model["ExportedModel"]["select_model"], refresh, folder)
        if self._draws:
            refresh_picture.draw(self._begun.config, folder)

    def _run(
        self,
        scratch: Path,
        *words: str,
        planned: int,
        robyns: Mapping[int, BudgetQuestion] = MappingProxyType({}),
        posterior: PosteriorDocument | None = None,
    ) -> None:
        source = scratch / "in"
        source.mkdir()
        self._write_inputs(source, robyns, posterior)
        command = [_rscript(), str(SCRIPT), "--in", str(source), "--cores", str(self._host.cores), *words]
        listener = _Listener(self._host, planned)
        if status := _listen(command, listener):
            raise listener.failure(status)

    def _write_inputs(
        self, folder: Path, robyns: Mapping[int, BudgetQuestion], posterior: PosteriorDocument | None
    ) -> None:
        """What r/run.R reads: data.csv with the columns that are modelled, and config.json.

        `robyns` are the questions that Robyn is to answer, by their number; `posterior` is what the best
        model is to be near to.
        """
        config, refresh = self._begun.config, self._begun.refresh
        names = list(dict.fromkeys(name for _, name in config.columns.roles()))
        rows = pa.Table.from_pandas(self._data[names], preserve_index=False)
        write_plain_csv(rows, folder / "data.csv")
        dates = dates_of(self._data, config).tolist()
        rows = series.rows_within(dates, config.window.start, config.window.end)
        window = Window(start=dates[rows[0]], end=dates[rows[-1]])  # which Robyn takes as it is
        document: dict[str, Any] = {
            "model": config.model_copy(update={"window": window}).model_dump(mode="json")
            | {"calibration": self._studies(config)},
            "questions": {number: self._in_currency(question) for number, question in robyns.items()},
            "posterior": aims(posterior) if posterior else None,
            "space": space(config),
            "data_sha256": hashlib.sha256(self._material.prepared.read_bytes()).hexdigest(),
        }
        if refresh:
            document["refresh"] = {
                "shares": refresh.reference.shares,
                "steps": refresh.reference.steps,
                "added_start": str(refresh.moved.added_start),
            }
        (folder / "config.json").write_text(json.dumps(document), encoding="utf-8")

    def _in_currency(self, question: BudgetQuestion) -> dict[str, Any]:
        """A question as R reads it, its total an amount."""
        document = question.model_dump(mode="json")
        if question.total:
            config = self._begun.config
            start, end = question.start or config.window.start, question.end or config.window.end
            rows = series.rows_within(dates_of(self._data, config).tolist(), start, end)
            spends = [channel.spend for channel in config.columns.paid_media]
            spent = float(self._data[spends].iloc[rows.start : rows.stop].to_numpy().sum())
            document["total"] = amount_of(question.total, spent)
        return document

    def _studies(self, config: ModelConfig) -> list[dict[str, Any]]:
        """The calibration studies, with the first day of the last period of each."""
        dates = dates_of(self._data, config)
        days, interval = dates.tolist(), interval_of(dates)
        rows = [series.study_rows(days, interval, study.start, study.end) for study in config.calibration]
        return [
            study.model_dump(mode="json") | {"last_period": str(days[touched.stop - 1])}
            for study, touched in zip(config.calibration, rows, strict=True)
        ]


def _best(folder: Path) -> tuple[str, pd.DataFrame]:
    """The best model's solID, and its contributions, a row per date."""
    document = json.loads((folder / "best_model.json").read_text(encoding="utf-8"))
    solution: str = document["sol_id"]
    every = pd.read_csv(folder / "pareto_alldecomp_matrix.csv", dtype={"solID": str}, parse_dates=["ds"])
    return solution, every[every["solID"] == solution].set_index("ds")


def check_installation() -> str:
    """The versions of R and of everything that the engine needs, a line each.

    Raises:
        EngineError: something is missing; the message says what.
    """
    command = [_rscript(), str(SCRIPT), "--check"]
    answer = subprocess.run(  # noqa: S603 (no shell; every word is ours)
        command, capture_output=True, text=True, errors="replace", env=_environment(), check=False
    )
    told = answer.stderr.strip()
    if answer.returncode:
        errors = [
            json.loads(line.partition(" ")[2]) for line in told.splitlines() if line.startswith("@error ")
        ]
        raise EngineError(errors[0]["message"] if errors else told)
    return told


def _rscript() -> str:
    found = shutil.which("Rscript")
    if found is None:
        raise EngineError("this trainer has no R: Rscript is not on its PATH; use the engine native")
    return found


def _listen(command: Sequence[str], listener: _Listener) -> int:
    """Run R and return its exit status; kill it if the host cannot process its output."""
    with (
        listener,
        subprocess.Popen(  # noqa: S603 (no shell; every word is ours)
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=_environment(),
        ) as process,
    ):
        try:
            for line in process.stderr or ():
                listener.hear(line.rstrip())
        except BaseException:
            process.kill()
            raise
    return process.returncode


def space(config: ModelConfig) -> dict[str, tuple[float, float]]:
    """The ranges of Robyn's `hyperparameters`, by its names; two equal numbers are a fixed value.

    Robyn has ranges of its own for lambda and penalties. They are not passed on, because what is passed
    would come earlier in the order of the search.
    """
    validated = {"train_size": config.search.train_size} if config.search.time_series_validation else {}
    return config.hyperparameters.ranges | config.bounds | validated


def _environment() -> dict[str, str]:
    """This process's environment, with one thread per R process and reticulate set to our Python."""
    inherited = {"RETICULATE_PYTHON": sys.executable, "RETICULATE_AUTOCONFIGURE": "0", **os.environ}
    return inherited | _IN_C | dict.fromkeys(_ONE_THREAD, "1")


class _Listener:
    """Parses R's stderr: log lines, steps, progress, and the final error."""

    def __init__(self, host: Host, planned: int) -> None:
        self._host = host
        self._planned = planned  # trials
        self._last: deque[str] = deque(maxlen=LOG_LINES_OF_AN_ERROR)
        self._error: dict[str, str] = {}
        self._trials: dict[int, dict[str, Any]] = {}
        self._step = ExitStack()

    def __enter__(self) -> _Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._step.close()

    def hear(self, line: str) -> None:
        """One line of R's stderr."""
        kind, _, told = line.partition(" ")
        if kind == "@step":
            self._step.close()
            self._step.enter_context(self._host.step(json.loads(told)))
        elif kind == "@progress":
            self._progress(json.loads(told))
        elif kind == "@error":
            self._error = json.loads(told)
        elif line:
            self._last.append(line)
            self._host.log(line)

    def failure(self, status: int) -> Exception:
        """Why R ended with this exit status (negative: by a signal)."""
        message = self._error.get("message", "").strip()
        if self._error.get("kind") == "untrainable":
            return EngineError(message)
        if not message:
            message = f"R ended with status {status}: {_ENDED_BY.get(-status, 'it told no reason')}"
        error = RFailed(message)
        error.add_note("\n".join(["the last lines of R's log:", *self._last]))
        if self._error:
            error.add_note(f"R's calls: {self._error['call']}")
        return error

    def _progress(self, told: dict[str, Any]) -> None:
        self._trials[told["trial"]] = told
        seen = self._trials.values()
        self._host.progress(
            SearchProgress(
                trial=len(seen),
                trials=self._planned,
                iteration=sum(one["iteration"] for one in seen),
                iterations=self._planned * told["iterations"],
                nrmse=min(one["nrmse"] for one in seen),
                rssd=min(one["rssd"] for one in seen),
            )
        )
