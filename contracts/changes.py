"""Whether what a channel earns has changed from one posterior to another."""

from __future__ import annotations

from math import log
from statistics import NormalDist

from pydantic import Field

from contracts.base import Exchanged
from contracts.posterior import PosteriorDocument, Quantiles

SURE = 0.9
"""A change is called one if it is as probable as this."""
_NINETY_WIDTH = 3.29
"""From 5 % to 95 % of a normal distribution, in standard deviations."""

Interval = tuple[float, float, float]
"""5 %, 50 % and 95 % of ROAS or CPA."""


class ChannelChange(Exchanged):
    """What a channel earned by a former posterior, and by this one."""

    name: str = Field(description="spend column")
    before: Interval = Field(description="5 %, 50 % and 95 % of ROAS or CPA, by the former posterior")
    now: Interval = Field(description="the same by this one")
    probability: float = Field(description="that it moved in the direction in which its median moved")
    changed: bool = Field(description="whether that is at least 0.9; otherwise nothing has happened for sure")


def probability_of_change(before: Interval, now: Interval) -> float:
    """The probability, 0.5 to 1, that ROAS or CPA moved in the direction in which its median moved.

    Both posteriors are taken as log-normal and independent. Data that they have in common make the true
    probability higher, so that changes are rather missed than invented.
    """
    sds = [(log(high) - log(low)) / _NINETY_WIDTH for low, _, high in (before, now)]
    sd = (sds[0] ** 2 + sds[1] ** 2) ** 0.5
    moved = abs(log(now[1]) - log(before[1]))
    return NormalDist().cdf(moved / sd) if sd > 0 else float(0.5 + 0.5 * (moved > 0))


def changes(before: PosteriorDocument, now: PosteriorDocument) -> list[ChannelChange]:
    """Of every paid channel that both posteriors have; none where the chains of one do not agree."""
    if not (before.converged and now.converged) or before.dependent_type != now.dependent_type:
        return []
    earlier = dict(_intervals(before))
    found = []
    for name, interval in _intervals(now):
        if name in earlier:
            chance = probability_of_change(earlier[name], interval)
            found.append(
                ChannelChange(
                    name=name,
                    before=earlier[name],
                    now=interval,
                    probability=chance,
                    changed=chance >= SURE,
                )
            )
    return found


def _intervals(document: PosteriorDocument) -> list[tuple[str, Interval]]:
    metrics = [(channel.name, channel.roas or channel.cpa) for channel in document.channels]
    return [(name, _interval(found)) for name, found in metrics if found]


def _interval(found: Quantiles) -> Interval:
    return found.q05, found.q50, found.q95
