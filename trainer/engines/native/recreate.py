"""A model as a JSON document from which it can be recreated (Robyn: robyn_write, robyn_recreate)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from contracts.base import SCHEMA_VERSION
from contracts.model import ModelConfig
from trainer.engines.common import InvalidInputs, SearchRange
from trainer.engines.native.explain.efficiency import METRIC, efficiency
from trainer.engines.native.prepare.prophet_columns import ProphetColumns
from trainer.engines.native.records import Inputs, ModelAnswer
from trainer.engines.native.result import Result
from trainer.engines.native.search.trials import Candidates, Plan, search
from trainer.engines.native.training import conclude, prepare
from trainer.engines.refresh.continuation import Reference

_ERRORS = (
    *(f"{metric}_{part}" for metric in ("rsq", "nrmse") for part in ("train", "val", "test")),
    *("nrmse", "decomp.rssd", "mape"),
)
_SUMMARY = {"rn": "variable", "coef": "coef", "xDecompPerc": "decompPer", "xDecompAgg": "decompAgg"}
_MEANS = ("mean_response", "mean_spend")
_INTERVAL = ("boot_mean", "ci_low", "ci_up")
_SAME = 1e-6
"""Relative difference up to which coefficients count as the same."""


def document(result: Result, model: ModelAnswer, config: ModelConfig) -> dict[str, Any]:
    """The content of model.json; numbers may still be NaN or infinite, which the file holds as null.

    `InputCollect`, `ModelsCollect` and `ExportedModel` have Robyn's names (robyn-spec §17.1), over the window
    and with ratios of totals. `recreate` needs `config`, `prophet`, `reference`, and of the others
    `intercept_sign`, `select_model`, `hyper_values` and `coef`.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "InputCollect": _inputs(result.inputs, config),
        "ModelsCollect": _search(result, config),
        "ExportedModel": _model(result, model),
        "config": config.model_dump(mode="json"),
        "prophet": _prophet(result.inputs, config),
        "reference": asdict(result.inputs.reference) if result.inputs.reference else None,
    }


def recreate(data: pd.DataFrame, model_json: Mapping[str, Any]) -> Result:
    """The model that a model.json holds, from the data that it was trained on, as a result of one candidate.

    `best` has the numbers that the training found: nothing is searched, and Prophet's columns are those of
    the document. Only what compares candidates (front, error score, cluster) is that of a model alone.

    Raises InvalidInputs if the data do not fit the document, or give other coefficients.
    """
    exported = model_json["ExportedModel"]
    _, inputs = inputs_of(data, model_json)
    inputs = replace(inputs, intercept_sign=model_json["ModelsCollect"]["intercept_sign"])
    inputs = fixed(inputs, exported["hyper_values"])
    found = search(inputs, Plan(iterations=1, trials=1, seed=0))
    _check_same(found, [row["coef"] for row in exported["summary"]])
    solution = exported["select_model"]
    names = dict(zip(("trial", "iterNG", "iterPar"), map(int, solution.split("_")), strict=True))
    named = found.table.assign(solID=solution, **names)
    return conclude(inputs, Candidates(named, found.coefficients))


def inputs_of(data: pd.DataFrame, model_json: Mapping[str, Any]) -> tuple[ModelConfig, Inputs]:
    """What a model.json was trained with; Prophet's columns are those of the document.

    Raises InvalidInputs if the data do not fit it.
    """
    config = ModelConfig.model_validate(model_json["config"])
    columns = {kind: _floats(model_json["prophet"][kind]) for kind in ("components", "factors")}
    reference = Reference(**model_json["reference"]) if model_json["reference"] else None
    return config, prepare(data, config, prophet=ProphetColumns(**columns), reference=reference)


def _inputs(inputs: Inputs, config: ModelConfig) -> dict[str, Any]:
    columns, prophet = config.columns, config.prophet
    context = (*columns.context, *columns.factors)
    return {
        "date_var": columns.date,
        "dayInterval": int((inputs.dates[1] - inputs.dates[0]).astype(int)),
        "intervalType": inputs.interval,
        "dep_var": columns.dependent,
        "dep_var_type": columns.dependent_type,
        "prophet_vars": prophet.components,
        "prophet_country": prophet.holiday_country,
        "context_vars": [variable.name for variable in context],
        "context_signs": [variable.sign for variable in context],
        "factor_vars": [variable.name for variable in columns.factors],
        "paid_media_vars": inputs.paid,
        "paid_media_spends": inputs.spend_names,
        "paid_media_selected": inputs.paid,
        "paid_media_signs": [paid.sign for paid in columns.paid_media],
        "paid_media_total": float(inputs.spend[inputs.window].sum()),
        "organic_vars": inputs.organic,
        "organic_signs": [variable.sign for variable in columns.organic],
        "all_media": inputs.media,
        "all_ind_vars": inputs.columns,
        "window_start": str(inputs.window_dates[0]),
        "rollingWindowStartWhich": inputs.first + 1,
        "window_end": str(inputs.window_dates[-1]),
        "rollingWindowEndWhich": inputs.stop,
        "rollingWindowLength": inputs.stop - inputs.first,
        "totalObservations": len(inputs.dates),
        "adstock": inputs.adstock,
        "hyperparameters": _ranges(inputs),
        "calibration_input": _studies(inputs, config),
    }


