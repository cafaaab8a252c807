"""The posterior fitted again: without the last periods, to worlds drawn from it, with a channel too many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from contracts.model import ModelConfig
from contracts.trust import Backtest, ChannelStability, Placebo, Planted, RefitInterval, TellingPair
from trainer.posterior import model as modelling
from trainer.posterior.forecast import forecast, without_media
from trainer.posterior.kernel import Floats
from trainer.posterior.model import Model, NotOffered
from trainer.posterior.regions import ByRegion, posterior_by_region
from trainer.posterior.result import Posterior, read
from trainer.posterior.sampling import sample
from trainer.posterior.sentences import SURE

HORIZONS = {"week": (4, 8, 12), "day": (28, 56, 84), "month": (1, 2, 3)}
"""Periods that are left out."""
SWEEPS = 900
"""Of a refit's chains; medians and 90 % of short chains are good enough to compare."""
WORLDS = 16
"""Worlds that are drawn from the posterior and fitted."""
SEPARATE = 1.5
"""Ratio of two channels' ROAS from which on they count as different."""
_DRAWS = 200
"""Draws of a forecast."""
_YEAR = {"week": 52, "day": 364, "month": 12}
_NINETY_WIDTH = 3.29
"""Width of a normal distribution's 90 % interval, in standard deviations."""


def backtests(
    found: Posterior, data: pd.DataFrame, config: ModelConfig, cores: int, regions: ByRegion | None = None
) -> tuple[list[Backtest], list[ChannelStability], list[str]]:
    """Forecasts of the last periods, how far each channel moves without them, and what could not be tried.

    With `regions`, of which `found` is the posterior, they are refitted; `data` are their totals.
    """
    tried, refits, notes = [], {}, []
    for periods in HORIZONS[found.model.inputs.interval]:
        try:
            refit = _without_last(found, periods, data, config, cores, regions)
        except NotOffered as reason:
            notes.append(f"backtest of {periods} periods: {reason}")
            continue
        refits[periods] = refit
        tried.append(_backtest(found, refit, periods))
    return tried, [_stability(found, i, refits) for i in range(len(found.paid))] if refits else [], notes


def _without_last(
    found: Posterior,
    periods: int,
    data: pd.DataFrame,
    config: ModelConfig,
    cores: int,
    regions: ByRegion | None = None,
) -> Posterior:
    """The posterior without the last periods of the window, and without studies that reach into them."""
    inputs = found.model.inputs
    shorter = replace(inputs, stop=inputs.stop - periods)
    first_left_out = inputs.dates[shorter.stop]
    config = regions.asked(config) if regions else config
    studies = [study for study in config.calibration if np.datetime64(study.end) < first_left_out]
    asked = config.model_copy(update={"calibration": studies})
    if shorter.stop - shorter.first < 2 * periods:
        raise NotOffered("too few periods are left")
    if regions:
        return posterior_by_region(
            regions.table,
            data,
            asked.model_copy(update={"posterior": found.settings}),
            column=regions.column,
            inputs=shorter,
            cores=cores,
            sweeps=SWEEPS,
            longest=1,
        )
    return _fit(modelling.build(data, asked, shorter, found.settings), found, cores)


def _fit(model: Model, found: Posterior, cores: int, seed: int = 0) -> Posterior:
    samples = sample(model.problem, found.seed + seed, cores=cores, sweeps=SWEEPS, longest=1)
    return read(model, found.settings, found.seed, samples)


def _backtest(found: Posterior, refit: Posterior, periods: int) -> Backtest:
    inputs = found.model.inputs
    rows = slice(inputs.stop - periods, inputs.stop)
    actual = inputs.dependent[rows]
    random = np.random.default_rng([found.seed, periods])
    parts = [region.found for region in refit.regions] or [refit]
    drawn = np.sum([forecast(part, inputs.stop, refit.some(_DRAWS), random) for part in parts], axis=0)
    low, middle, high = np.quantile(drawn, (0.05, 0.5, 0.95), axis=0)
    level = float(np.abs(actual).mean())

    def error(told: Floats) -> float:
        return float(np.abs(told - actual).mean() / level)

    year = _YEAR[inputs.interval]
    before = inputs.dependent[rows.start - year : rows.stop - year] if rows.start >= year else None
    return Backtest(
        periods=periods,
        start=inputs.dates[rows.start].item(),
        error=error(middle),
        covered=float(((low <= actual) & (actual <= high)).mean()),
        error_year_before=None if before is None else error(before),
        error_without_media=error(without_media(refit.model, inputs.stop)),
        low=low.tolist(),
        middle=middle.tolist(),
        high=high.tolist(),
    )


