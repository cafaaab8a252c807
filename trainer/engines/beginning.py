"""The effective training: a request, resolved against the former result that it continues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from contracts.model import ModelConfig
from trainer.engines.checks import check
from trainer.engines.common import InvalidInputs
from trainer.engines.refresh.continuation import Continuation, Reference, move_on
from trainer.engines.refresh.former import Former, front


@dataclass(frozen=True, eq=False)
class Beginning:
    """The effective configuration, resolved against the former result."""

    config: ModelConfig
    refresh: Continuation | None = None
    start: tuple[Mapping[str, float], ...] = ()
    """Hyperparameters by name of former models, which every trial tries first."""

    def believed(self, asked: ModelConfig) -> ModelConfig:
        """The configuration of the posterior, given the request's.

        A refresh searches near its former model only. Its posterior must not: it would be too sure, and could
        not be compared with the former one.
        """
        return self.config.model_copy(update={"hyperparameters": asked.hyperparameters})

    @property
    def reference(self) -> Reference | None:
        """Of a refresh: the former model."""
        return self.refresh.reference if self.refresh else None


def begin(data: pd.DataFrame, config: ModelConfig, former: Path | None) -> Beginning:
    """The training that `config` asks for, which may go on from the former result in a folder.

    Raises InvalidInputs, a line per problem, where the former result is missing or does not fit.
    """
    if config.former and former is None:
        raise InvalidInputs(f"the result of job {config.former} does not exist any more")
    if former and config.refresh_of:
        interval = check(data, config)
        refresh = move_on(data, interval, config, Former(former))
        return Beginning(refresh.config, refresh)
    start = front(Former(former).hyperparameters, config) if former and config.search.start_from else ()
    return Beginning(config, start=start)
