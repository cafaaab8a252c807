"""Generated worlds of other kinds than the demo data: what a model of the usual form does not expect."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from infra.local.demo_data import CHANNELS, ORGANIC, Channel, DemoData, Floats, generate

_LAGS = 13
"""Weeks that a delayed effect lasts."""
_SHOCK_LEVEL = 80_000.0
"""Height of the baseline's jump, in currency."""


@dataclass(frozen=True)
class Kind:
    """What differs from the base worlds, whose ROAS are from 0.5 to 4 and whose noise has an sd of 18,000."""

    noise: float = 18_000.0
    """Standard deviation of the noise, EUR of sales per week."""
    rho: float = 0.0
    """Its autocorrelation."""
    delayed: bool = False
    """Adstock has a peak after the week of the spend (Weibull PDF), and 13 lags."""
    demand: bool = False
    """Spend follows the season and a demand that nobody recorded, which moves sales too."""
    together: bool = False
    """Channels are always on, and move together."""
    trendy: bool = False
    """The trend wanders and jumps once, the season is sharper, Christmas is beside the model."""
    roas: tuple[float, float] = (0.5, 4.0)
    weeks: int = 208


KINDS: dict[str, Kind] = {
    "base": Kind(),
    "noisy": Kind(noise=60_000),
    "ar": Kind(noise=30_000, rho=0.7),
    "weibull": Kind(delayed=True),
    "demand": Kind(demand=True),
    "on": Kind(together=True),
    "trendy": Kind(trendy=True),
    "wide": Kind(roas=(0.05, 8.0)),
    "short": Kind(weeks=104),
    "hard": Kind(noise=40_000, rho=0.6, delayed=True, together=True, trendy=True),
}


def world(kind: Kind, seed: int) -> DemoData:
    """A data set of this kind, another one for every seed; equal for equal arguments."""
    random = np.random.default_rng([seed, 12])
    channels = tuple(_drawn(channel, kind, random) for channel in CHANNELS)
    base = generate(seed, kind.weeks, channels=channels)
    table, parts = base.table.copy(), base.components.copy()
    parts["noise"] = _autocorrelated(kind.weeks, kind.noise, kind.rho, random)
    if kind.trendy:
        parts["trend"] += _wandering(kind.weeks, random)
        parts["season"] += _sharp_season(table["date"])
    demand = _autocorrelated(kind.weeks, 30_000, 0.8, random) if kind.demand else np.zeros(kind.weeks)
    parts["demand"] = demand
    season = parts["season"].to_numpy() / parts["season"].std()
    common = random.normal(0, 0.25, kind.weeks)
    for channel in channels:
        if channel is channels[-1]:
            continue
        spend = table[channel.name].to_numpy()
        if kind.together:
            spend = 0.5 * channel.level * np.exp(common + random.normal(0, 0.15, kind.weeks))
        if kind.demand:
            spend = spend * np.exp(0.25 * season + 0.4 * demand / 30_000)
        table[channel.name] = spend.round(2)
        if channel.exposure:
            price = channel.price * random.lognormal(0, 0.12, kind.weeks)
            table[channel.exposure] = (spend / price).round()
        driver = table[channel.exposure or channel.name].to_numpy(dtype=float)
        parts[channel.name] = _response(channel, driver, float(spend.sum()), kind, random)
    table["revenue"] = parts.sum(axis=1).round(2)
    contributions = {channel.name: float(parts[channel.name].sum()) for channel in channels}
    roas = {
        name: earned / float(table[name].sum())
        for name, earned in contributions.items()
        if name != ORGANIC.name
    }
    return DemoData(table, parts, contributions, roas)


def _drawn(channel: Channel, kind: Kind, random: np.random.Generator) -> Channel:
    low, high = kind.roas
    effect = low * (high / low) ** random.uniform() if channel.name != ORGANIC.name else channel.effect
    theta, alpha, gamma = random.uniform((0.0, 0.7, 0.4), (0.6, 2.0, 0.9))
    return replace(channel, effect=float(effect), theta=float(theta), alpha=float(alpha), gamma=float(gamma))


def _response(
    channel: Channel, driver: Floats, spent: float, kind: Kind, random: np.random.Generator
) -> Floats:
    lags = np.arange(_LAGS if kind.delayed else len(driver))
    weights = channel.theta**lags
    if kind.delayed:
        shape, scale = random.uniform(1.5, 3.0), random.uniform(2.0, 5.0)
        weights = ((lags + 1) / scale) ** (shape - 1) * np.exp(-(((lags + 1) / scale) ** shape))
    carried = np.convolve(driver, weights / weights.max())[: len(driver)] ** channel.alpha
    saturated = carried / (carried + (channel.gamma**channel.alpha) * carried.max())
    effect: Floats = channel.effect * spent * saturated / saturated.sum()
    return effect


def _autocorrelated(weeks: int, sd: float, rho: float, random: np.random.Generator) -> Floats:
    """AR(1) of the given standard deviation."""
    noise = random.normal(0, sd, weeks)
    for week in range(1, weeks):
        noise[week] = rho * noise[week - 1] + np.sqrt(1 - rho**2) * noise[week]
    return noise


def _wandering(weeks: int, random: np.random.Generator) -> Floats:
    walk = np.cumsum(random.normal(0, 6_000, weeks))
    jump = random.choice([-1, 1]) * _SHOCK_LEVEL * (np.arange(weeks) >= random.integers(weeks // 4, weeks))
    path: Floats = walk + jump
    return path


def _sharp_season(dates: pd.Series[pd.Timestamp]) -> Floats:
    """The third and fourth harmonics, and a peak in the last two weeks before Christmas."""
    angle = 2 * np.pi * dates.dt.day_of_year.to_numpy() / 365.25
    peak = 120_000.0 * ((dates.dt.month == 12) & dates.dt.day.between(8, 21)).to_numpy()
    season: Floats = 30_000 * np.cos(3 * angle) - 20_000 * np.sin(4 * angle) + peak
    return season