def _interval(found: Posterior, name: str, periods: int) -> RefitInterval | None:
    names = [channel.name for channel in found.paid]
    if name not in names:
        return None
    q05, q50, q95 = np.quantile(found.metric(names.index(name)), (0.05, 0.5, 0.95))
    return RefitInterval(periods=periods, q05=float(q05), q50=float(q50), q95=float(q95))


def _stability(found: Posterior, i: int, refits: dict[int, Posterior]) -> ChannelStability:
    name = found.paid[i].name
    today = _interval(found, name, 0)
    assert today  # noqa: S101 (the channel is one of found's)
    told = [one for periods, refit in refits.items() if (one := _interval(refit, name, periods))]
    sd = np.log(today.q95 / today.q05) / _NINETY_WIDTH
    moved = [abs(float(np.log(one.q50 / today.q50))) / sd for one in told]
    return ChannelStability(name=name, today=today, refits=told, moved=max(moved, default=0.0))


def planted(found: Posterior, cores: int, worlds: int = WORLDS) -> Planted:
    """Worlds whose truth is a draw of the posterior each, on the same spends, and a posterior of each."""
    draws = found.some(worlds + 2)[1:-1]
    paid = len(found.paid)
    true = found.roas[draws]
    fitted = [_fit(model, found, cores, 1 + k) for k, model in enumerate(_drawn(found, draws))]
    roas = np.array([np.quantile(one.roas, (0.05, 0.5, 0.95), axis=0) for one in fitted])
    better = np.array([one.better for one in fitted])
    return Planted(
        worlds=len(draws),
        holds=float(((roas[:, 0] <= true) & (true <= roas[:, 2])).mean()),
        error=float(np.median(np.abs(roas[:, 1] / true - 1))),
        pairs=[_pair(found, i, j, true, better) for i, j in combinations(range(paid), 2)],
    )


def _drawn(found: Posterior, draws: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[Model]:
    """The model with sales drawn anew, one of each draw."""
    model, inputs = found.model, found.model.inputs
    means = found.baseline(draws)[:, inputs.window] + found.contributions(draws).sum(axis=1)
    random = np.random.default_rng([found.seed, len(draws)])
    for k, draw in enumerate(draws):
        noise = random.normal(0, found.sigma[draw], means.shape[1])
        rho = found.rho[draw]
        noise[0] /= np.sqrt(1 - rho**2)
        for t in range(1, len(noise)):
            noise[t] += rho * noise[t - 1]
        dependent = inputs.dependent.copy()
        dependent[inputs.window] = means[k] + noise
        yield _assembled(replace(model, inputs=replace(inputs, dependent=dependent), studies=()))


def _assembled(model: Model) -> Model:
    """A model with the sampler's arrays for what it holds now; scale is that of its sales."""
    problem = modelling.assemble(model.inputs, model.channels, model.priors, model.baseline, model.studies)
    scale = float(model.inputs.dependent[model.inputs.window].mean())
    return replace(model, problem=problem, scale=scale)


def _pair(found: Posterior, i: int, j: int, true: Floats, better: Floats) -> TellingPair:
    ratio = true[:, i] / true[:, j]
    apart = np.maximum(ratio, 1 / ratio) >= SEPARATE
    first, second = better[:, i, j] >= SURE, better[:, j, i] >= SURE
    right = np.where(ratio > 1, first, second)
    return TellingPair(
        first=found.paid[i].name,
        second=found.paid[j].name,
        worlds=int(apart.sum()),
        told=int((apart & right).sum()),
        wrong=int(((first | second) & ~right).sum()),
    )


def placebos(found: Posterior, cores: int) -> list[Placebo]:
    """What each paid channel's series gets if it is shifted in time and fitted as an extra channel."""
    return [_placebo(found, i, cores) for i in range(len(found.paid))]


def _placebo(found: Posterior, i: int, cores: int) -> Placebo:
    model, channel = found.model, found.paid[i]
    rows = model.inputs.stop - model.inputs.first
    shift = int(np.random.default_rng([found.seed, i]).integers(rows // 4, rows - rows // 4))
    series = channel.series.copy()
    series[model.inputs.window] = np.roll(series[model.inputs.window], shift)
    extra = replace(channel, name=f"{channel.name}, shifted", paid=False, spend=0.0, series=series)
    paid = len(found.paid)
    wider = replace(
        model,
        channels=(*model.channels[:paid], extra, *model.channels[paid:]),
        priors=(*model.priors[:paid], model.priors[i], *model.priors[paid:]),
    )
    refit = _fit(_assembled(wider), found, cores, 100 + i)
    given = float(np.median(refit.contribution[:, paid]))
    real = float(np.median(found.contribution[:, i]))
    return Placebo(name=channel.name, shift=shift, credit=given / real)
