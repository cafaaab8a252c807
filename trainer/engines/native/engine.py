"""The native engine as the trainer calls it: a Parquet file in, the files of a result out."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from contracts.model import ModelConfig
from trainer.engines.base import EngineError, Host, SearchProgress
from trainer.engines.native import files, onepager
from trainer.engines.native.fit import fit
from trainer.engines.native.result import InvalidInputs, Progress

_LIBRARIES = ("numpy", "numba", "nevergrad", "prophet", "holidays", "pandas")


def train(prepared: Path, config: ModelConfig, folder: Path, host: Host) -> None:
    """Fit, choose, and write files and one-pager into `folder`.

    Raises:
        EngineError: data and configuration do not fit together.
    """
    data = pd.read_parquet(prepared)
    host.log(f"{len(data)} periods, {config.search.trials} trials of {config.search.iterations} iterations")
    try:
        result = fit(data, config, cores=host.cores, progress=_Tracker(host), step=host.step)
    except InvalidInputs as error:
        raise EngineError(str(error)) from error
    candidates, pareto = len(result.candidates), len(result.pareto)
    host.log(f"{candidates} candidates, {pareto} Pareto models; best is {result.best.solution}")
    with host.step("outputs"):
        files.write(result, config, folder)
        onepager.draw(result, config, folder / "onepager.png", f"What drove {config.columns.dependent}?")
        (folder / "provenance.json").write_text(json.dumps(_provenance(config), indent=2), encoding="utf-8")


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

    def __init__(self, host: Host) -> None:
        self._host = host
        self._trials: dict[int, Progress] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.iteration >= progress.iterations:
            self._host.log(
                f"trial {progress.trial}: NRMSE {progress.nrmse:.4f}, DECOMP.RSSD {progress.rssd:.4f}"
            )
        self._trials[progress.trial] = progress
        seen = self._trials.values()
        total = SearchProgress(
            trial=max(self._trials),
            trials=progress.trials,
            iteration=sum(one.iteration for one in seen),
            iterations=progress.trials * progress.iterations,
            nrmse=min(one.nrmse for one in seen),
            rssd=min(one.rssd for one in seen),
        )
        self._host.progress(total)
