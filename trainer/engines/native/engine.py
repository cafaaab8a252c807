"""The native engine as the trainer calls it: a Parquet file in, the files of a result out."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from contracts.model import BudgetQuestion, ModelConfig
from trainer.engines.base import EngineError, Host, SearchProgress
from trainer.engines.native import (
    allocator_picture,
    files,
    onepager,
    prophet_picture,
    reallocated,
    search_picture,
)
from trainer.engines.native.budget import Infeasible, reallocate
from trainer.engines.native.convergence import convergence
from trainer.engines.native.fit import answer, fit
from trainer.engines.native.result import InvalidInputs, Progress, Result

_LIBRARIES = ("numpy", "numba", "prophet", "holidays", "pandas")


def train(prepared: Path, config: ModelConfig, folder: Path, host: Host) -> None:
    """Fit, choose, and write files and one-pager into `folder`.

    Raises:
        EngineError: data and configuration do not fit together.
    """
    data = pd.read_parquet(prepared)
    host.log(f"{len(data)} periods, {config.search.trials} trials of {config.search.iterations} iterations")
    try:
        result = fit(
            data, config, cores=host.cores, progress=_Tracker(host, config.search.iterations), step=host.step
        )
    except InvalidInputs as error:
        raise EngineError(str(error)) from error
    candidates, pareto = len(result.candidates), len(result.pareto)
    host.log(f"{candidates} candidates, {pareto} Pareto models; best is {result.best.solution}")
    for one in convergence(result.candidates):
        host.log(one.message)
    with host.step("outputs"):
        files.write(result, config, folder)
        _draw(result, config, folder)
        if config.budget:
            _answer_budget(result, config.budget, folder, host)
        (folder / "provenance.json").write_text(json.dumps(_provenance(config), indent=2), encoding="utf-8")


def _draw(result: Result, config: ModelConfig, folder: Path) -> None:
    """The best model's one-pager, those of the other winners, and the pictures of search and Prophet."""
    title = f"What drove {config.columns.dependent}?"
    onepager.draw(result, config, folder / "onepager.png", title)
    for solution in set(result.clusters.winners) - {result.best.solution}:
        onepager.draw(result, config, folder / f"{solution}.png", title, answer(result, solution))
    search_picture.draw(result, folder / "pareto_front.png")
    if result.inputs.prophet:
        prophet_picture.draw(result.inputs, folder / "prophet_decomp.png")


def _answer_budget(result: Result, question: BudgetQuestion, folder: Path, host: Host) -> None:
    """A question without an answer is answered with the reason; the training itself is fine."""
    try:
        found = reallocate(result.inputs, result.best, question)
    except Infeasible as error:
        host.log(f"budget: {error}")
        reallocated.write_refusal(result.best, question, str(error), folder)
        return
    reallocated.write(found, folder)
    allocator_picture.draw(result, found, folder / "allocator.png")


def _provenance(config: ModelConfig) -> dict[str, object]:
    versions = {name: version(name) for name in _LIBRARIES}
    return {
        "engine": "native",
        "computes": "Robyn 3.12.1",
        "seed": config.search.seed,
        "versions": {"python": platform.python_version(), **versions},
    }


class _Tracker:
    """Adds the trials' progress up."""

    def __init__(self, host: Host, iterations: int) -> None:
        self._host = host
        self._iterations = iterations
        self._trials: dict[int, Progress] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.iteration >= progress.iterations:
            self._host.log(
                f"trial {progress.trial}: NRMSE {progress.nrmse:.4f}, DECOMP.RSSD {progress.rssd:.4f}"
            )
        self._trials[progress.trial] = progress
        seen = self._trials.values()
        unseen = progress.trials - len(seen)
        total = SearchProgress(
            trial=max(self._trials),
            trials=progress.trials,
            iteration=sum(one.iteration for one in seen),
            iterations=sum(one.iterations for one in seen) + unseen * self._iterations,
            nrmse=min(one.nrmse for one in seen),
            rssd=min(one.rssd for one in seen),
        )
        self._host.progress(total)
