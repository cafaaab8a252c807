"""A result of the native engine again from its own files, to draw or ask what nobody asked for before."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd

from contracts.model import ModelConfig
from contracts.posterior import PosteriorDocument
from contracts.trust import TrustDocument
from trainer.engines import questions
from trainer.engines.common import INTERCEPT
from trainer.engines.native.outputs import draw_onepager
from trainer.engines.native.recreate import inputs_of
from trainer.engines.native.result import Result
from trainer.engines.native.search.trials import Candidates
from trainer.engines.native.training import conclude

_JUDGED = ("mape.qt10", "robynPareto", "error_score", "iterations")


def reopen(data: pd.DataFrame, folder: Path) -> tuple[Result, ModelConfig]:
    """The result in `folder` and its configuration, from the prepared data that it was trained on.

    Nothing is searched, and Prophet is not asked: every number is that of the training.

    Raises InvalidInputs if data and documents do not fit together.
    """
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    config, inputs = inputs_of(data, document)
    table = pd.read_parquet(folder / "models.parquet")
    coefficients = [f"{name}_coef" for name in (INTERCEPT, *inputs.columns)]
    candidates = Candidates(
        table.drop(columns=[*coefficients, *_JUDGED]), table[coefficients].to_numpy(dtype=float)
    )
    result = conclude(inputs, candidates)
    return replace(result, best=result.model(document["ExportedModel"]["select_model"])), config


def draw(data: pd.DataFrame, folder: Path, solution: str, path: Path) -> None:
    """Write the one-pager of any candidate of the result in `folder` to `path` as a PNG.

    With posterior.json in `folder` the picture shows the posterior too; that of the best model also has the
    budget answers and trust.json.

    Raises KeyError if there is no candidate with this solID, InvalidInputs as `reopen` does.
    """
    result, config = reopen(data, folder)
    told, judged = folder / "posterior.json", folder / "trust.json"
    posterior = PosteriorDocument.model_validate_json(told.read_bytes()) if told.is_file() else None
    if solution != result.best.solution:
        draw_onepager(result, config, solution, path, posterior)
        return
    trust = TrustDocument.model_validate_json(judged.read_bytes()) if judged.is_file() else None
    draw_onepager(result, config, solution, path, posterior, questions.answers(folder), trust)
