"""What the posterior answers: joint draws, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.model import HYPERPARAMETERS
from contracts.posterior import PosteriorConfig
from trainer.posterior import baseline, kernel, sampling
from trainer.posterior.kernel import Floats
from trainer.posterior.model import Channel, Model

_YEAR = {"day": 364, "week": 52, "month": 12}
_LAG = 2
"""Place of the first hyperparameter of adstock."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False)
class Region:
    """What the posterior says of one region."""

    name: str
    found: Posterior


@dataclass(frozen=True, eq=False)
class Posterior:
    """S joint draws of everything unknown; m channels, n periods of the window, N of the data."""

    model: Model
    settings: PosteriorConfig
    seed: int
    contribution: Floats
    """(S, m) of each channel over the window, in units of the dependent variable."""
    hyperparameters: Floats
    """(S, m, 5) alpha, gamma, theta and 0 | shape and scale, and the adstock family as in `engine.FAMILY`."""
    sigma: Floats
    """(S,) sd of the noise, in units of the dependent variable."""
    rho: Floats
    """(S,) autocorrelation of the noise."""
    kappa: Floats
    """(S,) sd of the trend's changes of slope, over sigma; 0 without trend."""
    sweeps: int
    """Of each chain."""
    r_hat: Floats
    """(m,) split-R̂ of the logarithm of each contribution."""
    ess: Floats
    """(m,) effective number of draws of it."""
    least_ess: float = sampling.ESS
    """Effective draws that a channel must have."""
    regions: tuple[Region, ...] = ()
    """Of data by region: what is said of each; everything here is their sum, draw by draw."""
    spread: Floats | None = None
    """(S, m) of data by region: sd of a channel's log ROAS between regions."""
    without_regions: str = ""
    """Why data by region have only a posterior of their totals."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """(m,) paid before organic."""
        return self.model.channels

    @property
    def paid(self) -> tuple[Channel, ...]:
        """The paid channels."""
        return tuple(channel for channel in self.channels if channel.paid)

    @property
    def agreed(self) -> NDArray[np.bool_]:
        """(m,) whether the chains agree on a channel."""
        return (self.r_hat < sampling.R_HAT) & (self.ess >= self.least_ess)

    @property
    def converged(self) -> bool:
        """Whether the chains agree on every channel."""
        return bool(self.agreed.all())

    @cached_property
    def roas(self) -> Floats:
        """(S, paid) contribution over spend of the window, units of the dependent variable per currency."""
        spends: Floats = np.array([channel.spend for channel in self.paid])
        roas: Floats = self.contribution[:, : len(spends)] / spends
        return roas

    def metric(self, channel: int) -> Floats:
        """(S,) ROAS, for conversions CPA; of an organic channel its contribution."""
        return self._metric(channel, self.contribution[:, channel])

    def prior_metric(self, channel: int, share: float) -> float:
        """The value of `metric` below which its prior has this share."""
        prior = self.model.priors[channel]
        share = 1 - share if self.channels[channel].paid and not self._revenue else share
        return float(self._metric(channel, np.array(prior.quantile(share))))

    def _metric(self, channel: int, contribution: Floats) -> Floats:
        spend = self.channels[channel].spend
        if not self.channels[channel].paid:
            return contribution
        return contribution / spend if self._revenue else spend / contribution

    @property
    def is_delayed(self) -> NDArray[np.bool_]:
        """(S, m) whether the effect of a channel is delayed, though geometric adstock was asked for."""
        delayed: NDArray[np.bool_] = self.hyperparameters[:, :, 4] != self.model.problem.family
        return delayed

    @property
    def _revenue(self) -> bool:
        return self.model.inputs.dependent_type == "revenue"

    @property
    def baseline_share(self) -> Floats:
        """(S,) share of the dependent variable that no channel earned."""
        share: Floats = 1 - self.contribution.sum(axis=1) / self.model.total
        return share

    @cached_property
    def better(self) -> Floats:
        """(paid, paid) probability that the channel of the row has a higher ROAS than that of the column."""
        return np.array([(self.roas[:, [i]] > self.roas).mean(axis=0) for i in range(self.roas.shape[1])])

    @cached_property
    def learned(self) -> Floats:
        """(m,) 1 − width of the posterior / width of the prior, both 90 % and logarithmic; 0: nothing."""
        low, high = np.log(np.quantile(self.contribution, (0.05, 0.95), axis=0))
        priors = self.model.priors
        before = np.array([np.log(prior.quantile(0.95) / prior.quantile(0.05)) for prior in priors])
        return np.asarray(1 - (high - low) / before)

    @cached_property
    def most_worth_a_study(self) -> Channel:
        """The paid channel with the most money in doubt: spend × logarithmic width of its 90 % interval."""
        low, high = np.log(np.quantile(self.roas, (0.05, 0.95), axis=0))
        doubt = [channel.spend * width for channel, width in zip(self.paid, high - low, strict=True)]
        return self.paid[int(np.argmax(doubt))]

    def table(self) -> pd.DataFrame:
        """A row per draw: `<channel>_contribution`, `<modelled>_<kind>`, noise and baseline.

        Of a channel whose effect may be delayed, thetas are empty where it is, shapes and scales where not.
        """
        found = {f"{c.name}_contribution": self.contribution[:, i] for i, c in enumerate(self.channels)}
        asked = HYPERPARAMETERS[self.model.inputs.adstock]
        for i, channel in enumerate(self.channels):
            delayed, values = self.is_delayed[:, i], self.hyperparameters[:, i]
            for k, kind in enumerate(asked):
                lost = delayed & (k >= _LAG)
                found[f"{channel.modelled}_{kind}"] = np.where(lost, np.nan, values[:, k])
            for k, kind in enumerate(HYPERPARAMETERS["weibull_pdf"][_LAG:] if channel.delayed else ()):
                found[f"{channel.modelled}_{kind}"] = np.where(delayed, values[:, _LAG + k], np.nan)
        noise = {"sigma": self.sigma, "rho": self.rho, "kappa": self.kappa}
        return pd.DataFrame({**found, **noise, "baseline_share": self.baseline_share})

    def regions_table(self) -> pd.DataFrame:
        """Of data by region: the table of each, with its name and the number of the draw before it.

        A channel without media in a region is empty there.
        """
        parts = []
        for region in self.regions:
            part = region.found.table()
            part.insert(0, "region", region.name)
            part.insert(1, "draw", np.arange(len(part)))
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def some(self, count: int) -> NDArray[np.int64]:
        """Positions of `count` draws, evenly spread; all of them if there are no more."""
        return np.unique(np.linspace(0, len(self.sigma) - 1, count).round().astype(np.int64))

    def contributions(self, draws: NDArray[np.int64]) -> Floats:
        """(draws, m, n) contribution of each channel in each period of the window."""
        first, stop = self.model.inputs.first, self.model.inputs.stop
        series = [channel.series for channel in self.channels]
        found = [self.response(i, one, draws)[:, first:stop] for i, one in enumerate(series)]
        return np.stack(found, axis=1)

    def response(self, channel: int, series: Floats, draws: NDArray[np.int64]) -> Floats:
        """(draws, T) what a channel earns in each period if `series` (T,) is its modelled column.

        `series` begins with the data's first period and may be longer or shorter than the data; adstock and
        inflexion are those of training. In units of the dependent variable per period.
        """
        if self.regions:
            shares = zip(self._parts(channel), self._shares(channel, len(series)), strict=True)
            return _sum(one.response(i, series * share, draws) for (one, i), share in shares)
        largest = float(self.channels[channel].series.max())
        out = np.empty((len(draws), len(series)))
        eta = np.ascontiguousarray(self.hyperparameters[draws, channel])
        kernel.respond(
            self.model.problem, channel, eta, self.contribution[draws, channel], series / largest, out
        )
        return out

    @property
    def every(self) -> NDArray[np.int64]:
        """Positions of all draws."""
        return np.arange(len(self.sigma))

    def earned(
        self, channel: int, before: Floats, asked: Floats, factors: Floats, draws: NDArray[np.int64]
    ) -> Floats:
        """(draws, F, 2) what a channel earns if `asked` (P,) times a factor (F,) follows `before`.

        Both are its modelled column; `before` begins with the data's first period. The first is earned in the
        P periods, what `before` carries into them included, the second after them, without further media,
        from `asked` alone. Adstock and inflexion are those of training. In units of the dependent variable.
        Of data by region each region is asked, not their sum.
        """
        largest = float(self.channels[channel].series.max())
        out = np.empty((len(draws), len(factors), 2))
        eta = np.ascontiguousarray(self.hyperparameters[draws, channel])
        scaled = before / largest, asked / largest
        kernel.earn(self.model.problem, eta, self._trained[channel][draws], *scaled, factors, out)
        return out

    @cached_property
    def _trained(self) -> Floats:
        """(m, S, 2) inflexion, and what is earned per period at saturation."""
        out = np.empty((len(self.channels), len(self.sigma), 2))
        for i, one in enumerate(out):
            eta = np.ascontiguousarray(self.hyperparameters[:, i])
            kernel.train(self.model.problem, i, eta, self.contribution[:, i].copy(), one)
        return out

    def _parts(self, channel: int) -> list[tuple[Posterior, int]]:
        """The regions that have a channel, and its place in each."""
        name, found = self.channels[channel].name, []
        for region in self.regions:
            names = [one.name for one in region.found.channels]
            if name in names:
                found.append((region.found, names.index(name)))
        return found

    def _shares(self, channel: int, stop: int) -> list[Floats]:
        """(stop,) of each region that has the channel: its share of the country's series in each row.

        Where the country has none, and after the data, that of the last year with media.
        """
        series = np.array([one.channels[i].series for one, i in self._parts(channel)])
        whole = series.sum(axis=0)
        last = int(np.flatnonzero(whole)[-1]) + 1
        year = slice(max(last - _YEAR[self.model.inputs.interval], 0), last)
        usual = series[:, year].sum(axis=1) / whole[year].sum()
        shares = np.repeat(usual[:, None], max(stop, series.shape[1]), axis=1)
        some = np.flatnonzero(whole > 0)
        shares[:, some] = series[:, some] / whole[some]
        return list(shares[:, :stop])

    def baseline(self, draws: NDArray[np.int64]) -> Floats:
        """(draws, N) what would be sold without media in each period of the data: its mean, given a draw.

        Beyond the window the trend goes on straight.
        """
        if self.regions:
            return _sum(region.found.baseline(draws) for region in self.regions)
        found, inputs = self.model.baseline, self.model.inputs
        columns = np.column_stack([found.columns, found.bends])
        rest = inputs.dependent[inputs.window] - self.contributions(draws).sum(axis=1)
        return np.array([columns @ self._coefficients(one, r) for one, r in zip(draws, rest, strict=True)])

    def _coefficients(self, draw: int, rest: Floats) -> Floats:
        """(d + k,) of the baseline's columns that explain `rest` (n,), given a draw's rho and kappa."""
        window, found, rho = self.model.inputs.window, self.model.baseline, self.rho[draw]
        bends = found.bends.shape[1]
        columns = baseline.whitened(np.column_stack([found.columns, found.bends])[window], rho)
        target = baseline.whitened(rest[:, None], rho)[:, 0]
        if bends:
            flat = found.columns.shape[1]
            prior = np.hstack([np.zeros((bends, flat)), np.eye(bends) / self.kappa[draw]])
            columns, target = np.vstack([columns, prior]), np.concatenate([target, np.zeros(bends)])
        return np.asarray(np.linalg.lstsq(columns, target, rcond=None)[0])


def _sum(parts: Iterable[Floats]) -> Floats:
    return np.asarray(np.sum(list(parts), axis=0))


def read(model: Model, settings: PosteriorConfig, seed: int, samples: sampling.Samples) -> Posterior:
    """The posterior from its samples, thinned evenly over all chains."""
    (_, sweeps, media, _), chains = samples.draws.shape, len(samples.draws)
    count = min(settings.draws, chains * sweeps)
    kept = np.linspace(0, chains * sweeps - 1, count).round().astype(np.int64)
    draws = samples.draws.reshape(chains * sweeps, media, -1)[kept]
    noise = samples.noise.reshape(chains * sweeps, 3)[kept]
    return Posterior(
        model=model,
        settings=settings,
        seed=seed,
        contribution=draws[:, :, 0] * model.scale,
        hyperparameters=draws[:, :, 1:],
        sigma=noise[:, 0] * model.scale,
        rho=noise[:, 1],
        kappa=noise[:, 2],
        sweeps=samples.sweeps,
        r_hat=samples.r_hat,
        ess=samples.ess,
    )
