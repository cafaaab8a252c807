"""The tables and documents of a result, described in docs/results.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts.base import SCHEMA_VERSION
from contracts.model import ModelConfig
from contracts.posterior import PosteriorDocument
from trainer.engines.common import INTERCEPT
from trainer.engines.documents import write_json
from trainer.engines.native.explain.efficiency import METRIC, efficiency, marginal_efficiency
from trainer.engines.native.explain.solvers import compare_solvers
from trainer.engines.native.records import Inputs, MediaAnswer, ModelAnswer
from trainer.engines.native.recreate import document
from trainer.engines.native.result import Result
from trainer.engines.native.select.clusters import with_membership
from trainer.engines.native.select.convergence import convergence
from trainer.engines.posterior_files import short
from trainer.engines.tables import write_csv, write_parquet

_IDS = ["solID", "trial", "iterNG", "iterPar", "iterations"]
_SELECTION = ["coef0", "mape.qt10", "robynPareto", "error_score"]


def write(
    result: Result, config: ModelConfig, folder: Path, posterior: PosteriorDocument | None = None
) -> None:
    """Write the tables, and the documents of the best model and the winners, into `folder`; it must exist."""
    models = _models(result)
    models.to_parquet(
        folder / "models.parquet",
        compression="zstd",
        index=False,
        use_dictionary=[str(name) for name in models.select_dtypes(exclude="float64")],
    )
    tables = {
        "pareto_hyperparameters": _pareto_hyperparameters(result),
        "pareto_aggregated": _with_iterations(result.aggregated),
        "pareto_clusters": result.clusters.members,
        "pareto_clusters_ci": intervals(result.clusters.confidence),
    }
    if not result.lift.empty:
        tables["pareto_calibration"] = _calibration(result.lift)
    for name, table in tables.items():
        write_csv(table, folder / f"{name}.csv")
    decomposition = with_membership(_pareto_decomposition(result), result.clusters)
    write_parquet(decomposition, folder / "pareto_alldecomp_matrix.parquet")  # as CSV it is the largest file
    if config.annotations:
        notes = [{"date": str(note.date), "text": note.text} for note in config.annotations]
        write_csv(pd.DataFrame(notes), folder / "annotations.csv")
    write_json(best_model(result, config) | {"posterior": short(posterior)}, folder / "best_model.json")
    write_json(document(result, result.best, config), folder / "model.json")
    for solution in result.other_winners:
        name = f"RobynModel-{solution}.json"
        write_json(document(result, result.model(solution), config), folder / name)


def best_model(result: Result, config: ModelConfig) -> dict[str, Any]:
    """The content of best_model.json (`contracts.result.BestModel`)."""
    model, inputs = result.best, result.inputs
    return {
        **_fit(model),
        "channels": [_channel(model, media, inputs) for media in model.media],
        "schema_version": SCHEMA_VERSION,
        "dependent": inputs.dependent_name,
        "dependent_type": inputs.dependent_type,
        "interval": inputs.interval,
        "window": {"start": str(model.dates[0]), "end": str(model.dates[-1]), "rows": len(model.dates)},
        "candidates": len(result.candidates),
        "partial_trials": [],
        "pareto_fronts": result.fronts,
        "pareto_models": len(result.pareto),
        "winners": _winners(result),
        "convergence": [
            {"objective": one.objective, "converged": one.converged, "message": one.message}
            for one in convergence(result.candidates)
        ],
        "solvers": compare_solvers(result),
        "search": config.search.model_dump(include={"iterations", "trials", "seed"}),
        "totals": _totals(model, inputs),
        "contributions": [_contribution(row, inputs) for row in model.summary.to_dict("records")],
        "hyperparameters": {name: model.candidate[name] for name in _hyperparameters(inputs)},
    }


def _models(result: Result) -> pd.DataFrame:
    names = [f"{name}_coef" for name in (INTERCEPT, *result.inputs.columns)]
    coefficients = pd.DataFrame(result.coefficients, columns=names, index=result.candidates.index)
    return pd.concat([_with_iterations(result.candidates), coefficients], axis=1)


def _with_iterations(table: pd.DataFrame) -> pd.DataFrame:
    """Robyn's running number of a candidate in its trial; with one candidate a round it is the round."""
    return table.assign(iterations=table["iterNG"])


def _pareto_hyperparameters(result: Result) -> pd.DataFrame:
    """The candidates' rows of the Pareto solutions, in Robyn's order of columns."""
    positive = result.aggregated.groupby("solID")["pos"].all().rename("pos")
    pareto = result.candidates.set_index("solID", drop=False).loc[list(result.told)]
    pareto.loc[~pareto.index.isin(result.pareto), "robynPareto"] = np.nan
    table = _with_iterations(pareto).join(positive).reset_index(drop=True)
    table = with_membership(table, result.clusters)
    moved = [*_IDS, *_SELECTION, "cluster", "top_sol"]
    return table[[name for name in table.columns if name not in moved] + moved]


def _calibration(lift: pd.DataFrame) -> pd.DataFrame:
    days = ["liftStart", "liftEnd", "decompStart", "decompEnd"]
    return lift.rename(columns={"liftMedia": "rn"}).astype(dict.fromkeys(days, str))


