"""The files of a former result, of which another training goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts.model import ModelConfig
from trainer.engines.common import InvalidInputs

REFRESH = "refresh.json"
TRIED_FIRST = 15
"""So many models of the former front begin a trial: half of its first 30; the others look elsewhere."""


class Former:
    """A former result; every property raises InvalidInputs if its file is missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def best(self) -> dict[str, Any]:
        """best_model.json."""
        document: dict[str, Any] = json.loads(self._file("best_model.json").read_text(encoding="utf-8"))
        return document

    @cached_property
    def refresh(self) -> dict[str, Any] | None:
        """refresh.json, if the former result is a refresh itself."""
        if not (self.folder / REFRESH).is_file():
            return None
        document: dict[str, Any] = json.loads((self.folder / REFRESH).read_text(encoding="utf-8"))
        return document

    @cached_property
    def hyperparameters(self) -> pd.DataFrame:
        """pareto_hyperparameters.csv: a row per Pareto model."""
        return self.table("pareto_hyperparameters")

    def model(self, solution: str) -> dict[str, Any]:
        """The row of a Pareto model."""
        (row,) = self.hyperparameters[self.hyperparameters["solID"] == solution].to_dict("records")
        return {str(name): value for name, value in row.items()}

    def table(self, name: str) -> pd.DataFrame:
        """A CSV file by its name without the suffix; solIDs are text."""
        return pd.read_csv(self._file(f"{name}.csv"), dtype={"solID": str})

    def _file(self, name: str) -> Path:
        if not (self.folder / name).is_file():
            raise InvalidInputs(f"the former result has no {name}; it is not whole, or of another engine")
        return self.folder / name


def front(models: pd.DataFrame, config: ModelConfig) -> tuple[Mapping[str, float], ...]:
    """Hyperparameters by name of models of the first Pareto front, spread evenly over it, best NRMSE first.

    `models` has the columns of `Result.candidates`. Raises InvalidInputs if it is of other media or adstock
    than `config`.
    """
    missing = [name for name in config.bounds if name not in models]
    if missing:
        raise InvalidInputs(
            f"search.start_from: the former result has no {', '.join(missing)}; it has other media or adstock"
        )
    first = models[models["robynPareto"] == 1].sort_values("nrmse", kind="stable")
    rows = np.linspace(0, len(first) - 1, min(len(first), TRIED_FIRST)).round().astype(int)
    return tuple(searched(row, config) for row in first.iloc[rows].to_dict("records"))


def searched(model: Mapping[Any, Any], config: ModelConfig) -> dict[str, float]:
    """The hyperparameters of a former model that `config` searches too.

    A train_size of 1 is none: that model was not validated.
    """
    penalties = [name for name in model if config.search.penalty_factors and str(name).endswith("_penalty")]
    names = [*config.bounds, "lambda_hp", *penalties]
    if config.search.time_series_validation and model["train_size"] != 1.0:
        names.append("train_size")
    return {name: float(model[name]) for name in names}
