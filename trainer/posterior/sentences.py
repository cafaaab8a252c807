"""The posterior in words: never a number without how sure it is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from contracts.posterior import chance
from trainer.engines.pictures.style import amount
from trainer.posterior.result import Posterior

SURE = 0.9
"""A statement is made if it is as probable as this."""
LITTLE = 0.25
"""Below, what a posterior says is mostly what its prior said."""


def sentences(found: Posterior) -> list[str]:
    """What each channel earns, which earns more, what the data do not tell, which study would help most."""
    if not found.converged:
        names = [
            channel.name for channel, agreed in zip(found.channels, found.agreed, strict=True) if not agreed
        ]
        return [
            f"The chains do not agree on {', '.join(names)} after {found.sweeps:,} sweeps: do not use the "
            "posterior. More rows, fewer or less similar channels, a lift study or posterior.roas would help."
        ]
    totals = f"These are numbers of the totals, without the regions: {found.without_regions}."
    return [
        *([totals] if found.without_regions else []),
        *_earnings(found),
        *_comparisons(found),
        *_delays(found),
        *_regions(found),
        *_assumed(found),
        *_advice(found),
    ]


def verdict(found: Posterior, channel: int) -> str:
    """What one channel earns, how sure that is, and how much of it was assumed before."""
    name, learned = found.channels[channel].name, float(found.learned[channel])
    if not found.agreed[channel]:
        return f"The chains do not agree on {name}: nothing is known."
    earning = _earning(found, channel)
    return f"{earning} {_little(name, learned)}" if learned < LITTLE else earning


def _order(found: Posterior) -> list[int]:
    """Paid channels, the best earner per unit of currency first."""
    return [int(i) for i in np.argsort(-np.median(found.roas, axis=0), kind="stable")]


def _earnings(found: Posterior) -> Iterator[str]:
    for i in _order(found):
        yield _earning(found, i)


def _earning(found: Posterior, i: int) -> str:
    inputs, channel = found.model.inputs, found.channels[i]
    low, high = (amount(float(value)) for value in np.quantile(found.metric(i), (0.05, 0.95)))
    if not channel.paid:
        return f"{channel.name} earns {low} to {high} of {inputs.dependent_name} (90 %)."
    if inputs.dependent_type == "revenue":
        return f"{channel.name} earns {low} to {high} per unit of currency (90 %)."
    return f"One more of {inputs.dependent_name} by {channel.name} costs {low} to {high} (90 %)."


def _comparisons(found: Posterior) -> Iterator[str]:
    """Of neighbours in the order of what they earn, and of the best with the last."""
    order = _order(found)
    pairs = list(pairwise(order))
    if len(order) > 2:
        pairs.append((order[0], order[-1]))
    for i, j in pairs:
        better, worse, sure = found.paid[i].name, found.paid[j].name, float(found.better[i, j])
        if sure >= SURE:
            yield f"{better} earns more per unit of currency than {worse}: {chance(sure)} sure."
        else:
            odds = f"{chance(sure)} for {better}"
            yield f"{better} or {worse}: the data cannot tell which earns more ({odds})."


def _delays(found: Posterior) -> Iterator[str]:
    for channel, share in zip(found.channels, found.is_delayed.mean(axis=0), strict=True):
        if share >= SURE:
            yield (
                f"{channel.name} works with a delay: {chance(float(share))} sure. Only with adstock: "
                "weibull_pdf does the search try such models."
            )


def _regions(found: Posterior) -> Iterator[str]:
    """Of each paid channel the region in which it earns most and the one in which it earns least."""
    for channel in found.paid if found.regions else ():
        roas = {}
        for region in found.regions:
            names = [one.name for one in region.found.paid]
            if channel.name in names:
                roas[region.name] = region.found.roas[:, names.index(channel.name)]
        order = sorted(roas, key=lambda name: float(np.median(roas[name])))
        if len(order) > 1:
            sure = float((roas[order[-1]] > roas[order[0]]).mean())
            yield (
                f"{channel.name} earns more in {order[-1]} than in {order[0]}: {chance(sure)} sure."
                if sure >= SURE
                else f"{channel.name}: the data cannot tell in which region it earns most."
            )


def _assumed(found: Posterior) -> Iterator[str]:
    for channel, learned in zip(found.channels, found.learned, strict=True):
        if learned < LITTLE:
            yield _little(channel.name, float(learned))


def _little(name: str, learned: float) -> str:
    return (
        f"{name}: the data say little (learned {max(learned, 0):.0%}); "
        "what is shown is mostly what was assumed before."
    )


def _advice(found: Posterior) -> Iterator[str]:
    if found.paid:
        name = found.most_worth_a_study.name
        yield f"A lift study of {name} would help most: it has the most money in doubt."
