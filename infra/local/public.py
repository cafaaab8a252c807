"""Worlds of a public generator that nobody here made, from tests/posterior/worlds (README.md there)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from contracts.model import ModelConfig

_FOLDER = Path(__file__).resolve().parents[2] / "tests" / "posterior" / "worlds"
SMALL = ("small_business_0", "small_business_1", "small_business_2")
BY_REGION = ("growing_business_0", "medium_business_0")


@dataclass(frozen=True)
class PublicWorld:
    """A world with its truth."""

    regions: pd.DataFrame
    """A row per date and region, which the column `geo` names."""
    totals: pd.DataFrame
    """A row per date: regions added up, controls averaged."""
    config: ModelConfig
    contributions: dict[str, float]
    """What each channel truly earned, by spend column, in units of `y`."""

    @property
    def roas(self) -> dict[str, float]:
        """What each channel truly earned per unit of currency."""
        return {name: earned / self.totals[name].sum() for name, earned in self.contributions.items()}


def public_world(name: str) -> PublicWorld:
    """One of `SMALL`, which have a single region, or of `BY_REGION`."""
    table, truth = (_read(f"{name}{end}") for end in ("", "_truth"))
    names = [str(name) for name in table.columns]
    spends = [name for name in names if name[0] == "x"]
    controls = [name for name in names if name[0] == "c" and not name.endswith("_effect")]
    rules = {"y": "sum", **dict.fromkeys(spends, "sum"), **dict.fromkeys(controls, "mean")}
    columns = {
        "date": "date",
        "dependent": "y",
        "dependent_type": "revenue",
        "paid_media": spends,
        "context": controls,
    }
    return PublicWorld(
        regions=table,
        totals=table.groupby("date", as_index=False).agg(rules),
        config=ModelConfig.model_validate({"columns": columns}),
        contributions={spend: float(truth[f"contribution_{spend}"].sum()) for spend in spends},
    )


def _read(name: str) -> pd.DataFrame:
    plain = _FOLDER / f"{name}.csv"
    return pd.read_csv(plain if plain.is_file() else f"{plain}.gz", parse_dates=["date"])
