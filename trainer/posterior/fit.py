"""The entry: prepared data and a request in, a `Posterior` out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from contracts.model import ModelConfig
from contracts.posterior import PosteriorConfig
from trainer.engines.native.prepare.prophet_columns import ProphetColumns
from trainer.engines.native.records import Inputs
from trainer.engines.native.training import prepare
from trainer.posterior import model as modelling
from trainer.posterior.result import Posterior, read
from trainer.posterior.sampling import LONGEST, SWEEPS, Progress, sample


def posterior(
    data: pd.DataFrame,
    config: ModelConfig,
    *,
    inputs: Inputs | None = None,
    cores: int = 1,
    sweeps: int = SWEEPS,
    longest: int = LONGEST,
    progress: Progress = lambda *_: None,
) -> Posterior:
    """Draw from the posterior of `config`'s model of `data`, which has a row per period.

    `inputs` are what the native engine prepared from the same two. Chains begin with `sweeps` sweeps and grow
    to `longest` times that until they agree. The result depends on data, configuration and its seed only, not
    on `cores`.

    Raises:
        InvalidInputs: data and configuration do not fit together, a line per problem.
        NotOffered: this model has no posterior; the text says why.
    """
    config = config.national
    settings = config.posterior or PosteriorConfig()
    inputs = inputs or prepared(data, config)
    found = modelling.build(data, config, inputs, settings)
    seed = config.search.seed
    samples = sample(found.problem, seed, cores=cores, sweeps=sweeps, longest=longest, progress=progress)
    return read(found, settings, seed, samples)


def prepared(data: pd.DataFrame, config: ModelConfig) -> Inputs:
    """What the native engine searches; Prophet is asked only for holidays, as nothing else of it is used."""
    if "holiday" in config.prophet.components:
        return prepare(data, config)
    nothing = np.zeros(len(data))
    factors = {factor.name: nothing for factor in config.columns.factors}
    return prepare(
        data, config, prophet=ProphetColumns(dict.fromkeys(config.prophet.components, nothing), factors)
    )
