"""What a budget question asks about: the periods, and what each channel would spend and show in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contracts.budget import BudgetQuestion
from contracts.curves import Pattern
from contracts.series import YEAR, Interval, budget_obstacles, following, lies_after, rows_after
from trainer.engines.common import Floats
from trainer.engines.native.budget.reallocation import Infeasible, asked_rows, channel_order
from trainer.posterior.result import Posterior


@dataclass(frozen=True)
class Span:
    """Periods that are asked about, and how a channel's spend is spread over them."""

    first: int
    """Row of the data; from N on: after the data."""
    periods: int
    pattern: Pattern


@dataclass(frozen=True, eq=False)
class Part:
    """A channel in one region, in data without regions in all of the country."""

    found: Posterior
    place: int
    """In `found`."""
    before: Floats
    """The modelled column up to the periods."""
    pattern: Floats
    """(P,) the modelled column in the periods: as it was, or if nothing was spent, even and of one unit."""
    times: float
    """What the pattern is multiplied by with a factor of 1."""

    @property
    def of_window(self) -> float:
        """What so many periods of the window cost on average, in currency."""
        inputs = self.found.model.inputs
        return self.found.channels[self.place].spend * len(self.pattern) / (inputs.stop - inputs.first)


@dataclass(frozen=True, eq=False)
class PlannedChannel:
    """A paid channel over the periods asked about, its pattern multiplied by a factor."""

    name: str
    """Its spend column."""
    modelled: str
    region: str | None
    """Of an answer by region."""
    draws: NDArray[np.int64]
    """Positions of all draws."""
    parts: tuple[Part, ...]
    """One for each region that has the channel; none: the data say nothing about it."""
    spend: float
    """What was spent in the periods, after the data in the same periods a year before, in currency."""
    cost: float
    """What the pattern costs with a factor of 1, in currency."""
    usual: float
    """What so many periods of the last year cost on average, in currency."""

    @property
    def reference(self) -> float:
        """A spend in currency that is not nothing unless nothing is known of the channel.

        What was spent in the periods; or else what so many of the last year cost, or of the window.
        """
        return self.spend or self.usual or sum(part.of_window for part in self.parts)

    def earned(self, spends: Floats, draws: NDArray[np.int64] | None = None) -> Floats:
        """(S, F, 2) what spends (F,) earn in the periods and after them, in units of the dependent.

        `draws` are the positions of the draws that are asked; left out: all of them.
        """
        asked = self.draws if draws is None else draws
        earned, factors = np.zeros((len(asked), len(spends), 2)), np.asarray(spends) / self.cost
        for part in self.parts:
            earned += part.found.earned(part.place, part.before, part.pattern, factors * part.times, asked)
        return earned


@dataclass(frozen=True, eq=False)
class Plan:
    """The periods asked about, and the paid channels in them."""

    dates: tuple[np.datetime64, ...]
    """(P,) first days."""
    span: Span
    channels: tuple[PlannedChannel, ...]
    """(c,) in the order of Robyn's allocator, by the name of the modelled column; or so for each region."""

    @property
    def spend(self) -> Floats:
        """(c,) what was spent over the dates, in currency."""
        return np.array([channel.spend for channel in self.channels])


def plan(found: Posterior, question: BudgetQuestion) -> Plan:
    """The plan of a question; raises Infeasible for dates about which there is nothing to say."""
    inputs, by_region = found.model.inputs, question.by_region
    dates = inputs.dates.tolist()
    if lies_after(dates, inputs.interval, question):
        obstacles = [str(one) for one in budget_obstacles(dates, inputs.interval, "budget", question)]
        if obstacles:
            raise Infeasible("\n".join(obstacles))
        after = rows_after(dates, inputs.interval, question)
        return planned(found, Span(after.start, len(after), question.pattern or "last_year"), by_region)
    rows = asked_rows(inputs, question)
    return planned(found, Span(inputs.first + rows.start, len(rows), "as_spent"), by_region)


