"""What every engine is given and how it reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from contracts.budget import BudgetQuestion
from contracts.model import ModelConfig
from contracts.posterior import PosteriorDocument
from contracts.trust import TrustDocument


class EngineError(Exception):
    """The engine cannot train on these inputs; trying again would end the same way."""


@dataclass(frozen=True)
class SearchProgress:
    """How far a search is, over all trials that this task runs."""

    trial: int  # trials that have begun
    trials: int
    iteration: int  # candidates evaluated
    iterations: int  # candidates to evaluate
    nrmse: float  # smallest so far
    rssd: float  # smallest so far


class JobPosterior(Protocol):
    """The posterior of a job."""

    @property
    def document(self) -> PosteriorDocument:
        """What it says."""

    def answer_budget(
        self, question: BudgetQuestion, solution: str, contributions: pd.DataFrame, folder: Path
    ) -> None:
        """Write the answer to a budget question, or why there is none, into the folder of the result.

        `contributions` are those of the best model, whose solID is `solution`, a row per date.
        """


AskPosterior = Callable[[pd.DataFrame, ModelConfig, Path, Any], JobPosterior | None]
"""Called with the prepared data, the configuration, the folder of the result, and what the native engine has
prepared (None: nothing). Leaves the draws in the folder; None, with the reason in the log, if there are
none."""


BeginPosterior = Callable[[pd.DataFrame, ModelConfig, Any], None]
"""Called when the trials of a task have been searched, with data, configuration and preparation as later
`AskPosterior`; draws this task's part of a posterior that several tasks draw."""


AskTrust = Callable[[pd.DataFrame, ModelConfig, Path], TrustDocument | None]
"""Called, after the posterior was asked for, with the same data and configuration and the folder in which the
tables and best_model.json are; leaves trust.json there. None: nothing is checked."""


def _no_trust(_data: pd.DataFrame, _config: ModelConfig, _folder: Path) -> None:
    return None


def _no_posterior(_data: pd.DataFrame, _config: ModelConfig, _folder: Path, _inputs: object) -> None:
    return None


def _nothing_to_begin(_data: pd.DataFrame, _config: ModelConfig, _inputs: object) -> None:
    return None


@dataclass(frozen=True)
class Host:
    """What an engine may use, and where it reports to."""

    cores: int
    step: Callable[[str], AbstractContextManager[None]]  # times and announces a step
    progress: Callable[[SearchProgress], None]
    log: Callable[[str], None]  # a line of console.log
    posterior: AskPosterior = _no_posterior
    trust: AskTrust = _no_trust
    begin_posterior: BeginPosterior = _nothing_to_begin


@dataclass(frozen=True)
class Material:
    """What an engine trains on."""

    prepared: Path  # Parquet, a row per period
    config: ModelConfig
    former: Path | None  # folder with the tables and documents of the former job that the request names


class Engine(Protocol):
    """One training, split into as many shares as there are tasks. Expensive preparation is cached.

    With a single task nothing is different: it searches all trials and finishes with its own share.
    """

    share_suffix: str  # of the file that a share is, without the dot

    def search(self, trials: range, share: Path) -> None:
        """Run these trials, counted from 1, and leave what they found in one file.

        Raises:
            EngineError: the material cannot be trained on.
        """

    def finish(self, shares: Sequence[Path], folder: Path) -> None:
        """Make every file of the result from the shares of all trials, given in the order of trials.

        Raises:
            EngineError: the material cannot be trained on.
        """
