"""What a search found, judged and explained."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from trainer.engines.common import Floats
from trainer.engines.native.explain.answers import Answers
from trainer.engines.native.records import Clusters, Inputs, ModelAnswer


@dataclass(frozen=True, eq=False)
class Result:
    """What a search found."""

    inputs: Inputs
    candidates: pd.DataFrame
    """(k rows) every candidate in the order of trials and proposals.

    Columns: `solID` (text), `trial`, `iterNG`, `iterPar`; every media hyperparameter by sorted name,
    `train_size`, `<column>_penalty` if searched; `<media>_inflexion`, `<media>_inflation`; `rsq_train`,
    `rsq_val`, `rsq_test` (adjusted R²), `nrmse_train`, `nrmse_val`, `nrmse_test` (NaN without validation),
    `nrmse` (the objective), `decomp.rssd`, `mape` (0 without calibration), `lambda`, `lambda_hp`,
    `lambda_max`, `lambda_min_ratio`, `coef0` (True: a paid channel has coefficient 0), `mape.qt10`
    (passed the quantile filter), `robynPareto` (Pareto front from 1, NaN: failed the filter), `error_score`
    (smaller is better).
    """
    coefficients: Floats
    """(k, 1 + p) intercept, then the design columns' coefficients."""
    fronts: int
    """Number of Pareto fronts that make up the Pareto solutions."""
    pareto: tuple[str, ...]
    """solIDs of the Pareto solutions, by front, within it by NRMSE."""
    aggregated: pd.DataFrame
    """(Pareto solutions × (1 + p) rows) `ModelAnswer.summary` of each, with `solID`, `trial`, `iterNG`,
    `iterPar`, `robynPareto` and the model's metrics, `cluster`, `top_sol`, and of paid channels `boot_mean`,
    `boot_se`, `ci_low`, `ci_up` of the cluster (Robyn: pareto_aggregated.csv)."""
    lift: pd.DataFrame
    """(Pareto solutions × studies rows, empty without calibration) predicted against measured lift (Robyn:
    pareto_calibration.csv): solID, liftMedia, liftStart, liftEnd, liftAbs, decompStart, decompEnd,
    decompAbsScaled, decompAbsTotalScaled, calibrated_pct, mape_lift."""
    clusters: Clusters
    best: ModelAnswer
    """The Pareto solution with the smallest error score, of a refresh the one with the smallest DECOMP.RSSD,
    or the candidate nearest to the posterior. `model` gives others."""
    explained: dict[str, ModelAnswer] = field(default_factory=dict, repr=False)
    """Models by solID that need not be explained again."""

    def model(self, solution: str) -> ModelAnswer:
        """Any candidate in full; explained once, then cached.

        Raises:
            KeyError: there is no candidate with this solID.
        """
        if solution not in self.explained:
            self.explained[solution] = self._answers.model(candidate_of(self.candidates, solution))
        return self.explained[solution]

    @cached_property
    def _answers(self) -> Answers:
        return Answers(self.inputs)

    @property
    def told(self) -> tuple[str, ...]:
        """solIDs of the models in the tables: the Pareto solutions, and the best model if it is none."""
        best = self.best.solution
        return self.pareto if best in self.pareto else (*self.pareto, best)

    @property
    def other_winners(self) -> tuple[str, ...]:
        """solIDs of the winners of the clusters, without the best model, by cluster."""
        return tuple(one for one in self.clusters.winners if one != self.best.solution)


def candidate_of(candidates: pd.DataFrame, solution: str) -> dict[str, Any]:
    """A candidate's row, by column; KeyError if there is no such solID."""
    rows = candidates[candidates["solID"] == solution]
    if rows.empty:
        raise KeyError(f"there is no candidate {solution}")
    return {str(name): value for name, value in rows.iloc[0].items()}