def intervals(table: pd.DataFrame) -> pd.DataFrame:
    """Robyn's columns of the clusters' intervals: the interval as text, and a step of its density's grid."""
    low, high = table["ci_low"], table["ci_up"]
    ends = zip(low, high, strict=True)
    text = [f"[{_as_r_writes(a)}, {_as_r_writes(b)}]" if math.isfinite(a) else None for a, b in ends]
    described = table.assign(dist100=(high - low + 2 * table["sd"]) / 99)
    described.insert(list(table).index("ci_low"), "boot_ci", text)
    return described


def _as_r_writes(number: float) -> str:
    """R's text of a number rounded to two decimals: 15 significant digits, in the shorter notation."""
    value = round(number, 2)
    fixed = np.format_float_positional(value, precision=15, fractional=False, trim="-")
    scientific = np.format_float_scientific(value, precision=14, trim="-", exp_digits=2)
    return fixed if len(fixed) <= len(scientific) else scientific


def _winners(result: Result) -> list[dict[str, Any]]:
    members = result.clusters.members
    rows = members[members["top_sol"]].sort_values("cluster").to_dict("records")
    return [
        {
            "sol_id": row["solID"],
            "cluster": row["cluster"],
            "models": row["n"],
            "nrmse": row["nrmse"],
            "rssd": row["decomp.rssd"],
            "mape": row["mape"],
        }
        for row in rows
    ]


def _pareto_decomposition(result: Result) -> pd.DataFrame:
    """Contributions by period of every Pareto solution, in units of the dependent variable."""
    models = [result.model(solution) for solution in result.told]
    names = result.inputs.columns
    parts = np.vstack([model.contributions[[INTERCEPT, *names]].to_numpy() for model in models])
    columns = {
        "ds": np.concatenate([model.dates for model in models]),
        "dep_var": np.concatenate([model.actual for model in models]),
        **dict(zip(names, parts[:, 1:].T, strict=True)),
        "intercept": parts[:, 0],
        "depVarHat": np.concatenate([model.fitted for model in models]),
        "solID": np.repeat([model.solution for model in models], [len(model.dates) for model in models]),
    }
    return pd.DataFrame(columns)


def _fit(model: ModelAnswer) -> dict[str, Any]:
    candidate = model.candidate
    parts = {"train": "train", "validation": "val", "test": "test"}
    return {
        "sol_id": model.solution,
        "nrmse": candidate["nrmse"],
        "rssd": candidate["decomp.rssd"],
        "mape": candidate["mape"],
        "error_score": candidate["error_score"],
        **{
            part: {
                "r2": candidate[f"rsq_{key}"],
                "nrmse": candidate[f"nrmse_{key}"],
                "rows": getattr(model.split, part),
            }
            for part, key in parts.items()
        },
    }


def _channel(model: ModelAnswer, media: MediaAnswer, inputs: Inputs) -> dict[str, Any]:
    summary = model.summary[model.summary["rn"] == media.name].iloc[0]
    response = float(media.response.sum())
    channel = {
        "name": media.spend_name or media.name,
        "modelled": media.name,
        "paid": media.spend_name is not None,
        "response": response,
        "response_share": summary["xDecompPerc"],
        "mean_response": summary["mean_response"],
        "immediate_share": media.immediate_share,
        "hyperparameters": {**media.adstock, "alpha": media.alpha, "gamma": media.gamma},
        "coefficient": media.coefficient,
        "inflexion": media.inflexion,
        "curve": {
            "value": media.curve.value,
            "response": media.curve.response,
            "mean_value": media.curve.mean_value,
            "mean_value_response": media.curve.mean_value_response,
            "mean_carryover": media.curve.mean_carryover,
        },
    }
    return channel | (_paid(summary, media, response, inputs) if media.spend_name else {})


def _paid(summary: pd.Series[Any], media: MediaAnswer, response: float, inputs: Inputs) -> dict[str, Any]:
    kind, spend = inputs.dependent_type, float(summary["total_spend"])
    metric = METRIC[kind]
    return {
        "spend": spend,
        "mean_spend": summary["mean_spend"],
        "spend_share": summary["spend_share"],
        "effect_share": summary["effect_share"],
        metric: efficiency(response, spend, kind),
        f"marginal_{metric}": marginal_efficiency(media, kind),
    }


def _totals(model: ModelAnswer, inputs: Inputs) -> dict[str, float]:
    totals = model.contributions.sum()
    paid, organic = float(totals[list(inputs.paid)].sum()), float(totals[list(inputs.organic)].sum())
    return {
        "actual": float(model.actual.sum()),
        "predicted": float(model.fitted.sum()),
        "baseline": float(totals[[INTERCEPT, *inputs.prophet, *inputs.context]].sum()),
        "media": paid + organic,
        "paid": paid,
        "organic": organic,
        "spend": float(inputs.spend[inputs.window].sum()),
    }


def _contribution(row: Mapping[Any, Any], inputs: Inputs) -> dict[str, Any]:
    kinds = {
        "prophet": inputs.prophet,
        "context": inputs.context,
        "paid": inputs.paid,
        "organic": inputs.organic,
    }
    return {
        "name": row["rn"],
        "kind": next((kind for kind, names in kinds.items() if row["rn"] in names), "intercept"),
        "coefficient": row["coef"],
        "contribution": row["xDecompAgg"],
        "share": row["xDecompPerc"],
    }


def _hyperparameters(inputs: Inputs) -> list[str]:
    return [*inputs.bounds, "lambda", "lambda_hp", "train_size", *inputs.penalties]
