"""The candidate that is nearest to the posterior: `search.best_by: posterior`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from contracts.posterior import PosteriorDocument
from trainer.engines.choice import distances
from trainer.engines.common import Floats
from trainer.engines.native.records import Inputs
from trainer.engines.native.search import kernel
from trainer.engines.native.search.evaluator import Evaluator
from trainer.engines.native.search.trials import Candidates


def nearest(inputs: Inputs, candidates: Candidates, posterior: PosteriorDocument) -> str | None:
    """solID of the nearest candidate with a finite NRMSE, on a Pareto front or not; None if there is none.

    Of equals the first one proposed.
    """
    table = candidates.table
    fitted = np.isfinite(table["nrmse"].to_numpy(dtype=float))
    if not fitted.any():
        return None
    away = np.where(fitted, distances(posterior, candidate_roas(inputs, candidates)), np.inf)
    return str(table["solID"].iloc[int(away.argmin())])


def candidate_roas(inputs: Inputs, candidates: Candidates) -> pd.DataFrame:
    """(k rows, a column per spend column) contribution over spend of the window, of every candidate."""
    evaluator, table = Evaluator(inputs), candidates.table
    hypers = np.ones((len(table), len(evaluator.names)))
    for k, name in enumerate(evaluator.names):
        if name in table:
            hypers[:, k] = table[name]
    sums = np.zeros((len(table), len(inputs.media)))
    kernel.saturated_sums(evaluator.problem, hypers, evaluator.work, evaluator.outcome, sums)
    earned: Floats = sums * candidates.coefficients[:, -len(inputs.media) :]
    spend = inputs.spend[inputs.window].sum(axis=0)
    return pd.DataFrame(earned[:, : len(inputs.paid)] / spend, columns=list(inputs.spend_names))
