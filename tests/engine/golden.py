"""The recorded answers of Robyn as configurations, Prophet columns and tables of ours."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts.model import ModelConfig
from trainer.engines.checks import check
from trainer.engines.native.prepare.inputs import build
from trainer.engines.native.prepare.prophet_columns import ProphetColumns
from trainer.engines.native.records import Inputs, Study
from trainer.engines.native.result import Result
from trainer.engines.native.training import fit

FOLDER = Path(__file__).parents[1] / "golden"
CASES = (
    "weekly_geometric",
    "weekly_geometric_split",
    "weekly_search",
    "daily_geometric",
    "weekly_weibull_cdf",
    "weekly_weibull_pdf",
    "weekly_penalty",
    "weekly_calibrated",
    "weekly_unconstrained_intercept",
)


def read(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()))
    return answer


@dataclass(frozen=True)
class Case:
    recorded: dict[str, Any]
    data: pd.DataFrame
    config: ModelConfig
    prophet: ProphetColumns

    @property
    def inputs(self) -> Inputs:
        check(self.data, self.config)
        inputs = build(self.data, self.config, self.prophet)
        studies = tuple(_scaled_as_by_robyn(study, inputs) for study in inputs.studies)
        return replace(inputs, intercept_sign=self.recorded["intercept_sign"], studies=studies)

    @property
    def models(self) -> pd.DataFrame:
        return pd.DataFrame(self.recorded["models"])


@lru_cache
def load(name: str) -> Case:
    recorded = read(name)
    config = ModelConfig.model_validate(_config(recorded))
    prepared = recorded["dt_mod"]
    prophet = ProphetColumns(
        {component: np.array(prepared[component], dtype=float) for component in config.prophet.components},
        {"promo": np.array(prepared["promo"], dtype=float)},
    )
    return Case(recorded, pd.read_csv(FOLDER / recorded["dataset"]), config, prophet)


def _scaled_as_by_robyn(study: Study, inputs: Inputs) -> Study:
    """Days of the study without its last one over days from its first to its last row (robyn-spec §10.2)."""
    factor = float((study.end - study.start) / (inputs.dates[study.stop - 1] - inputs.dates[study.first]))
    return replace(study, weights=(factor,) * len(study.weights))


def _config(recorded: dict[str, Any]) -> dict[str, Any]:
    given = recorded["inputs"]
    channels = zip(given["paid_media_spends"], given["paid_media_selected"], strict=True)
    ranges = {name: bounds for name, bounds in recorded["bounds"].items() if name != "train_size"}
    components = given["prophet_vars"]
    return {
        "columns": {
            "date": "date",
            "dependent": "revenue",
            "dependent_type": "revenue",
            "paid_media": [
                {"spend": spend, "exposure": selected if selected != spend else None}
                for spend, selected in channels
            ],
            "organic": ["newsletter_sends"],
            "context": ["competitor_sales"],
            "factors": ["promo"],
        },
        "window": {"start": given["window_start"], "end": given["window_end"]},
        "prophet": {
            "components": components,
            "holiday_country": "DE" if "holiday" in components else None,
        },
        "adstock": recorded["adstock"],
        "hyperparameters": {"ranges": ranges},
        "search": {
            **{name: recorded[name] for name in ("iterations", "trials", "seed")},
            "time_series_validation": recorded["ts_validation"],
            "train_size": recorded["bounds"]["train_size"],
            "penalty_factors": recorded["add_penalty_factor"],
        },
        "calibration": _studies(recorded.get("calibration_input")),
    }


def _studies(given: dict[str, Any] | None) -> list[dict[str, Any]]:
    if given is None:
        return []
    return [
        {
            "channels": [study["channel"]],
            "start": study["liftStartDate"],
            "end": study["liftEndDate"],
            "lift": study["liftAbs"],
            "spend": study["spend"],
            "confidence": study["confidence"],
            "scope": study["calibration_scope"],
        }
        for study in pd.DataFrame(given).to_dict("records")
    ]


def trained(case: str) -> tuple[Result, ModelConfig]:
    """A short search on Robyn's prepared columns."""
    golden = load(case)
    config = golden.config.model_dump()
    config["search"] |= {"iterations": 60, "trials": 2}
    model = ModelConfig.model_validate(config)
    return fit(golden.data, model, prophet=golden.prophet), model
