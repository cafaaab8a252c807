"""Whether the search has settled, by Robyn's rule (Robyn 3.12.1, robyn_converge)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from trainer.engines.common import Floats

PARTS = 20
"""Equal parts of the search that are compared."""

_FIRST = 3
"""Parts at the start of the search that give the usual deviation."""
_OBJECTIVES = {"DECOMP.RSSD": "decomp.rssd", "MAPE": "mape", "NRMSE": "nrmse"}


@dataclass(frozen=True, eq=False)
class Convergence:
    """How one objective went over the search, all trials together."""

    objective: str
    """NRMSE, DECOMP.RSSD or MAPE."""
    median: Floats
    """(20,) median of each twentieth of the iterations; NaN without candidates."""
    deviation: Floats
    """(20,) standard deviation."""

    @property
    def usual(self) -> float:
        """The standard deviation that the last twentieth must stay below: the mean of the first three."""
        return float(self.deviation[:_FIRST].mean())

    @property
    def limit(self) -> float:
        """What the last median must stay below: the first, less two of these standard deviations."""
        return float(abs(self.median[0] - 2 * self.usual))

    @property
    def converged(self) -> bool:
        """Both hold in the last twentieth; never with too few candidates to tell."""
        return bool(self.deviation[-1] < self.usual and abs(self.median[-1]) < self.limit)

    @property
    def message(self) -> str:
        """Robyn's line."""
        deviation, median, usual, limit = self.deviation[-1], abs(self.median[-1]), self.usual, self.limit
        if np.isnan([deviation, usual]).any():
            return f"{self.objective} NOT converged: too few iterations to tell"
        verdict = "converged" if self.converged else "NOT converged"
        spread = f"sd@qt.20 {_short(deviation)} {_sign(deviation < usual)} {_short(usual)}"
        level = f"|med@qt.20| {_short(median)} {_sign(median < limit)} {_short(limit)}"
        return f"{self.objective} {verdict}: {spread} & {level}"


def convergence(candidates: pd.DataFrame) -> list[Convergence]:
    """The objectives of `Result.candidates` by name, without those that are never positive.

    Robyn orders the candidates of a trial by the time at which they were done; we by iteration.
    """
    found = []
    for objective, column in _OBJECTIVES.items():
        values = candidates[column]
        usable = candidates.loc[(values > 0) & np.isfinite(values), ["trial", column]]
        if usable.empty:
            continue
        number = usable.groupby("trial").cumcount() + 1
        part = -(-PARTS * number // number.max())
        parts = usable[column].groupby(part).agg(["median", "std"]).reindex(range(1, PARTS + 1))
        found.append(Convergence(objective, parts["median"].to_numpy(), parts["std"].to_numpy()))
    return found


def _short(value: float) -> str:
    return f"{float(f'{value:.1e}'):.15g}"


def _sign(below: bool) -> str:
    return "<=" if below else ">"
