"""The files of a former result that another training continues."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError

from contracts.base import error_lines
from contracts.model import ModelConfig
from contracts.result import BestModel, RefreshReport
from trainer.engines.common import InvalidInputs
from trainer.engines.tables import read_table

Document = TypeVar("Document", bound=BaseModel)
REFRESH = "refresh.json"
_MISSING = "the former result has no {}; it is not whole, or of another engine"
TRIED_FIRST = 15
"""Models of the former front with which a trial starts: half of its first 30, so that the rest explore."""


class Former:
    """A former result; every property raises InvalidInputs if its file is missing or broken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def best(self) -> BestModel:
        """best_model.json."""
        return self._document("best_model.json", BestModel)

    @cached_property
    def refresh(self) -> RefreshReport | None:
        """refresh.json, if the former result is a refresh itself."""
        return self._document(REFRESH, RefreshReport) if (self.folder / REFRESH).is_file() else None

    @cached_property
    def hyperparameters(self) -> pd.DataFrame:
        """pareto_hyperparameters.csv: a row per Pareto model."""
        return self.table("pareto_hyperparameters")

    def model(self, solution: str) -> dict[str, Any]:
        """The row of a Pareto model."""
        (row,) = self.hyperparameters[self.hyperparameters["solID"] == solution].to_dict("records")
        return {str(name): value for name, value in row.items()}

    def table(self, name: str) -> pd.DataFrame:
        """A table by its name without the suffix, CSV or Parquet; solIDs and days are text."""
        try:
            return read_table(self.folder, name)
        except FileNotFoundError as error:
            raise InvalidInputs(_MISSING.format(f"{name}.csv")) from error

    def _document(self, name: str, contract: type[Document]) -> Document:
        try:
            return contract.model_validate_json(self._file(name).read_bytes())
        except ValidationError as error:
            problems = "; ".join(error_lines(error))
            raise InvalidInputs(f"{name} of the former result cannot be read: {problems}") from error

    def _file(self, name: str) -> Path:
        if not (self.folder / name).is_file():
            raise InvalidInputs(_MISSING.format(name))
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

    A train_size of 1 is left out: that model was trained without validation.
    """
    penalties = [name for name in model if config.search.penalty_factors and str(name).endswith("_penalty")]
    names = [*config.bounds, "lambda_hp", *penalties]
    if config.search.time_series_validation and model["train_size"] != 1.0:
        names.append("train_size")
    return {name: float(model[name]) for name in names}
