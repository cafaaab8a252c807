"""The native engine as the trainer calls it: a Parquet file in, shares, the files of a result out."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from contracts.engines import chooses_by_posterior
from contracts.model import ModelConfig
from contracts.posterior import PosteriorDocument
from trainer.engines.base import EngineError, Host, JobPosterior, Material, SearchProgress
from trainer.engines.beginning import Beginning, begin
from trainer.engines.common import InvalidInputs
from trainer.engines.native import outputs
from trainer.engines.native.records import Inputs, TrialProgress
from trainer.engines.native.recreate import fixed
from trainer.engines.native.result import candidate_of
from trainer.engines.native.search.share import read_shares, write_share
from trainer.engines.native.search.trials import Candidates, Plan, search
from trainer.engines.native.select.convergence import convergence
from trainer.engines.native.training import conclude, prepare

_SAME = 1e-6
"""Relative difference of NRMSE up to which two tasks count as having prepared the same columns."""
_LIBRARIES = ("numpy", "numba", "prophet", "holidays", "pandas")


class NativeEngine:
    """Implements `trainer.engines.base.Engine`."""

    share_suffix = "parquet"

    def __init__(self, material: Material, host: Host) -> None:
        self._material, self._host = material, host

    @cached_property
    def _data(self) -> pd.DataFrame:
        return pd.read_parquet(self._material.prepared)

    @cached_property
    def _training(self) -> tuple[Beginning, Inputs]:
        material, host, data = self._material, self._host, self._data
        try:
            with host.step("prepare"):
                begun = begin(data, material.config, material.former)
            for line in begun.refresh.notes if begun.refresh else ():
                host.log(f"refresh: {line}")
            return begun, prepare(data, begun.config, reference=begun.reference, step=host.step)
        except InvalidInputs as error:
            raise EngineError(str(error)) from error

    @property
    def _believed(self) -> tuple[ModelConfig, Inputs]:
        """What the posterior is asked with."""
        begun, inputs = self._training
        believed = begun.believed(self._material.config)
        return believed, replace(inputs, bounds=believed.bounds)

    def search(self, trials: range, share: Path) -> None:
        """Run these trials, and leave every candidate in one file.

        Raises:
            EngineError: data and configuration do not fit together.
        """
        host, (begun, inputs) = self._host, self._training
        plan = Plan.of(begun.config.search, begun.start)
        host.log(
            f"{inputs.stop - inputs.first} of {len(inputs.dates)} periods in the window, "
            f"trials {trials[0]} to {trials[-1]} of {plan.trials}, {plan.iterations} iterations each"
        )
        with host.step("search"):
            found = search(
                inputs, plan, trials=trials, threads=host.cores, progress=_Tracker(host, plan.iterations)
            )
        write_share(found, share)
        host.begin_posterior(self._data, *self._believed)

    def finish(self, shares: Sequence[Path], folder: Path) -> None:
        """Choose among all candidates, and write files and one-pagers into `folder`.

        Raises:
            EngineError: the shares are of tasks that prepared different columns.
        """
        host, (begun, inputs) = self._host, self._training
        found = read_shares(shares)
        if len(shares) > 1:
            _check_agreement(inputs, found)
        believed, prepared = self._believed
        posterior = host.posterior(self._data, believed, folder, prepared)
        choosing = _choosing(self._material.config, posterior, host.log)
        result = conclude(inputs, found, step=host.step, posterior=choosing)
        candidates, pareto = len(result.candidates), len(result.pareto)
        host.log(f"{candidates} candidates, {pareto} Pareto models; best is {result.best.solution}")
        for one in convergence(result.candidates):
            host.log(one.message)
        with host.step("outputs"):
            outputs.write(
                result,
                begun.config,
                folder,
                host.log,
                begun.refresh,
                posterior,
                lambda: host.trust(self._data, begun.config, folder),
            )
            provenance = json.dumps(_provenance(begun.config), indent=2)
            (folder / "provenance.json").write_text(provenance, encoding="utf-8")


def _choosing(
    asked: ModelConfig, posterior: JobPosterior | None, log: Callable[[str], None]
) -> PosteriorDocument | None:
    """The posterior, if it is what the best model is chosen by.

    `asked` is the configuration of the request: the effective one of a refresh no longer says that it is one.
    """
    if not chooses_by_posterior(asked, "native"):
        return None
    if posterior is None or not posterior.document.converged:
        log("the best model is the one with the smallest error_score, as there is no posterior to choose by")
        return None
    return posterior.document


def _check_agreement(inputs: Inputs, found: Candidates) -> None:
    """Raise EngineError for a share of other columns: Prophet's optimum is not the same on every machine."""
    for solution in found.table.loc[found.table["iterNG"] == 1, "solID"]:
        first = candidate_of(found.table, solution)
        here = search(fixed(inputs, first), Plan(iterations=1, trials=1, seed=0)).table.iloc[0]
        if not np.isclose(here["nrmse"], first["nrmse"], rtol=_SAME, atol=0):
            raise EngineError(
                f"the task of trial {first['trial']} prepared other columns than the task that merges: "
                f"NRMSE {first['nrmse']} there, {here['nrmse']} here; train with one task (size: small)"
            )


def _provenance(config: ModelConfig) -> dict[str, object]:
    versions = {name: version(name) for name in _LIBRARIES}
    return {
        "engine": "native",
        "computes": "Robyn 3.12.1",
        "seed": config.search.seed,
        "versions": {"python": platform.python_version(), **versions},
    }


class _Tracker:
    """Adds up the progress of this task's trials."""

    def __init__(self, host: Host, iterations: int) -> None:
        self._host = host
        self._iterations = iterations
        self._trials: dict[int, TrialProgress] = {}

    def __call__(self, progress: TrialProgress) -> None:
        if progress.iteration >= progress.iterations:
            self._host.log(
                f"trial {progress.trial}: NRMSE {progress.nrmse:.4f}, DECOMP.RSSD {progress.rssd:.4f}"
            )
        self._trials[progress.trial] = progress
        seen = self._trials.values()
        unseen = progress.trials - len(seen)
        total = SearchProgress(
            trial=len(seen),
            trials=progress.trials,
            iteration=sum(one.iteration for one in seen),
            iterations=sum(one.iterations for one in seen) + unseen * self._iterations,
            nrmse=min(one.nrmse for one in seen),
            rssd=min(one.rssd for one in seen),
        )
        self._host.progress(total)
