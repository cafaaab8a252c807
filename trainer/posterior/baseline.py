"""What explains sales without media: the columns that the posterior fits together with the media."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.model import ModelConfig
from trainer.engines.native.prepare import calendar_columns
from trainer.engines.native.records import Inputs
from trainer.posterior import kernel
from trainer.posterior.kernel import Floats

RHO = np.linspace(0, 0.95, 20)
"""The grid of the autocorrelation of what stays unexplained."""
KAPPA = np.geomspace(0.1, 30, 9)
"""The grid of how bendy the trend is: sd of a change of slope (per 52 weeks), over sd of the noise."""

_MOST_LEVELS = 10
"""Levels of a factor with a coefficient of their own, the most frequent ones."""
_DEPENDENT = 1e-9
"""A column whose length shrinks below this share beside the others follows from them."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """Columns over all N rows of the data; those with a flat prior, and the trend's changes of slope."""

    names: tuple[str, ...]
    """(d,) of the columns with a flat prior."""
    columns: Floats
    """(N, d)."""
    bends: Floats
    """(N, k) years since a knot, 0 before it."""
    left_out: tuple[str, ...]
    """Columns that are constant or follow from others in the window, so that nothing is told about them."""


def build(data: pd.DataFrame, config: ModelConfig, inputs: Inputs) -> Baseline:
    """The baseline of `inputs`; constant and dependent columns of the window are left out and named.

    Flat priors: level, trend, Fourier pairs of year and month, weekdays, Prophet's holidays, context columns,
    and a column per level of a factor but the last one.
    """
    days = inputs.dates, inputs.interval, inputs.first, inputs.stop
    components = config.prophet.components
    found = {"level": np.ones(len(inputs.dates)), **dict(calendar_columns.calendar(*days, components))}
    if "holiday" in components:
        found["holiday"] = inputs.values[:, inputs.columns.index("holiday")]
    found |= {variable.name: data[variable.name].to_numpy(dtype=float) for variable in config.columns.context}
    for factor in config.columns.factors:
        found |= dict(_levels(factor.name, data[factor.name]))
    columns = np.column_stack(list(found.values()))
    columns = columns / np.where(columns.std(axis=0) > 0, columns.std(axis=0), 1.0)
    kept = _independent(columns[inputs.window])
    names = np.array(list(found))
    return Baseline(
        names=tuple(names[kept]),
        columns=columns[:, kept],
        bends=calendar_columns.bends(*days) if "trend" in components else np.empty((len(columns), 0)),
        left_out=tuple(names[~kept]),
    )


def _levels(name: str, values: pd.Series[str]) -> Iterator[tuple[str, Floats]]:
    """A column per level but the last one; levels beyond the ten most frequent are one."""
    values = values.astype(str).reset_index(drop=True)
    frequent = values.value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
    values = values.where(values.isin(frequent.index[:_MOST_LEVELS]), "OTHER")
    for level in sorted(values.unique())[:-1]:
        yield f"{name}: {level}", (values == level).to_numpy(dtype=float)


def later_bends(inputs: Inputs, stop: int) -> Floats:
    """(stop, k) like the bends of a baseline, for the knots that follow its own up to row `stop`."""
    return calendar_columns.later_bends(inputs.dates, inputs.interval, inputs.first, inputs.stop, stop)


def _independent(columns: Floats) -> NDArray[np.bool_]:
    """Which columns do not follow from those before them."""
    norms = np.zeros(columns.shape[1])
    kernel.orthonormal(np.ascontiguousarray(columns), _DEPENDENT, np.zeros(columns.shape), norms)
    independent: NDArray[np.bool_] = norms > 0
    return independent


@dataclass(frozen=True, eq=False)
class Whitened:
    """A baseline over the window, orthonormal for every rho; R positions of rho, K of kappa."""

    columns: Floats
    """(R, n, d + k) the flat columns, then the directions of the trend."""
    eigenvalues: Floats
    """(R, k)."""
    kappa: Floats
    """(K,)."""
    log_weight: Floats
    """(R, K) logarithm of the weight of a position before the data are seen."""


def whiten(columns: Floats, bends: Floats) -> Whitened:
    """`columns` (n, d) and `bends` (n, k) of the window, which must be independent.

    With M = QQᵀ of the flat columns and UΛUᵀ the bends outside of it, κ only scales the directions U: QR
    decompositions are needed for every ρ, not for every (ρ, κ).
    """
    kappa = KAPPA if bends.shape[1] else np.zeros(1)
    parts = [_whitened(columns, bends, rho) for rho in RHO]
    eigenvalues = np.array([values for _, values, _ in parts])
    volume = np.array([log_volume for _, _, log_volume in parts])
    bending = np.log1p(kappa**2 * eigenvalues[:, :, None]).sum(axis=1)
    start = 0.5 * np.log(1 - RHO**2)
    return Whitened(
        columns=np.array([both for both, _, _ in parts]),
        eigenvalues=eigenvalues,
        kappa=kappa,
        log_weight=(start - volume)[:, None] - 0.5 * bending,
    )


def _whitened(columns: Floats, bends: Floats, rho: float) -> tuple[Floats, Floats, float]:
    """Orthonormal columns and directions, the directions' eigenvalues, and the log volume of the columns."""
    flat, norms = np.zeros(columns.shape), np.zeros(columns.shape[1])
    kernel.orthonormal(whitened(columns, rho), 0.0, flat, norms)
    outside = whitened(bends, rho)
    for _ in range(2):  # einsum, not @: the order of summation does not depend on the number of cores
        outside = outside - np.einsum("td,dk->tk", flat, np.einsum("td,tk->dk", flat, outside))
    values, vectors = np.linalg.eigh(np.einsum("ti,tj->ij", outside, outside))
    values = np.maximum(values, 0.0)
    directions = np.einsum("ti,ik->tk", outside, vectors)
    directions = directions / np.sqrt(np.where(values > 0, values, 1.0))
    volume = float(np.log(norms).sum())
    return np.ascontiguousarray(np.column_stack([flat, directions])), values, volume


def whitened(columns: Floats, rho: float) -> Floats:
    """Columns (n, j) of an AR(1) series with `rho`, made independent and of equal variance."""
    first = columns[:1] * np.sqrt(1 - rho**2)
    return np.ascontiguousarray(np.vstack([first, columns[1:] - rho * columns[:-1]]))
