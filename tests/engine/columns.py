"""Every column of a result's tables, and every field of its documents, against `recomputed`.

What only a search can find is taken from the files: hyperparameters, coefficients, the membership of
clusters, and what is drawn at random (bootstrapped means and their errors).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from contracts.model import ModelConfig
from tests.engine import recomputed
from tests.engine.golden import load
from tests.engine.recomputed import METRICS, OBJECTIVES, Budget, Model, Row, Study, World
from trainer.engines.native import files
from trainer.engines.native.budget import files as budget_files
from trainer.engines.native.budget.reallocation import reallocate
from trainer.engines.native.records import Inputs
from trainer.engines.native.search.trials import Candidates, Plan, search
from trainer.engines.native.training import conclude, prepare
from trainer.engines.tables import add_parquet, read_table

ROWS = slice(26, 209)
"""The window of the golden data."""
PAID = {
    "tv_spend": "tv_spend",
    "ooh_spend": "ooh_spend",
    "search_clicks": "search_spend",
    "social_impressions": "social_spend",
    "display_spend": "display_spend",
}
REVENUE: Row = {
    "search": {
        "iterations": 120,
        "trials": 2,
        "seed": 5,
        "time_series_validation": True,
        "train_size": (0.5, 0.8),
    },
    "calibration": [
        {
            "channels": ["social_spend"],
            "start": "2023-05-03",  # a Wednesday
            "end": "2023-06-11",
            "lift": 180_000,
            "spend": 180_000,
            "confidence": 0.9,
            "scope": "immediate",
        },
        {
            "channels": ["tv_spend", "newsletter_sends"],
            "start": "2024-02-05",
            "end": "2024-03-31",
            "lift": 150_000,
            "spend": 180_000,
            "confidence": 0.9,
            "scope": "total",
        },
    ],
    "budget": {
        "scenario": "max_response",
        "start": "2024-01-01",
        "end": "2024-06-30",
        "bounds": {"low": 0.7, "high": 1.5},
    },
    "annotations": [{"date": "2023-05-03", "text": 'new shop, "Graz"'}],
}
CONVERSION: Row = {
    "search": {
        "iterations": 30,
        "trials": 2,
        "seed": 5,
        "time_series_validation": False,
        "penalty_factors": True,
        "solver": "converged",
    },
    "budget": {"scenario": "target_efficiency"},
}


@dataclass(frozen=True)
class Case:
    """A request on the golden data."""

    golden: str
    changes: Row
    studies: tuple[Study, ...]
    asked: slice
    """The periods of the window that the budget question asks about."""

    @property
    def conversion(self) -> bool:
        return self.golden == "weekly_weibull_pdf"

    @cached_property
    def config(self) -> ModelConfig:
        given = load(self.golden).config.model_dump()
        given |= {**self.changes, "search": {**given["search"], **self.changes["search"]}}
        given["columns"]["dependent_type"] = "conversion" if self.conversion else "revenue"
        return ModelConfig.model_validate(given)

    @cached_property
    def world(self) -> World:
        case = load(self.golden)
        return World(
            data=case.data,
            window=ROWS,
            conversion=self.conversion,
            adstock="weibull_pdf" if self.conversion else "geometric",
            prophet=dict(case.prophet.components),
            context={
                "competitor_sales": case.data["competitor_sales"].to_numpy(dtype=float),
                **case.prophet.factors,
            },
            paid=PAID,
            organic=("newsletter_sends",),
            validated=not self.conversion,
            studies=self.studies,
        )

    @cached_property
    def searched(self) -> tuple[Inputs, Candidates]:
        case = load(self.golden)
        inputs = prepare(case.data, self.config, prophet=case.prophet)
        return inputs, search(inputs, Plan.of(self.config.search))

    def write(self, folder: Path) -> None:
        """Select, explain and write, as a training does after its search, but without pictures."""
        result = conclude(*self.searched)
        files.write(result, self.config, folder)
        assert self.config.budget is not None
        budget_files.write(reallocate(result.inputs, result.best, self.config.budget), folder)
        add_parquet(folder)


CASES = {
    "revenue": Case(
        "weekly_geometric",
        REVENUE,
        (
            Study(("social_impressions",), slice(121, 127), np.array([5 / 7, 1, 1, 1, 1, 1]), 180_000, True),
            Study(("tv_spend", "newsletter_sends"), slice(161, 169), np.ones(8), 150_000, False),
        ),
        slice(130, 156),
    ),
    "conversion": Case("weekly_weibull_pdf", CONVERSION, (), slice(0, 183)),
}


class Found:
    """The files of a result, and what they must hold."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self.world, self.folder = case, case.world, folder
        self.told = lru_cache(self._told)

    def table(self, name: str) -> pd.DataFrame:
        return read_table(self.folder, name)

    def document(self, name: str) -> Row:
        document: Row = json.loads((self.folder / name).read_text(encoding="utf-8"))
        return document

    @cached_property
    def models(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "models.parquet")

    @property
    def fitted(self) -> list[str]:
        """Columns of models.parquet that only a search can find."""
        kinds = ("_alphas", "_gammas", "_thetas", "_shapes", "_scales", "_penalty", "_coef")
        ids = ("trial", "iterNG", "iterPar", "train_size", "lambda_hp")
        return [name for name in self.models if name in ids or name.endswith(kinds)]

    @cached_property
    def candidates(self) -> pd.DataFrame:
        """What models.parquet must hold."""
        rows = self.models[self.fitted].to_dict("records")
        for row in rows:
            row["solID"] = f"{row['trial']}_{row['iterNG']}_{row['iterPar']}"
            row["iterations"] = row["iterNG"]
            row |= Model(self.world, row).metrics()
        table = pd.DataFrame(rows)
        passed, front = recomputed.fronts(table, bool(self.world.studies))
        score = recomputed.error_scores(table, self.world.validated)
        return table.assign(**{"mape.qt10": passed, "robynPareto": front, "error_score": score})

    @cached_property
    def pareto(self) -> pd.DataFrame:
        """The candidates on the fronts, as few as they are, in order."""
        chosen = self.candidates[self.candidates["robynPareto"].notna()]
        return chosen.sort_values(["robynPareto", "nrmse"], kind="stable")

    @property
    def best(self) -> str:
        return str(self.pareto.sort_index().set_index("solID")["error_score"].idxmin())

    def _told(self, solution: str) -> Model:
        row = self.candidates[self.candidates["solID"] == solution].to_dict("records")[0]
        return Model(self.world, {str(name): value for name, value in row.items()})

    @cached_property
    def members(self) -> pd.DataFrame:
        """Clusters as they were found, and the best model of each."""
        chosen = self.pareto.sort_index()
        found = self.table("pareto_clusters").set_index("solID")["cluster"]
        score = recomputed.error_scores(chosen, self.world.validated)
        table = chosen[["solID", *OBJECTIVES]].assign(cluster=found[chosen["solID"]].to_numpy(), score=score)
        groups = table.groupby("cluster")["score"]
        table = table.assign(n=groups.transform("size"), top_sol=table["score"] == groups.transform("min"))
        return table.drop(columns="score")

    @property
    def winners(self) -> list[str]:
        return list(self.members[self.members["top_sol"]].sort_values("cluster")["solID"])

    @property
    def budget(self) -> Budget:
        low, high = (0.1, 10.0) if self.world.conversion else (0.7, 1.5)
        return Budget(self.told(self.best), self.case.asked, low, high)


