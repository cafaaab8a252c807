"""What it is worth to follow a budget answer, in worlds whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contracts.budget import BudgetQuestion, ChannelBounds
from infra.local.demo_data import Channel, DemoData
from trainer.engines.common import Floats
from trainer.posterior.budget import allocate
from trainer.posterior.budget.split import Curve, Curves, best_split
from trainer.posterior.result import Posterior

BOUNDS = ChannelBounds(low=0.5, high=1.5)
"""How far each channel may move."""
_POINTS = np.linspace(0.5, 1.5, 201)


@dataclass(frozen=True)
class Followed:
    """A budget answer over the whole data, of the total that was spent; in units of revenue."""

    gained: float
    """By following the answer, in truth."""
    attainable: float
    """By the best split, in truth."""
    promised: float
    """By the answer: its expected gain."""
    held: bool
    """Whether its 90 % interval holds what was gained."""

    @property
    def share(self) -> float:
        """Of the attainable gain."""
        return self.gained / self.attainable


def followed(found: Posterior, data: DemoData, channels: tuple[Channel, ...]) -> Followed:
    """Follow the answer of a posterior of the whole data, whose truth is `channels`."""
    answer = allocate(found, BudgetQuestion(bounds=BOUNDS))
    truth = {channel.name: channel for channel in channels}
    names = [channel.name for channel in answer.plan.channels]
    today = answer.plan.spend
    curves = Curves(
        [
            Curve(_POINTS * spend, np.array([_earned(truth[name], data, factor) for factor in _POINTS]))
            for name, spend in zip(names, today, strict=True)
        ]
    )
    best = best_split(curves, BOUNDS.low * today, BOUNDS.high * today, float(today.sum()))
    before = curves.response(today).sum()
    gained = float(curves.response(answer.spend).sum() - before)
    gain = answer.gain.sum(axis=0)
    low, high = np.quantile(gain, (0.05, 0.95))
    return Followed(
        gained=gained,
        attainable=float(curves.response(best).sum() - before),
        promised=float(gain.mean()),
        held=bool(low <= gained <= high),
    )


def _earned(channel: Channel, data: DemoData, factor: float) -> float:
    """What a channel truly earns within the data with all its spends times a factor, carry-out included."""
    driver: Floats = data.table[channel.exposure or channel.name].to_numpy(dtype=float)
    adstocked = np.concatenate([driver, np.zeros(len(driver))])
    for week in range(1, len(adstocked)):
        adstocked[week] += channel.theta * adstocked[week - 1]
    inflexion = channel.gamma * adstocked.max()

    def saturated(values: Floats) -> Floats:
        found: Floats = values**channel.alpha / (values**channel.alpha + inflexion**channel.alpha)
        return found

    scale = data.contributions[channel.name] / saturated(adstocked[: len(driver)]).sum()
    return float(scale * saturated(factor * adstocked).sum())