def planned(found: Posterior, span: Span, by_region: bool = False) -> Plan:
    """The plan of some periods; `by_region` with a channel for each channel of each region."""
    inputs = found.model.inputs
    dates = inputs.dates.tolist()
    dates += following(dates, inputs.interval, max(span.first + span.periods - len(dates), 0))
    asked = dates[span.first : span.first + span.periods]
    return Plan(
        dates=tuple(np.array(asked, dtype="datetime64[D]")),
        span=span,
        channels=tuple(_channels(found, span, by_region)),
    )


def _channels(found: Posterior, span: Span, by_region: bool) -> Iterator[PlannedChannel]:
    order = channel_order(found.model.inputs)
    if by_region:
        for region in found.regions:
            yield from (_channel(region.found, i, span, region.name) for i in order)
    elif found.regions:
        yield from (_together([_channel(region.found, i, span) for region in found.regions]) for i in order)
    else:
        yield from (_channel(found, i, span) for i in order)


def _together(regions: Sequence[PlannedChannel]) -> PlannedChannel:
    """A channel of all regions, whose money is divided among them as it was, or else as it usually is."""
    spend, usual = (sum(getattr(one, name) for one in regions) for name in ("spend", "usual"))
    parts = []
    for one in regions:
        times = float(one.spend > 0) if spend > 0 else one.usual / usual if usual > 0 else 1 / len(regions)
        parts += [replace(part, times=times) for part in one.parts]
    cost = spend if spend > 0 else 1.0
    return replace(regions[0], parts=tuple(parts), spend=spend, cost=cost, usual=usual)


def _channel(found: Posterior, i: int, span: Span, region: str | None = None) -> PlannedChannel:
    inputs = found.model.inputs
    name = inputs.spend_names[i]
    names = [channel.name for channel in found.paid]
    series = inputs.values[:, len(inputs.columns) - len(inputs.media) + i]
    price = _price(inputs.spend[:, i], series, inputs.interval)
    year = inputs.spend[-YEAR[inputs.interval] :, i]
    usual = float(year.mean()) * span.periods
    before, pattern = series, series
    if span.pattern == "as_spent":
        asked = slice(span.first, span.first + span.periods)
        spend, before, pattern = float(inputs.spend[asked, i].sum()), series[: span.first], series[asked]
    else:
        gap = span.first - len(series)
        spends = _after(inputs.spend[:, i], gap + span.periods, inputs.interval, span.pattern)
        before = np.concatenate([series, spends[:gap] / price])
        spend, pattern = float(spends[gap:].sum()), spends[gap:] / price
    if not spend > 0:
        pattern = np.full(span.periods, 1 / span.periods / price)
    part = [Part(found, names.index(name), before, pattern, 1.0)] if name in names else []
    return PlannedChannel(
        name=name,
        modelled=inputs.paid[i],
        region=region,
        draws=found.every,
        parts=tuple(part),
        spend=spend,
        cost=spend if spend > 0 else 1.0,
        usual=usual,
    )


def _after(spend: Floats, periods: int, interval: Interval, pattern: Pattern) -> Floats:
    """(periods,) spends after those of the data (N,): those of a year before, as they were or evenly spread.

    With less than a year of data they can only be even, as high as the mean.
    """
    year = YEAR[interval]
    if len(spend) < year:
        return np.full(periods, spend.mean())
    same = np.resize(spend[-year:], periods)
    return np.full(periods, same.mean()) if pattern == "even" else same


def _price(spend: Floats, series: Floats, interval: Interval) -> float:
    """Spend per unit of the modelled column in the last year with some; 1 where there is none at all."""
    last = max(np.flatnonzero(series), default=0) + 1
    year = slice(max(last - YEAR[interval], 0), last)
    shown = float(series[year].sum())
    return float(spend[year].sum()) / shown if shown > 0 and spend[year].any() else 1.0