def same_table(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The same columns, and the same rows in the same order."""
    assert set(found) == set(expected)
    assert len(found) == len(expected)
    for name in expected:
        ours, theirs = found[name].to_numpy(), expected[name].to_numpy()
        if theirs.dtype == object or theirs.dtype == bool:
            assert found[name].fillna("").tolist() == expected[name].fillna("").tolist(), name
        else:
            scale = float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0))
            ours = ours.astype(float)
            np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9 * scale, err_msg=name)


def same_document(found: Any, expected: Any, where: str = "") -> None:
    """The same keys and values; what is no finite number is null."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for name, value in expected.items():
            same_document(found[name], value, f"{where}.{name}")
    elif isinstance(expected, list | tuple | np.ndarray):
        assert len(found) == len(expected), where
        for number, value in enumerate(expected):
            same_document(found[number], value, f"{where}[{number}]")
    elif isinstance(expected, float):
        value = float(expected) if math.isfinite(expected) else None
        close = None not in (found, value) and math.isclose(found, expected, rel_tol=1e-7, abs_tol=1e-9)
        assert close or found == value, f"{where}: {found}, not {value}"
    else:
        assert found == expected, where


def check_models(found: Found) -> None:
    same_table(found.models, found.candidates)


def check_pareto_hyperparameters(found: Found) -> None:
    kept = [name for name in found.pareto if not str(name).endswith("_coef")]
    pos = [bool(found.told(solution).summary()["pos"].all()) for solution in found.pareto["solID"]]
    expected = (
        found.pareto[kept].assign(pos=pos).merge(found.members[["solID", "cluster", "top_sol"]], on="solID")
    )
    same_table(found.table("pareto_hyperparameters"), expected)


def check_pareto_aggregated(found: Found) -> None:
    model = ["solID", "trial", "iterNG", "iterPar", "iterations", "train_size", *METRICS, *OBJECTIVES]
    model += ["lambda", "lambda_hp", "lambda_max", "lambda_min_ratio", "robynPareto", "error_score"]
    rows = [
        found.told(row["solID"]).summary().assign(**{str(name): row[name] for name in model})
        for row in found.pareto.to_dict("records")
    ]
    of_clusters = found.table("pareto_clusters_ci")[
        ["rn", "cluster", "boot_mean", "boot_se", "ci_low", "ci_up"]
    ]
    expected = pd.concat(rows, ignore_index=True).merge(
        found.members[["solID", "cluster", "top_sol"]], on="solID"
    )
    same_table(
        found.table("pareto_aggregated"), expected.merge(of_clusters, on=["rn", "cluster"], how="left")
    )


def check_pareto_alldecomp_matrix(found: Found) -> None:
    parts = []
    for solution in found.pareto["solID"]:
        model = found.told(solution)
        table = pd.DataFrame(model.contributions).rename(columns={"(Intercept)": "intercept"})
        actual = {"ds": found.world.dates, "dep_var": found.world.actual}
        parts.append(table.assign(**actual, depVarHat=model.fitted, solID=solution))
    expected = pd.concat(parts, ignore_index=True).merge(
        found.members[["solID", "cluster", "top_sol"]], on="solID"
    )
    same_table(found.table("pareto_alldecomp_matrix"), expected)


def check_pareto_clusters(found: Found) -> None:
    kinds = ("_thetas", "_shapes", "_scales", "_alphas", "_gammas", "_penalty")
    features = recomputed.scaled(found.pareto.sort_index(), lambda name: name.endswith(kinds))
    same_table(found.table("pareto_clusters"), features.join(found.members))
    assert sorted(found.members["cluster"].unique()) == list(range(1, len(found.winners) + 1))


def check_pareto_clusters_ci(found: Found) -> None:
    table = found.table("pareto_clusters_ci")
    names = [(name, cluster) for name in sorted(PAID) for cluster in range(1, len(found.winners) + 1)]
    assert list(zip(table["rn"], table["cluster"], strict=True)) == names
    rows = [_interval(found, *name, row) for name, row in zip(names, table.to_dict("records"), strict=True)]
    same_table(table, pd.DataFrame(rows))
    assert table["boot_ci"].notna().any()


def _interval(found: Found, name: str, cluster: int, drawn: Row) -> Row:
    """§13. The bootstrapped mean and its error are those of random numbers: only near to what is expected."""
    solutions = found.members.loc[found.members["cluster"] == cluster, "solID"]
    metric = "cpa_total" if found.world.conversion else "roi_total"
    values = np.array([found.told(one).summary().set_index("rn").loc[name, metric] for one in solutions])
    sample = values[np.isfinite(values)]
    size, error = len(sample), drawn["boot_se"]
    row = {"rn": name, "cluster": cluster, "n": size}
    if len(solutions) < 3 or not size:
        names = ("boot_mean", "boot_se", "boot_ci", "ci_low", "ci_up", "sd", "dist100")
        return row | dict.fromkeys(names, math.nan)
    mean, spread = sample.mean(), sample.std()
    assert drawn["boot_mean"] == pytest.approx(mean, abs=6 * spread / math.sqrt(size * 1000) + 1e-12)
    assert error == pytest.approx(spread / math.sqrt(size), rel=0.15)
    reach = t.ppf(0.975, size - 1) * error * math.sqrt(size) if size > 1 else 0.0
    low, high, sd = max(mean - reach, 0.0), mean + reach, error * math.sqrt(size - 1)
    return row | {
        "boot_mean": drawn["boot_mean"],
        "boot_se": error,
        "boot_ci": f"[{round(low, 2):.15g}, {round(high, 2):.15g}]",
        "ci_low": low,
        "ci_up": high,
        "sd": sd,
        "dist100": (high - low + 2 * sd) / 99,
    }


def check_pareto_calibration(found: Found) -> None:
    if not found.world.studies:
        assert not (found.folder / "pareto_calibration.csv").exists()
        return
    asked = [(study["start"], study["end"]) for study in found.case.changes["calibration"]]
    rows = [
        study | {"liftStart": start, "liftEnd": end}
        for solution in found.pareto["solID"]
        for study, (start, end) in zip(found.told(solution).studies(), asked, strict=True)
    ]
    same_table(found.table("pareto_calibration"), pd.DataFrame(rows))


def check_annotations(found: Found) -> None:
    if "annotations" in found.case.changes:
        same_table(found.table("annotations"), pd.DataFrame(found.case.changes["annotations"]))


def check_best_model(found: Found) -> None:
    same_document(found.document("best_model.json"), expected_best_model(found))


def expected_best_model(found: Found) -> Row:
    model, world = found.told(found.best), found.world
    row, parts = model.row, zip(("train", "validation", "test"), ("train", "val", "test"), strict=True)
    sizes = dict(zip(("train", "val", "test"), np.diff(model.ends).tolist(), strict=True))
    total = {name: model.total[name] for name in model.total}
    media = {
        kind: sum(total[name] for name in names)
        for kind, names in (("paid", PAID), ("organic", world.organic))
    }
    return {
        "schema_version": 1,
        "sol_id": found.best,
        "nrmse": row["nrmse"],
        "rssd": row["decomp.rssd"],
        "mape": row["mape"],
        "error_score": row["error_score"],
        **{
            part: {"r2": row[f"rsq_{key}"], "nrmse": row[f"nrmse_{key}"], "rows": sizes[key]}
            for part, key in parts
        },
        "dependent": "revenue",
        "dependent_type": "conversion" if world.conversion else "revenue",
        "interval": "week",
        "window": {"start": "2021-07-05", "end": "2024-12-30", "rows": 183},
        "candidates": len(found.candidates),
        "partial_trials": [],
        "pareto_fronts": int(found.pareto["robynPareto"].max()),
        "pareto_models": len(found.pareto),
        "winners": _winners(found),
        "convergence": [
            _convergence(found, name) for name in sorted(OBJECTIVES) if found.candidates[name].any()
        ],
        "solvers": _solvers(found),
        "search": _size(found),
        "totals": {
            "actual": world.actual.sum(),
            "predicted": model.fitted.sum(),
            "baseline": sum(total.values()) - sum(media.values()),
            "media": sum(media.values()),
            **media,
            "spend": sum(world.spend(name).sum() for name in PAID),
        },
        "contributions": [
            {
                "name": name,
                "kind": world.kind(name),
                "coefficient": row[f"{name}_coef"],
                "contribution": contribution,
                "share": contribution / model.fitted.sum(),
            }
            for name, contribution in total.items()
        ],
        "channels": [_channel(model, name) for name in world.media],
        "hyperparameters": {name: row[name] for name in _searched(row)},
        "posterior": None,
    }


def _size(found: Found) -> Row:
    return {name: found.case.changes["search"][name] for name in ("iterations", "trials", "seed")}


def _searched(row: Row) -> list[str]:
    kinds = ("_alphas", "_gammas", "_thetas", "_shapes", "_scales", "_penalty")
    return [name for name in row if name.endswith(kinds) or name in ("lambda", "lambda_hp", "train_size")]


def _winners(found: Found) -> list[Row]:
    rows = found.members.set_index("solID").loc[found.winners].reset_index().to_dict("records")
    names = {"sol_id": "solID", "cluster": "cluster", "models": "n", "nrmse": "nrmse", "rssd": "decomp.rssd"}
    return [{key: row[name] for key, name in {**names, "mape": "mape"}.items()} for row in rows]


def _convergence(found: Found, objective: str) -> Row:
    converged = recomputed.convergence(found.candidates, objective)
    told = {one["objective"]: one["message"] for one in found.document("best_model.json")["convergence"]}
    words = "converged:" if converged else "NOT converged:"
    assert told[objective.upper()].startswith(f"{objective.upper()} {words}")
    return {"objective": objective.upper(), "converged": converged, "message": told[objective.upper()]}


def _solvers(found: Found) -> Row:
    """ROAS by solver: from the coefficients, at the optimum, and otherwise as the file has it."""
    used = "converged" if found.world.conversion else "robyn"
    told = {model["sol_id"]: model for model in found.document("best_model.json")["solvers"]["models"]}
    models = []
    for solution in dict.fromkeys([found.best, *found.winners]):
        model = found.told(solution)
        exact = model.roas_at_the_optimum()
        early = [channel["roas"]["robyn"] for channel in told[solution]["channels"]]
        if used == "robyn":
            early = [model.total[name] / found.world.spend(name).sum() for name in PAID]
        # bounded least squares and the descent differ in the last digits of what they find
        channels = [
            {
                "name": name,
                "roas": {"robyn": a, "converged": b},
                "distance": abs(a - b) / abs(b) if b else _none(a),
            }
            for name, a, b in zip(PAID.values(), early, exact, strict=True)
        ]
        models.append(
            {
                "sol_id": solution,
                "distance": max(channel["distance"] for channel in channels),
                "channels": channels,
            }
        )
    return {"used": used, "models": models}


def _none(early: float) -> float:
    return math.inf if early else 0.0


def _channel(model: Model, name: str) -> Row:
    world, channel = model.world, model.channels[name]
    metric, spend = "cpa" if world.conversion else "roas", name in PAID and world.spend(name)
    values = np.linspace(0, 1.5 * channel.raw[world.window].max(), 100)
    paid: Row = {}
    if name in PAID:
        paid = {
            "spend": spend.sum(),
            "mean_spend": spend.mean(),
            "spend_share": model.spend_share(name),
            "effect_share": model.effect_share(name),
            metric: world.per_money(channel.response.sum(), spend.sum()),
            f"marginal_{metric}": world.per_money(channel.marginal, 1.0),
        }
    return {
        "name": PAID.get(name, name),
        "modelled": name,
        "paid": name in PAID,
        **paid,
        "response": channel.response.sum(),
        "response_share": channel.response.sum() / model.fitted.sum(),
        "mean_response": channel.response.mean(),
        "immediate_share": 1 - channel.carryover_share,
        "hyperparameters": {**channel.own, "alpha": channel.alpha, "gamma": channel.gamma},
        "coefficient": channel.coefficient,
        "inflexion": channel.inflexion,
        "curve": {
            "value": values,
            "response": channel.curve(values),
            "mean_value": channel.immediate.mean(),
            "mean_value_response": float(channel.curve(channel.immediate.mean())),
            "mean_carryover": channel.carryover.mean(),
        },
    }


def check_model_files(found: Found) -> None:
    for solution in dict.fromkeys([found.best, *found.winners]):
        name = "model.json" if solution == found.best else f"RobynModel-{solution}.json"
        same_document(found.document(name), expected_model_file(found, solution))
    assert len(list(found.folder.glob("RobynModel-*.json"))) == len(set(found.winners) - {found.best})


def expected_model_file(found: Found, solution: str) -> Row:
    model, world, config = found.told(solution), found.world, found.case.config
    spend = sum(world.spend(name).sum() for name in PAID)
    return {
        "schema_version": 1,
        "InputCollect": _input_collect(found, spend),
        "ModelsCollect": {
            **_size(found),
            "total_iters": len(found.candidates),
            "ts_validation": world.validated,
            "add_penalty_factor": world.conversion,
            "intercept": True,
            "intercept_sign": "non_negative",
            "nevergrad_algo": "TwoPointsDE",
            "solver": "converged" if world.conversion else "robyn",
            "pareto_fronts": int(found.pareto["robynPareto"].max()),
            "n_clusters": len(found.winners),
            "plot_folder": "./",
        },
        "ExportedModel": {
            "select_model": solution,
            "hyper_values": {name: model.row[name] for name in _searched(model.row)},
            "hyper_updated": _hyper_updated(found),
            "errors": {name: model.row[name] for name in (*METRICS, *OBJECTIVES)},
            "summary": _model_summary(found, model),
            "performance": {
                "metric": "CPA" if world.conversion else "ROAS",
                "spend": spend,
                "response": model.paid_effect,
                "performance": world.per_money(model.paid_effect, spend),
            },
        },
        "config": config.model_dump(mode="json"),
        "prophet": {"components": world.prophet, "factors": {"promo": world.context["promo"]}},
        "reference": None,
    }


def _hyper_updated(found: Found) -> Row:
    """Every range that was searched."""
    world, lambdas = found.world, found.case.config.hyperparameters.ranges.get("lambda", (0.0, 1.0))
    penalties = {f"{name}_penalty": [0.0, 1.0] for name in world.values} if world.conversion else {}
    return {
        **_media_ranges(found),
        "lambda": sorted(set(lambdas)),
        "train_size": [0.5, 0.8] if world.validated else [1.0],
        **penalties,
    }


def _media_ranges(found: Found) -> Row:
    """The ranges of adstock and saturation; one number is a fixed value."""
    media = tuple(f"{name}_" for name in found.world.media)
    ranges = found.case.config.hyperparameters.ranges
    return {name: sorted(set(ends)) for name, ends in ranges.items() if name.startswith(media)}


def _robyns_studies(found: Found) -> list[Row]:
    """Those of two or more whole weeks, which Robyn scales rightly if they end on their last Monday."""
    return [
        {
            "channel": "+".join(study.channels),
            "liftStartDate": str(study.start),
            "liftEndDate": str(study.end - timedelta(days=6)),
            "liftAbs": study.lift,
            "spend": study.spend,
            "confidence": study.confidence,
            "metric": "revenue",
            "calibration_scope": study.scope,
        }
        for study in found.case.config.calibration
        if study.start.weekday() == 0 and study.end.weekday() == 6 and (study.end - study.start).days >= 13
    ]


def _input_collect(found: Found, spend: float) -> Row:
    world = found.world
    validated = {"train_size": [0.5, 0.8]} if world.validated else {}
    return {
        "date_var": "date",
        "dayInterval": 7,
        "intervalType": "week",
        "dep_var": "revenue",
        "dep_var_type": "conversion" if world.conversion else "revenue",
        "prophet_vars": list(world.prophet),
        "prophet_country": "DE",
        "context_vars": ["competitor_sales", "promo"],
        "context_signs": ["default", "default"],
        "factor_vars": ["promo"],
        "paid_media_vars": list(PAID),
        "paid_media_spends": list(PAID.values()),
        "paid_media_selected": list(PAID),
        "paid_media_signs": ["positive"] * len(PAID),
        "paid_media_total": spend,
        "organic_vars": ["newsletter_sends"],
        "organic_signs": ["positive"],
        "all_media": world.media,
        "all_ind_vars": list(world.values),
        "window_start": "2021-07-05",
        "rollingWindowStartWhich": 27,
        "window_end": "2024-12-30",
        "rollingWindowEndWhich": 209,
        "rollingWindowLength": 183,
        "totalObservations": 209,
        "adstock": world.adstock,
        "hyperparameters": {**_media_ranges(found), **validated},
        "calibration_input": _robyns_studies(found),
    }


def _model_summary(found: Found, model: Model) -> list[Row]:
    cluster = found.members.set_index("solID")["cluster"][model.row["solID"]]
    table = found.table("pareto_clusters_ci")
    intervals = table[table["cluster"] == cluster].set_index("rn")
    performance = "cpa_total" if model.world.conversion else "roi_total"
    rows = []
    for row in model.summary().to_dict("records"):
        interval = ("boot_mean", "ci_low", "ci_up")
        rows.append(
            {
                "variable": row["rn"],
                "coef": row["coef"],
                "decompPer": row["xDecompPerc"],
                "decompAgg": row["xDecompAgg"],
                "performance": row[performance],
                "mean_response": row["mean_response"],
                "mean_spend": row["mean_spend"],
                **{
                    name: intervals.loc[row["rn"], name] if row["rn"] in PAID else math.nan
                    for name in interval
                },
            }
        )
    return rows


def check_allocation(found: Found) -> None:
    """The spends of the answer are the file's; that they are the best ones, test_allocator.py shows."""
    document, budget = found.document("allocator.json"), found.budget
    spends = np.array([channel["after"]["mean_spend"] for channel in document["channels"]])
    low, high, now = budget.low * budget.today, budget.high * budget.today, budget.response(budget.today)
    assert ((low * (1 - 1e-9) <= spends) & (spends <= high * (1 + 1e-9))).all()
    spent, earned = (values.sum() for values in budget.past())
    after, before = budget.response(spends).sum(), now.sum()
    asked: Row = {"budget": budget.today.sum() * budget.periods}
    if found.world.conversion:
        asked = {"target": document["target"]}
        assert spends.sum() / after <= 1.2 * budget.today.sum() / before * (1 + 1e-9)
    else:
        np.testing.assert_allclose(spends.sum(), budget.today.sum(), rtol=1e-9)
    past = [budget.figures(*pair) for pair in zip(*budget.past(), strict=True)]
    each = zip(
        budget.names, past, low, high, budget.read_off(budget.today), budget.read_off(spends), strict=True
    )
    dates = found.world.dates[budget.rows]
    expected = {
        "schema_version": 1,
        "sol_id": found.best,
        "scenario": "target_efficiency" if found.world.conversion else "max_response",
        "feasible": True,
        "metric": "cpa" if found.world.conversion else "roas",
        "start": dates[0],
        "end": dates[-1],
        "interval": "week",
        "periods": len(dates),
        **asked,
        "historical": budget.figures(spent, earned),
        "before": budget.figures(budget.today.sum(), before),
        "after": budget.figures(spends.sum(), after),
        "channels": [
            {
                "name": PAID[name],
                "modelled": name,
                "historical": historical,
                "bounds": {
                    "low": budget.low,
                    "high": budget.high,
                    "spend": [lowest * budget.periods, highest * budget.periods],
                },
                "before": was,
                "after": becomes,
            }
            for name, historical, lowest, highest, was, becomes in each
        ],
    }
    same_document(document, expected)


def check_reallocated(found: Found) -> None:
    scenario = "target_efficiency" if found.world.conversion else "max_response"
    table = found.table(f"{found.best}_{scenario}_reallocated")
    same_table(table, expected_reallocated(found, table))
    document = found.document("allocator.json")
    spends = [channel["after"]["mean_spend"] for channel in document["channels"]]
    np.testing.assert_allclose(table["optmSpendUnit"], spends, rtol=1e-9)


@np.errstate(divide="ignore", invalid="ignore")
def expected_reallocated(found: Found, table: pd.DataFrame) -> pd.DataFrame:
    """§15.4, with the spends of the answers as they stand in the table."""
    budget, world, dates = found.budget, found.world, found.world.dates[found.case.asked]
    today, number = budget.today, budget.periods
    window = np.array([world.values[name][world.window].mean() for name in budget.names])
    response = budget.response(today)
    wider = [max(0.0, 1 - (1 - budget.low) * 3), 1 + (budget.high - 1) * 3]
    columns: Row = {
        "solID": found.best,
        "dep_var_type": "conversion" if world.conversion else "revenue",
        "channels": budget.names,
        "date_min": dates[0],
        "date_max": dates[-1],
        "periods": f"{number} weeks",
        "constr_low": budget.low,
        "constr_low_abs": budget.low * today,
        "constr_up": budget.high,
        "constr_up_abs": budget.high * today,
        "unconstr_mult": 3.0,
        "constr_low_unb": wider[0],
        "constr_low_unb_abs": wider[0] * today,
        "constr_up_unb": wider[1],
        "constr_up_unb_abs": wider[1] * today,
        **_spent("histSpendAll", window, len(world.actual)),
        **_spent("histSpendWindow", today, number),
        "initSpendUnit": today,
        "initSpendUnitTotal": today.sum(),
        "initSpendShare": today / today.sum(),
        "initSpendTotal": today.sum() * number,
        "initResponseUnit": response,
        "initResponseUnitSim": response,
        "initResponseUnitTotal": response.sum(),
        "initResponseMargUnit": budget.response(today + 1) - response,
        "initResponseTotal": response.sum() * number,
        "initResponseUnitShare": response / response.sum(),
        "initRoiUnit": response / today,
        "initCpaUnit": today / response,
        "total_budget_unit": today.sum(),
        "total_budget_unit_delta": 0.0,
    }
    for suffix in ("", "Unbound"):
        columns |= _answered(budget, table[f"optmSpendUnit{suffix}"].to_numpy(), response, suffix)
    return pd.DataFrame(columns)


def _spent(name: str, spend: Any, periods: int) -> Row:
    return {
        name: spend * periods,
        f"{name}Total": spend.sum() * periods,
        f"{name}Unit": spend,
        f"{name}UnitTotal": spend.sum(),
        f"{name}Share": spend / spend.sum(),
    }


def _answered(budget: Budget, spend: Any, before: Any, suffix: str) -> Row:
    today, after = budget.today, budget.response(spend)
    columns = {
        "optmSpendUnit": spend,
        "optmSpendUnitDelta": spend / today - 1,
        "optmSpendUnitTotal": spend.sum(),
        "optmSpendUnitTotalDelta": spend.sum() / today.sum() - 1,
        "optmSpendShareUnit": spend / spend.sum(),
        "optmSpendTotal": spend.sum() * budget.periods,
        "optmResponseUnit": after,
        "optmResponseMargUnit": budget.response(spend + 1) - after,
        "optmResponseUnitTotal": after.sum(),
        "optmResponseTotal": after.sum() * budget.periods,
        "optmResponseUnitShare": after / after.sum(),
        "optmRoiUnit": after / spend,
        "optmCpaUnit": spend / after,
        "optmResponseUnitLift": after / before - 1,
        "optmResponseUnitTotalLift": after.sum() / before.sum() - 1,
    }
    return {f"{name}{suffix}": value for name, value in columns.items()}


CHECKS: dict[str, Callable[[Found], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_models,
        check_pareto_hyperparameters,
        check_pareto_aggregated,
        check_pareto_alldecomp_matrix,
        check_pareto_clusters,
        check_pareto_clusters_ci,
        check_pareto_calibration,
        check_annotations,
        check_best_model,
        check_model_files,
        check_allocation,
        check_reallocated,
    )
}


def unchecked(found: Found) -> Iterable[str]:
    """Files of a result that no check reads; A Parquet table with a CSV beside it is that once more."""
    read = {*CHECKS, "best_model", "model", "allocator"}
    for path in found.folder.iterdir():
        its = path.stem.startswith("RobynModel-") or path.stem.endswith("_reallocated")
        if path.stem not in read and not its:
            yield path.name