def _ranges(inputs: Inputs) -> dict[str, list[float]]:
    """What was searched, as Robyn's `hyperparameters`; one number is a fixed value."""
    validated = {"train_size": inputs.train_size} if inputs.train_size else {}
    return {name: sorted(set(bounds)) for name, bounds in {**inputs.bounds, **validated}.items()}


def _studies(inputs: Inputs, config: ModelConfig) -> list[dict[str, Any]]:
    """The studies that Robyn scales rightly, each with the first day of its last period as its end."""
    both = zip(config.calibration, inputs.studies, strict=True)
    return [
        {
            "channel": "+".join(study.channels),
            "liftStartDate": str(study.start),
            "liftEndDate": str(inputs.dates[rows.stop - 1]),
            "liftAbs": study.lift,
            "spend": study.spend,
            "confidence": study.confidence,
            "metric": config.columns.dependent,
            "calibration_scope": study.scope,
        }
        for study, rows in both
        if len(rows.weights) > 1 and min(rows.weights) == 1.0 and abs(study.lift) == rows.error_scale
    ]


def _search(result: Result, config: ModelConfig) -> dict[str, Any]:
    search = config.search
    return {
        "iterations": search.iterations,
        "trials": search.trials,
        "seed": search.seed,
        "total_iters": len(result.candidates),
        "ts_validation": search.time_series_validation,
        "add_penalty_factor": search.penalty_factors,
        "intercept": True,
        "intercept_sign": result.inputs.intercept_sign,
        "nevergrad_algo": "TwoPointsDE",
        "solver": search.solver,
        "pareto_fronts": result.fronts,
        "n_clusters": len(result.clusters.winners),
        "plot_folder": "./",  # of whoever opens the file in R
    }


def _model(result: Result, model: ModelAnswer) -> dict[str, Any]:
    inputs, candidate = result.inputs, model.candidate
    return {
        "select_model": model.solution,
        "performance": _performance(inputs, model),
        "summary": _summary(result, model),
        "errors": {name: candidate[name] for name in _ERRORS},
        "hyper_values": {name: candidate[name] for name in _hyperparameters(inputs)},
        "hyper_updated": _searched(inputs),
    }


def _searched(inputs: Inputs) -> dict[str, list[float]]:
    """Every range of the search, around which a refresh by Robyn goes on."""
    beside = {"lambda": inputs.lambda_range, "train_size": inputs.train_size or (1.0, 1.0)}
    return _ranges(inputs) | {n: sorted(set(bounds)) for n, bounds in {**beside, **inputs.penalties}.items()}


def _performance(inputs: Inputs, model: ModelAnswer) -> dict[str, Any]:
    """Of paid media over the window."""
    kind, spend = inputs.dependent_type, float(inputs.spend[inputs.window].sum())
    response = float(model.contributions[list(inputs.paid)].to_numpy().sum())
    return {
        "metric": METRIC[kind].upper(),
        "spend": spend,
        "response": response,
        "performance": efficiency(response, spend, kind),
    }


def _summary(result: Result, model: ModelAnswer) -> list[dict[str, Any]]:
    performance = "roi_total" if result.inputs.dependent_type == "revenue" else "cpa_total"
    known = {**_SUMMARY, performance: "performance", **{name: name for name in _MEANS}}
    table = model.summary[list(known)].rename(columns=known)
    aggregated = result.aggregated[result.aggregated["solID"] == model.solution].set_index("rn")
    intervals = aggregated.reindex(model.summary["rn"])[list(_INTERVAL)].reset_index(drop=True)
    rows = pd.concat([table, intervals], axis=1).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _hyperparameters(inputs: Inputs) -> list[str]:
    return [*inputs.bounds, "lambda", "lambda_hp", "train_size", *inputs.penalties]


def _prophet(inputs: Inputs, config: ModelConfig) -> dict[str, Any]:
    """Prophet's columns and the factors' effects, kept because Prophet's optimum differs between machines."""
    columns = dict(zip(inputs.columns, inputs.values.T, strict=True))
    return {
        "components": {name: columns[name] for name in inputs.prophet},
        "factors": {factor.name: columns[factor.name] for factor in config.columns.factors},
    }


def _floats(columns: Mapping[str, list[float]]) -> dict[str, Any]:
    return {name: np.array(values, dtype=float) for name, values in columns.items()}


def fixed(inputs: Inputs, values: Mapping[str, float]) -> Inputs:
    """Inputs with which a search evaluates one candidate: every range is the candidate's own value."""

    def at(names: Mapping[str, SearchRange]) -> dict[str, SearchRange]:
        return {name: (values[name], values[name]) for name in names}

    return replace(
        inputs,
        bounds=at(inputs.bounds),
        lambda_range=(values["lambda_hp"], values["lambda_hp"]),
        train_size=inputs.train_size and (values["train_size"], values["train_size"]),
        penalties=at(inputs.penalties),
    )


def _check_same(found: Candidates, coefficients: list[float]) -> None:
    ours, theirs = found.coefficients[0], np.array(coefficients)
    if len(ours) != len(theirs) or not np.allclose(ours, theirs, rtol=_SAME, atol=0):
        raise InvalidInputs(
            "these data give other coefficients than the model has; recreate it from the prepared data that "
            "it was trained on, not from newer or corrected ones"
        )
