"""What every engine is given and how it reports."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contracts.model import ModelConfig


class EngineError(Exception):
    """The engine cannot train on these inputs; trying again would end the same way."""


@dataclass(frozen=True)
class SearchProgress:
    """How far the search is, over all trials."""

    trial: int  # trials that have begun
    trials: int
    iteration: int  # candidates evaluated
    iterations: int  # candidates to evaluate
    nrmse: float  # smallest so far
    rssd: float  # smallest so far


@dataclass(frozen=True)
class Host:
    """What an engine may use and whom it tells."""

    cores: int
    step: Callable[[str], AbstractContextManager[None]]  # times a step and says that it has begun
    progress: Callable[[SearchProgress], None]
    log: Callable[[str], None]  # a line of console.log


class Engine(Protocol):
    """Trains on prepared data (a Parquet file) and leaves its files in a folder.

    Raises:
        EngineError: the inputs cannot be trained on.
    """

    def __call__(self, prepared: Path, config: ModelConfig, folder: Path, host: Host) -> None:
        """Train."""


def load(name: str) -> Engine:
    """The engine of a name, imported only now.

    Raises:
        EngineError: it is not part of this image.
    """
    if name == "native":
        from trainer.engines.native.engine import train

        return train
    raise EngineError(f"this trainer has no engine '{name}'")
