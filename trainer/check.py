"""The self-test of an image: one small training with all that a job uses, without a job.

It also leaves the machine code of every function that a training calls in NUMBA_CACHE_DIR.
"""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts.model import ModelConfig
from trainer.engines.base import Host, Material
from trainer.engines.registry import load
from trainer.posterior.job import Asked
from trainer.posterior.regions import ByRegion
from trainer.trust.job import Judge

_WEEKS = 120
"""Rows of the self-test's data."""
_FIRST = date(2023, 1, 2)
CONFIG: dict[str, Any] = {
    "columns": {
        "date": "week",
        "dependent": "sales",
        "dependent_type": "revenue",
        "paid_media": ["tv", {"spend": "search", "exposure": "clicks"}, "social"],
        "context": ["price"],
    },
    "prophet": {"components": ["trend", "season", "holiday"], "holiday_country": "DE"},
    "search": {"iterations": 150, "trials": 2, "time_series_validation": True},
    "calibration": [
        {
            "channels": ["tv"],
            "start": "2024-01-01",
            "end": "2024-03-24",
            "lift": 60_000,
            "spend": 30_000,
            "confidence": 0.9,
        }
    ],
    "budget": {"scenario": "max_response"},
}
"""What is trained: with a calibration and a validation part, so that every function is called."""


def check() -> list[str]:
    """Train on generated data and return the names of the files that the training left.

    Raises:
        trainer.engines.base.EngineError: the engine refuses them.
    """
    with tempfile.TemporaryDirectory(prefix="check-") as name:
        folder = Path(name)
        prepared, share, results = folder / "data.parquet", folder / "share", folder / "results"
        results.mkdir()
        data = table()
        data.to_parquet(prepared)
        asked = Asked(cores=1, step=lambda _: nullcontext(), log=lambda _: None, regions=by_region(data))
        host = Host(1, lambda _: nullcontext(), lambda _: None, lambda _: None, asked, Judge(asked))
        config = ModelConfig.model_validate(CONFIG)
        engine = load("native")(Material(prepared, config, former=None), host)
        engine.search(range(1, config.search.trials + 1), share)
        engine.finish([share], results)
        return sorted(path.name for path in results.iterdir())


def by_region(totals: pd.DataFrame) -> ByRegion:
    """The table, divided between two regions."""
    media = ["sales", "tv", "search", "social", "clicks"]
    parts = [
        totals.assign(**{name: totals[name] * share for name in media}, area=area)
        for area, share in (("north", 0.4), ("south", 0.6))
    ]
    return ByRegion(pd.concat(parts, ignore_index=True), "area")


def table() -> pd.DataFrame:
    """Weekly sales and spends, in one currency."""
    random = np.random.default_rng(1)
    weeks = np.arange(_WEEKS)
    spends = {name: random.gamma(2, 1_000, _WEEKS) for name in ("tv", "search", "social")}
    price = random.normal(10, 0.5, _WEEKS)
    baseline = 50_000 + 50 * weeks + 5_000 * np.sin(2 * np.pi * weeks / 52)
    earned = sum(30 * np.sqrt(spend) for spend in spends.values())
    sales = baseline + earned - 500 * price + random.normal(0, 500, _WEEKS)
    dates = [_FIRST + timedelta(weeks=int(week)) for week in weeks]
    clicks = spends["search"] * random.uniform(0.8, 1.2, _WEEKS)
    return pd.DataFrame({"week": dates, "sales": sales, **spends, "clicks": clicks, "price": price})
