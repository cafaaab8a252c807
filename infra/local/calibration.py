"""Simulation-based calibration: worlds drawn from the prior, and where their truth ranks in the posterior.

Talts and others, Validating Bayesian inference algorithms with simulation-based calibration, 2018. Scale of
the priors, baseline and noise are fixed numbers that simulator and sampler know alike; all else is drawn. The
simulator's formulas are its own.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import weibull_min

from contracts.model import Adstock, ModelConfig
from contracts.posterior import PosteriorConfig
from trainer.posterior import baseline, kernel, model, sampling
from trainer.posterior.fit import prepared

Floats = NDArray[np.float64]

_LEVEL, _SIGMA, _EARNED = 1000.0, 25.0, 6000.0
_BURN = 12
"""Weeks before the window, whose spend carries over into it."""
_ON = 0.6
"""Probability that a channel spends in a week."""

KINDS: dict[str, tuple[int, dict[str, Any]]] = {
    "geometric": (120, {}),
    "geometric, two lift studies, one of a single week": (60, {"studies": True}),
    "Weibull CDF": (30, {"adstock": "weibull_cdf"}),
    "Weibull PDF": (30, {"adstock": "weibull_pdf"}),
    "geometric, two of the three channels the same column": (40, {"alike": True}),
}
"""How many worlds of which kind `python -m infra.local.calibration` draws."""


@dataclass(frozen=True)
class Drawn:
    """A world that is drawn from the prior."""

    truth: Floats
    """(m,) contribution of each channel over the window."""
    problem: kernel.Problem
    """What the sampler is given of it; the noise is fixed."""
    scale: float
    """What the sampler divides the dependent variable by."""


def world(
    seed: int,
    *,
    rows: int = 104,
    media: int = 3,
    adstock: Adstock = "geometric",
    studies: bool = False,
    alike: bool = False,
) -> Drawn:
    """`rows` weeks, of which the first 12 are before the window, and `media` channels of random spend.

    `alike`: the first two are the same column.
    """
    random = np.random.default_rng(seed)
    names = [f"channel_{i}" for i in range(media)]
    dates = pd.date_range("2023-01-02", periods=rows, freq="W-MON")
    spends = random.lognormal(0, 0.7, (rows, media)) * (random.uniform(size=(rows, media)) < _ON) * 100
    if alike:
        spends[:, 1] = spends[:, 0]
    data = pd.DataFrame({"date": dates, "sales": np.full(rows, _LEVEL) + random.normal(size=rows)})
    data[names] = spends
    config = ModelConfig.model_validate(
        {
            "columns": {
                "date": "date",
                "dependent": "sales",
                "dependent_type": "revenue",
                "paid_media": names,
            },
            "window": {"start": str(dates[_BURN].date())},
            "adstock": adstock,
        }
    )
    inputs = prepared(data, config)
    found = model.build(data, config, inputs, PosteriorConfig())
    priors = tuple(model.Prior(kernel.HALF_CAUCHY, _EARNED) for _ in names)
    delayed = (random.uniform(size=media) < found.problem.delayed).astype(int)
    low, width = (values[delayed, np.arange(media)] for values in (found.problem.low, found.problem.width))
    eta = low + width * random.uniform(size=low.shape)
    families: list[Adstock] = ["weibull_pdf" if late else adstock for late in delayed]
    truth = _EARNED * np.abs(np.tan(np.pi * (random.uniform(size=media) - 0.5)))
    effects = np.array([_effect(families[i], spends[:, i], eta[i], _BURN) for i in range(media)])
    sales = _baseline(found, random) + truth @ effects
    tested = _studies(effects, truth, random) if studies else ()
    dependent = inputs.dependent.copy()
    dependent[inputs.window] = sales
    drawn = replace(inputs, dependent=dependent)
    problem = model.assemble(drawn, found.channels, priors, found.baseline, tested, sigma=_SIGMA)
    return Drawn(truth, problem, float(sales.mean()))


def rank(drawn: Drawn, seed: int, draws: int = 99) -> NDArray[np.int64] | None:
    """(m,) how many of `draws` draws are below the truth: 0 to `draws`, all equally likely.

    None if the chains do not agree: then a job has no posterior.
    """
    samples = sampling.sample(drawn.problem, seed)
    if not samples.converged:
        return None
    found = samples.draws[..., 0]
    flat = found.reshape(-1, found.shape[2]) * drawn.scale
    kept = flat[np.linspace(0, len(flat) - 1, draws).round().astype(int)]
    below: NDArray[np.int64] = (kept < drawn.truth).sum(axis=0)
    return below


def _effect(adstock: Adstock, spend: Floats, eta: Floats, before: int) -> Floats:
    """(n,) share of a channel's contribution in each row of the window."""
    lags = np.arange(len(spend))
    if adstock == "geometric":
        weights = eta[2] ** lags
    else:
        distribution = weibull_min(eta[2], scale=np.rint(1 + (len(lags) - 1) * eta[3]))
        if adstock == "weibull_cdf":
            weights = np.cumprod(np.concatenate([[1.0], distribution.sf(lags[1:])]))
        else:
            density = distribution.pdf(lags + 1)
            weights = (density - density.min()) / np.ptp(density)
    carried = np.convolve(spend, weights)[before : len(spend)]
    saturated = carried ** eta[0] / (carried ** eta[0] + (eta[1] * carried.max()) ** eta[0])
    share: Floats = saturated / saturated.sum()
    return share


def _baseline(found: model.Model, random: np.random.Generator) -> Floats:
    """(n,) level, season, a trend that bends as the prior has it, and autocorrelated noise."""
    window = found.inputs.window
    columns, bends = found.baseline.columns[window], found.baseline.bends[window]
    kappa, rho = random.choice(baseline.KAPPA), random.choice(baseline.RHO)
    noise = random.normal(0, _SIGMA, len(columns))
    noise[0] /= np.sqrt(1 - rho**2)
    for t in range(1, len(noise)):
        noise[t] += rho * noise[t - 1]
    flat = columns @ np.where(np.arange(columns.shape[1]) == 0, _LEVEL, 30.0)
    sales: Floats = flat + bends @ random.normal(0, kappa * _SIGMA, bends.shape[1]) + noise
    return sales


def _studies(effects: Floats, truth: Floats, random: np.random.Generator) -> tuple[model.Study, ...]:
    """One of the first channel over ten weeks, and one of the first two over a single week."""
    found = []
    for channels, first, weeks in ((1, 20, 10), (2, 50, 1)):
        weight = np.zeros(effects.shape[1])
        weight[first : first + weeks] = 1.0
        true = float(truth[:channels] @ (effects[:channels] @ weight))
        error = 0.15 * _EARNED * weeks / effects.shape[1]
        names = tuple(f"channel_{i}" for i in range(channels))
        found.append(model.Study(names, False, true + random.normal(0, error), error, weight))
    return tuple(found)


def main() -> int:
    """Print how many 50 %, 80 % and 90 % intervals hold the truth, per kind of world."""
    print("worlds, ranks: held by the intervals of 50 %, 80 %, 90 %")
    for name, (worlds, kind) in KINDS.items():
        found = [rank(world(seed, **kind), seed) for seed in range(1000, 1000 + worlds)]
        ranks = np.concatenate([one for one in found if one is not None])
        apart = sum(one is None for one in found)
        held = ((np.abs(ranks - 49.5) <= 50 * share).mean() for share in (0.5, 0.8, 0.9))
        told = ", ".join(f"{one:.0%}" for one in held)
        print(f"{worlds} {name}, {len(ranks)}: {told}; chains of {apart} worlds do not agree", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
