"""curves.json: what each channel earns with 0 to 3 times its spend, in joint draws."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from contracts.curves import (
    FACTORS,
    CurveChannel,
    CurveDates,
    CurvesDocument,
    RegionCurves,
    RegionCurvesDocument,
)
from contracts.series import YEAR, Interval
from trainer.engines.common import Floats
from trainer.posterior.budget.plan import PlannedChannel, Span, planned
from trainer.posterior.result import Posterior

DRAWS = 200
"""Joint draws that are written."""
FEWEST, MOST_DRAWS, MOST_CHANNELS = 40, 12_000, 300
"""By region: draws at least, draws of all channels of all regions together, and such channels at most."""
LEVELS = 10_000
"""What the largest value of a channel counts in units; what is written is right to half of one."""
LAST: dict[Interval, tuple[int, ...]] = {
    "day": (28, 91, 182, 364),
    "week": (4, 13, 26, 52),
    "month": (1, 3, 6, 12),
}
"""Lengths of the dates at the end of the window, in periods."""
NEXT: dict[Interval, tuple[int, ...]] = {"day": (91, 364), "week": (13, 52), "month": (3, 12)}
"""Lengths of the dates after the data, in periods."""
_EXACT = np.arange(0, len(FACTORS), 5)
"""Factors whose mean is taken over all draws; 1 is among them."""
_DIGITS = 12
"""Of the means."""


def curves(found: Posterior) -> CurvesDocument:
    """The content of curves.json."""
    inputs = found.model.inputs
    few = len(inputs.dates) < YEAR[inputs.interval]
    notes = ["the data hold less than a year, so that what comes after them can only be planned evenly"]
    return CurvesDocument(
        dependent=inputs.dependent_name,
        dependent_type=inputs.dependent_type,
        interval=inputs.interval,
        factors=list(FACTORS),
        dates=[_dates(found, name, span) for name, span in _spans(found)],
        notes=notes if few else [],
        regions=[region.name for region in found.regions] if _by_region(found) else [],
    )


def curves_by_region(found: Posterior) -> RegionCurvesDocument | None:
    """The content of curves_regions.json; None without regions, or with too many channels in all of them."""
    if not _by_region(found):
        return None
    draws = max(FEWEST, min(DRAWS, MOST_DRAWS // (len(found.regions) * len(found.paid))))
    return RegionCurvesDocument(
        factors=list(FACTORS),
        regions=[
            RegionCurves(
                name=region.name,
                dates=[_dates(region.found, name, span, draws) for name, span in _regional_spans(found)],
            )
            for region in found.regions
        ],
    )


def _by_region(found: Posterior) -> bool:
    return 0 < len(found.regions) * len(found.paid) <= MOST_CHANNELS


def _regional_spans(found: Posterior) -> Iterator[tuple[str, Span]]:
    """The window, the last year, and what comes as a year before or, without such a year, evenly."""
    spans, interval = dict(_spans(found)), found.model.inputs.interval
    years = any(span.pattern == "last_year" for span in spans.values())
    for name, span in spans.items():
        after = span.pattern == ("last_year" if years else "even")
        if after or name in ("window", f"last-{LAST[interval][-1]}"):
            yield name, span


def _spans(found: Posterior) -> Iterator[tuple[str, Span]]:
    inputs = found.model.inputs
    rows, everything = inputs.stop - inputs.first, len(inputs.dates)
    yield "window", Span(inputs.first, rows, "as_spent")
    for periods in LAST[inputs.interval]:
        if periods < rows:
            yield f"last-{periods}", Span(inputs.stop - periods, periods, "as_spent")
    for periods in NEXT[inputs.interval]:
        if everything >= YEAR[inputs.interval]:
            yield f"next-{periods}-last-year", Span(everything, periods, "last_year")
        yield f"next-{periods}-even", Span(everything, periods, "even")


def _dates(found: Posterior, name: str, span: Span, draws: int = DRAWS) -> CurveDates:
    plan = planned(found, span)
    order = [channel.name for channel in plan.channels]
    channels = [plan.channels[order.index(one)] for one in found.model.inputs.spend_names]
    return CurveDates(
        name=name,
        start=plan.dates[0].item(),
        end=plan.dates[-1].item(),
        periods=span.periods,
        pattern=span.pattern,
        channels=[_channel(channel, found.some(draws)) for channel in channels],
    )


def _channel(channel: PlannedChannel, some: NDArray[np.int64]) -> CurveChannel:
    spend = channel.spend or channel.usual
    if not channel.parts or not spend > 0:
        nothing = [0.0] * len(FACTORS)
        return CurveChannel(
            name=channel.name,
            today=channel.spend,
            spend=0.0,
            response=nothing,
            carry_out=nothing,
            unit=1.0,
            steps=[],
        )
    spends = spend * np.array(FACTORS)
    drawn = channel.earned(spends, some)
    earned = drawn.sum(axis=2)
    unit = float(earned.max()) / LEVELS or 1.0
    levels = np.rint(earned / unit).astype(np.int64)
    response, carry_out = _means(drawn.mean(axis=0), channel.earned(spends[_EXACT]).mean(axis=0)).T
    return CurveChannel(
        name=channel.name,
        today=channel.spend,
        spend=spend,
        response=_rounded(response),
        carry_out=_rounded(carry_out),
        unit=unit,
        steps=np.diff(levels, axis=1, prepend=0).tolist(),
    )


def _means(some: Floats, exact: Floats) -> Floats:
    """(F, 2) means over all draws, from those over some of them and, at a few factors, over all.

    The difference of the two is small and smooth, so it is interpolated.
    """
    from scipy.interpolate import CubicSpline  # imported only now: jobs without a posterior do without it

    every = np.arange(len(some))
    means: Floats = some + CubicSpline(_EXACT, exact - some[_EXACT])(every)
    means[_EXACT] = exact
    return means


def _rounded(values: Floats) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values]
