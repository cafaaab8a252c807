"""What a posterior forecasts of the periods after its window, from what was spent in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.posterior import baseline
from trainer.posterior.kernel import Floats
from trainer.posterior.model import Model
from trainer.posterior.result import Posterior


def forecast(found: Posterior, stop: int, draws: NDArray[np.int64], random: np.random.Generator) -> Floats:
    """(draws, h) sales of the h rows from the window's end to `stop`, a row of the data; noise included.

    Media, context and factors are those of the data. Coefficients of the baseline are drawn given each draw,
    the trend may bend on as it did, and the noise goes on from the last residual.
    """
    inputs = found.model.inputs
    earned = np.sum(
        [found.response(i, one.series[:stop], draws) for i, one in enumerate(found.channels)], axis=0
    )
    ahead = _Ahead(found.model, stop)
    rest = inputs.dependent[:stop] - earned
    paths = [
        ahead.path(rest[k, inputs.window], found.rho[s], found.kappa[s], found.sigma[s], random)
        for k, s in enumerate(draws)
    ]
    forecasts: Floats = earned[:, inputs.stop :] + np.array(paths)
    return forecasts


def without_media(model: Model, stop: int) -> Floats:
    """(h,) the same of the model's baseline alone: its mean where its noise and trend are most probable."""
    inputs, problem = model.inputs, model.problem
    window = inputs.dependent[inputs.window]
    rows, flat = len(window), problem.baseline
    best, at = -np.inf, (0.0, 0.0)
    for r, rho in enumerate(problem.rho):
        series = baseline.whitened(window[:, None], rho)[:, 0]
        inside = (series @ problem.columns[r]) ** 2
        for k, kappa in enumerate(problem.kappa):
            bendy = kappa**2 * problem.eigenvalues[r]
            left = series @ series - inside[:flat].sum() - (inside[flat:] * bendy / (1 + bendy)).sum()
            score = problem.log_weight[r, k] - 0.5 * (rows - flat) * np.log(left)
            if score > best:
                best, at = float(score), (float(rho), float(kappa))
    return _Ahead(model, stop).path(window, *at, 0.0, np.random.default_rng(0))


class _Ahead:
    """The baseline of a model, and how it goes on after the window."""

    def __init__(self, model: Model, stop: int) -> None:
        inputs, found = model.inputs, model.baseline
        self.window, self.later = inputs.window, slice(inputs.stop, stop)
        self.columns, self.bends = found.columns, found.bends
        self.turns = baseline.later_bends(inputs, stop) if found.bends.shape[1] else np.empty((stop, 0))

    def path(
        self, rest: Floats, rho: float, kappa: float, sigma: float, random: np.random.Generator
    ) -> Floats:
        """(h,) what goes on from `rest` (n,), sales without media; with `sigma` 0 its mean."""
        columns = np.column_stack([self.columns, self.bends])
        found = self._coefficients(rest, columns[self.window], rho, kappa, sigma, random)
        error = float(rest[-1] - columns[self.window][-1] @ found)
        turned = random.normal(0, 1, self.turns.shape[1]) * kappa * sigma
        path = columns[self.later] @ found + self.turns[self.later] @ turned
        for h in range(len(path)):
            error = rho * error + sigma * random.normal()
            path[h] += error
        return np.asarray(path)

    def _coefficients(
        self,
        rest: Floats,
        columns: Floats,
        rho: float,
        kappa: float,
        sigma: float,
        random: np.random.Generator,
    ) -> Floats:
        bends, flat = self.bends.shape[1], self.columns.shape[1]
        design, target = baseline.whitened(columns, rho), baseline.whitened(rest[:, None], rho)[:, 0]
        if bends:
            prior = np.hstack([np.zeros((bends, flat)), np.eye(bends) / kappa])
            design, target = np.vstack([design, prior]), np.concatenate([target, np.zeros(bends)])
        q, r = np.linalg.qr(design)
        drawn = q.T @ target + sigma * random.normal(0, 1, len(r))
        return np.asarray(np.linalg.solve(r, drawn))
