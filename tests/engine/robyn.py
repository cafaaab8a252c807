"""The engine `robyn` under test: a recorded case as its material, and a host that remembers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from contracts.model import ModelConfig
from tests.engine.golden import load
from trainer.engines.base import Host, Material, SearchProgress


@dataclass
class Heard:
    """What an engine told its host."""

    steps: list[str] = field(default_factory=list)
    progress: list[SearchProgress] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def host(self, cores: int = 2) -> Host:
        return Host(cores, self._step, self.progress.append, self.log.append)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self.steps.append(name)
        yield


def material(folder: Path, case: str = "weekly_geometric", **changed: Any) -> Material:
    """A recorded case's data and configuration; `changed` are fields of the configuration."""
    recorded = load(case)
    document = recorded.config.model_dump(mode="json")
    document["search"] |= changed.pop("search", {})
    prepared = folder / "prepared.parquet"
    recorded.data.assign(date=pd.to_datetime(recorded.data["date"]).dt.date).to_parquet(prepared)
    return Material(prepared, ModelConfig.model_validate(document | changed), None)
