"""Cost and gain of ending a search early, and of starting it from the Pareto front of an earlier job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts.model import ModelConfig
from infra.local.bench.figures import Figure
from infra.local.demo_data import demo_request, generate
from trainer.engines.native.records import Inputs
from trainer.engines.native.search.trials import Plan, search
from trainer.engines.native.select.pareto import select
from trainer.engines.native.training import prepare
from trainer.engines.refresh.former import front

GOLDEN = Path("tests/golden")
ITERATIONS, TRIALS, SEEDS = 2_000, 5, 3
SHORTER = (8, 4, 2, 1)
"""Shares of the iterations at which the search is ended early."""
PATIENCE = (50, 75, 100, 200)
NEWER = 0.06
"""Share of the data that the earlier job did not have."""


@dataclass(frozen=True)
class _Case:
    name: str
    inputs: Inputs
    former: Inputs
    config: ModelConfig


def measure(iterations: int = ITERATIONS, trials: int = TRIALS, seeds: int = SEEDS) -> list[Figure]:
    """Hypervolume and evaluations against a whole search from nothing, on three data sets, mean of `seeds`.

    The former job is as long a search, with other seeds, on the same data without the newest part.
    """
    return [figure for case in _cases() for figure in _figures(case, Plan(iterations, trials, 123), seeds)]


def _figures(case: _Case, plan: Plan, seeds: int) -> list[Figure]:
    plans = [replace(plan, seed=plan.seed + 1000 * i) for i in range(seeds)]
    whole = [_searched(case.inputs, one) for one in plans]
    figures = []
    for name, way in _ways(case, plan).items():
        found = [_searched(case.inputs, replace(one, **way)) for one in plans]
        volume = np.mean([ours[1] / full[1] for ours, full in zip(found, whole, strict=True)])
        evaluations, of = (np.mean([count for count, _ in each]) for each in (found, whole))
        beside = f"hypervolume, {evaluations:,.0f} of {of:,.0f} evaluations"
        figures.append(Figure(f"{case.name}: {name}", f"{volume:.4f}", "× whole", beside))
    return figures


def _ways(case: _Case, plan: Plan) -> dict[str, dict[str, Any]]:
    """The plan of each variant, by name."""
    old = search(case.former, replace(plan, seed=plan.seed + 500)).table
    start = front(select(old, calibrated=False).candidates, case.config)
    shorter = {f"{plan.iterations // part:,} iterations": plan.iterations // part for part in SHORTER}
    return {
        **{name: {"iterations": n} for name, n in shorter.items() if n < plan.iterations},
        **{f"start_from, {name}": {"iterations": n, "start": start} for name, n in shorter.items()},
        **{f"stop.unmoved_iterations {most}": {"unmoved_iterations": most} for most in PATIENCE},
    }


def _searched(inputs: Inputs, plan: Plan) -> tuple[int, float]:
    """Evaluations, and the hypervolume of the front."""
    table = search(inputs, plan).table
    return len(table), hypervolume(table)


def hypervolume(table: pd.DataFrame) -> float:
    """Area between the front and (1, 1) in NRMSE and DECOMP.RSSD."""
    points = table[["nrmse", "decomp.rssd"]].sort_values(["nrmse", "decomp.rssd"]).to_numpy()
    area, lowest = 0.0, 1.0
    for nrmse, rssd in points[(points < 1.0).all(axis=1)]:
        area += (1.0 - nrmse) * max(0.0, lowest - rssd)
        lowest = min(lowest, rssd)
    return area


def _cases() -> list[_Case]:
    demo = demo_request("bench")
    golden = {
        "columns": {
            "date": "date",
            "dependent": "revenue",
            "dependent_type": "revenue",
            "paid_media": [
                "tv_spend",
                "ooh_spend",
                "display_spend",
                {"spend": "search_spend", "exposure": "search_clicks"},
                {"spend": "social_spend", "exposure": "social_impressions"},
            ],
            "organic": ["newsletter_sends"],
            "context": ["competitor_sales"],
            "factors": ["promo"],
        },
        "prophet": demo["prophet"],
    }
    demo = {name: demo[name] for name in ("columns", "prophet")}
    return [
        _case("weekly", pd.read_csv(GOLDEN / "weekly.csv"), golden),
        _case("daily", pd.read_csv(GOLDEN / "daily.csv"), golden),
        _case("generated", generate().table, demo),
    ]


def _case(name: str, data: pd.DataFrame, request: dict[str, Any]) -> _Case:
    config = ModelConfig.model_validate(request)
    known = data[: round(len(data) * (1 - NEWER))]
    return _Case(f"{name}, {len(data)} rows", prepare(data, config), prepare(known, config), config)
