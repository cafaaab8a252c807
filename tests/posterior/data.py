"""Small data for the posterior, of a formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts.model import ModelConfig

WORLDS = Path(__file__).parent / "worlds"


def sales(rows: int = 156, freq: str = "W-MON", channels: int = 3, seed: int = 1) -> pd.DataFrame:
    """Sales with trend and season, and channels that earn 1, 2, 3, ... per unit, in proportion, at once."""
    random = np.random.default_rng(seed)
    dates = pd.date_range("2022-01-03" if freq != "MS" else "2015-01-01", periods=rows, freq=freq)
    spends = random.lognormal(0, 0.8, (rows, channels)) * (random.uniform(size=(rows, channels)) < 0.6) * 100
    year = 2 * np.pi * dates.day_of_year.to_numpy() / 365.25
    earned = spends @ np.arange(1, channels + 1)
    base = 2000 + 0.5 * np.arange(rows) + 200 * np.sin(year) + random.normal(0, 40, rows)
    names = [f"c{i + 1}" for i in range(channels)]
    table = pd.DataFrame({"date": dates, "sales": base + earned, **dict(zip(names, spends.T, strict=True))})
    return table.assign(price=random.normal(10, 1, rows), offer=random.choice(["none", "big", "small"], rows))


def config(table: pd.DataFrame, columns: dict[str, Any] | None = None, **fields: Any) -> ModelConfig:
    """A request's model: every column `c…` is a paid channel."""
    paid = [name for name in table.columns if name[0] == "c"]
    asked = {"date": "date", "dependent": "sales", "dependent_type": "revenue", "paid_media": paid}
    return ModelConfig.model_validate({"columns": asked | (columns or {}), **fields})
