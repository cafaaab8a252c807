"""Which candidates are worth a look: quantiles, Pareto fronts, error score (Robyn 3.12.1, robyn_pareto)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainer.engines.common import Floats

MIN_CANDIDATES = 100
"""Fronts are added until they hold this many models (Robyn: min_candidates)."""

NEAR = 1.1
"""In a refresh, a model counts as near to the former one up to this many times the smallest distance."""

_CALIBRATION_QUANTILE = 0.1
"""Calibrated candidates must be within this quantile by MAPE (Robyn: calibration_constraint)."""
_QUANTILE = 0.9
"""Candidates must be within this quantile by NRMSE and by DECOMP.RSSD."""


@dataclass(frozen=True, eq=False)
class Selection:
    """The candidates, judged."""

    candidates: pd.DataFrame
    """The given table with the columns `mape.qt10`, `robynPareto` and `error_score`."""
    fronts: int
    """Number of fronts whose models are the Pareto solutions."""
    pareto: tuple[str, ...]
    """solIDs of the Pareto solutions, by front and NRMSE."""
    best: str
    """solID of the Pareto solution with the smallest `best_by`; of equals the first one proposed."""


def select(
    candidates: pd.DataFrame,
    *,
    calibrated: bool,
    min_candidates: int = MIN_CANDIDATES,
    best_by: str = "error_score",
    refresh: bool = False,
) -> Selection:
    """Judge candidates by `nrmse` and `decomp.rssd`; `mape` only filters, and counts in the error score.

    With fewer than `min_candidates` models in all fronts together, all of them are Pareto solutions. A
    model in which no paid channel has an effect is the best only if there is no other. In a `refresh`,
    where `decomp.rssd` is the distance to the former model, the best is the one with the smallest NRMSE
    among those near to it.
    """
    passed = _passes_quantiles(candidates, calibrated)
    front = np.full(len(candidates), np.nan)
    front[passed] = pareto_fronts(
        candidates[passed]["nrmse"].to_numpy(), candidates[passed]["decomp.rssd"].to_numpy()
    )
    judged = candidates.assign(
        **{"mape.qt10": passed, "robynPareto": front, "error_score": error_score(candidates)}
    )
    fronts = _number_of_fronts(front[passed], min_candidates)
    chosen = judged[judged["robynPareto"] <= fronts].sort_values(["robynPareto", "nrmse"], kind="stable")
    best = _best(chosen.sort_index(), "nrmse" if refresh else best_by, NEAR if refresh else np.inf)
    return Selection(judged, fronts, tuple(chosen["solID"]), best)


def _best(chosen: pd.DataFrame, by: str, near: float) -> str:
    """solID with the smallest `by` of those whose DECOMP.RSSD is at most `near` times the smallest one."""
    distance = chosen["decomp.rssd"]
    if np.isfinite(distance).any():  # infinite: no paid channel has an effect
        chosen = chosen[np.isfinite(distance) & (distance <= near * distance.min())]
    return str(chosen.loc[[chosen[by].idxmin()], "solID"].iloc[0])


def _passes_quantiles(candidates: pd.DataFrame, calibrated: bool) -> NDArray[np.bool_]:
    """Within the best tenth by MAPE if calibrated, and not in the worst tenth by NRMSE or DECOMP.RSSD.

    Where these leave no candidate, as they can if there are few, the best tenth by MAPE is enough; and where
    no candidate has a MAPE, all pass.
    """
    calibration = _within(candidates, "mape", _CALIBRATION_QUANTILE) if calibrated else True
    errors = _within(candidates, "nrmse", _QUANTILE) & _within(candidates, "decomp.rssd", _QUANTILE)
    everyone = np.ones(len(candidates), dtype=bool)
    return next(passed for passed in (errors & calibration, everyone & calibration, everyone) if passed.any())


def _within(candidates: pd.DataFrame, name: str, share: float) -> NDArray[np.bool_]:
    """Whether a candidate is within the quantile; never without a value."""
    values = candidates[name].to_numpy()
    within: NDArray[np.bool_] = values <= _quantile(values, share)
    return within


def _quantile(values: Floats, share: float) -> float:
    """R's type 7 of the values that are there, also where some are infinite; NaN if there are none."""
    ordered = np.sort(values[~np.isnan(values)])
    if not len(ordered):
        return np.nan
    position = (len(ordered) - 1) * share
    low = int(np.floor(position))
    if position == low or ordered[low] == ordered[low + 1]:
        return float(ordered[low])
    return float(ordered[low] + (position - low) * (ordered[low + 1] - ordered[low]))


def pareto_fronts(nrmse: Floats, rssd: Floats) -> NDArray[np.int64]:
    """The front of every model, from 1; models equal in both errors share the smaller one (§12)."""
    front = np.zeros(len(nrmse), dtype=np.int64)
    left = np.lexsort((rssd, nrmse))
    number = 0
    while len(left):
        number += 1
        errors = rssd[left]
        lowest_before = np.minimum.accumulate(np.concatenate(([np.inf], errors[:-1])))
        on_front = errors < lowest_before
        on_front[0] = True
        front[left[on_front]] = number
        left = left[~on_front]
    pairs = pd.DataFrame({"nrmse": nrmse, "rssd": rssd, "front": front})
    return pairs.groupby(["nrmse", "rssd"])["front"].transform("min").to_numpy()


def _number_of_fronts(front: NDArray[np.int64], min_candidates: int) -> int:
    """The first front up to which there are `min_candidates` models, or the last front."""
    cumulative = np.bincount(front.astype(np.int64))[1:].cumsum()
    enough = np.flatnonzero(cumulative >= min_candidates)
    return int(enough[0]) + 1 if len(enough) else len(cumulative)


def error_score(candidates: pd.DataFrame) -> Floats:
    """Distance from the ideal after scaling each error to [0, 1] over the table; smaller is better.

    Uses the NRMSE of the test rows where there are any; infinite errors count as 1 before scaling (§12).
    """
    validated = candidates["nrmse_test"].notna().any()
    columns = ["nrmse_test" if validated else "nrmse_train", "decomp.rssd", "mape"]
    errors = candidates[columns].to_numpy(dtype=float)
    errors = np.where(np.isinf(errors), 1.0, errors)
    low, high = np.fmin.reduce(errors), np.fmax.reduce(errors)
    spread = high > low
    scaled = np.where(spread, (errors - low) / np.where(spread, high - low, 1.0), errors)
    score: Floats = np.sqrt((np.nan_to_num(scaled / len(columns), nan=0.0) ** 2).sum(axis=1))
    return score
