"""What a budget question asks about: the periods, and what each channel would spend and show in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contracts.budget import BudgetQuestion
from trainer.engines.common import Floats
from trainer.engines.native.budget.reallocation import asked_rows, channel_order
from trainer.posterior.result import Posterior

_YEAR = {"day": 364, "week": 52, "month": 12}
"""Periods whose mean price of an exposure counts where a channel had no spend of its own."""


@dataclass(frozen=True, eq=False)
class PlannedChannel:
    """A paid channel over the periods asked about, its pattern multiplied by a factor."""

    name: str
    """Its spend column."""
    modelled: str
    place: int | None
    """In the posterior; None: the data say nothing about it."""
    spend: float
    """What was spent in the periods, in currency."""
    cost: float
    """What the pattern costs with a factor of 1, in currency."""
    before: Floats
    """The modelled column up to the periods."""
    pattern: Floats
    """(P,) the modelled column in the periods: as it was, or if nothing was spent, even and of one unit."""

    def earned(self, found: Posterior, spends: Floats) -> Floats:
        """(S, F, 2) what spends (F,) earn in the periods and after them, in units of the dependent."""
        if self.place is None:
            return np.zeros((len(found.sigma), len(spends), 2))
        return found.earned(self.place, self.before, self.pattern, np.asarray(spends) / self.cost)


@dataclass(frozen=True, eq=False)
class Plan:
    """The periods asked about, and the paid channels in them."""

    dates: tuple[np.datetime64, ...]
    """(P,) first days."""
    channels: tuple[PlannedChannel, ...]
    """(c,) in the order of Robyn's allocator: by the name of the modelled column."""

    @property
    def spend(self) -> Floats:
        """(c,) what was spent over the dates, in currency."""
        return np.array([channel.spend for channel in self.channels])


def plan(found: Posterior, question: BudgetQuestion) -> Plan:
    """The plan of a question; raises Infeasible for dates outside of the window."""
    inputs = found.model.inputs
    rows = asked_rows(inputs, question)
    asked = slice(inputs.first + rows.start, inputs.first + rows.stop)
    return Plan(
        dates=tuple(inputs.dates[asked]),
        channels=tuple(_channel(found, i, asked) for i in channel_order(inputs)),
    )


def _channel(found: Posterior, i: int, asked: slice) -> PlannedChannel:
    inputs = found.model.inputs
    name = inputs.spend_names[i]
    names = [channel.name for channel in found.paid]
    series = inputs.values[:, len(inputs.columns) - len(inputs.media) + i]
    spend, pattern = float(inputs.spend[asked, i].sum()), series[asked]
    if not spend > 0:
        pattern = np.full(
            len(pattern), 1 / len(pattern) / _price(inputs.spend[:, i], series, inputs.interval)
        )
    return PlannedChannel(
        name=name,
        modelled=inputs.paid[i],
        place=names.index(name) if name in names else None,
        spend=spend,
        cost=spend if spend > 0 else 1.0,
        before=series[: asked.start],
        pattern=pattern,
    )


def _price(spend: Floats, series: Floats, interval: str) -> float:
    """Spend per unit of the modelled column in the last year with some; 1 where there is none at all."""
    last = max(np.flatnonzero(series), default=0) + 1
    year = slice(max(last - _YEAR[interval], 0), last)
    shown = float(series[year].sum())
    return float(spend[year].sum()) / shown if shown > 0 and spend[year].any() else 1.0
