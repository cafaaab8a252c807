"""curves.json: what each channel earns with 0 to 3 times its spend, in joint draws.

Of data by region the country's curves are the sums of the regions' ones, draw by draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

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
"""In curves_regions.json: draws at least, draws of all channels of all regions together, and such channels at
most."""
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


class AllCurves(NamedTuple):
    """What is written of a posterior's curves."""

    country: CurvesDocument
    """The content of curves.json."""
    regions: RegionCurvesDocument | None
    """The content of curves_regions.json; None without regions, or with too many channels in all of them."""


def curves(found: Posterior) -> AllCurves:
    """The curves of the country and of its regions."""
    inputs = found.model.inputs
    few = len(inputs.dates) < YEAR[inputs.interval]
    notes = ["the data hold less than a year, so that what comes after them can only be planned evenly"]
    told = set(dict(_regional_spans(found))) if _by_region(found) else set()
    regions: dict[str, list[CurveDates]] = {region.name: [] for region in found.regions}
    dates = []
    for name, span in _spans(found):
        parts = [_Earned.of(region.found, span) for region in found.regions]
        dates.append(_dates(found, name, span, parts or [_Earned.of(found, span)], DRAWS))
        if name in told:
            draws = max(FEWEST, min(DRAWS, MOST_DRAWS // (len(found.regions) * len(found.paid))))
            for region, part in zip(found.regions, parts, strict=True):
                regions[region.name].append(_dates(region.found, name, span, [part], draws))
    country = CurvesDocument(
        dependent=inputs.dependent_name,
        dependent_type=inputs.dependent_type,
        interval=inputs.interval,
        factors=list(FACTORS),
        dates=dates,
        notes=notes if few else [],
        regions=list(regions) if told else [],
    )
    by_region = [RegionCurves(name=name, dates=one) for name, one in regions.items()]
    return AllCurves(
        country, RegionCurvesDocument(factors=list(FACTORS), regions=by_region) if told else None
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


class _Earned(NamedTuple):
    """What each paid channel of a region, or of a country without regions, earns over some dates."""

    channels: dict[str, PlannedChannel]
    """By spend column."""
    drawn: dict[str, Floats]
    """(S, F, 2) with each factor, in the dates and after them."""
    exact: dict[str, Floats]
    """(E, 2) with a few of the factors, the means over all draws."""

    @classmethod
    def of(cls, found: Posterior, span: Span) -> _Earned:
        channels = {channel.name: channel for channel in planned(found, span).channels}
        some, drawn, exact = found.some(DRAWS), {}, {}
        for name, channel in channels.items():
            spends = channel.reference * np.array(FACTORS)
            if channel.parts:
                drawn[name] = channel.earned(spends, some)
                exact[name] = channel.earned(spends[_EXACT]).mean(axis=0)
        return cls(channels, drawn, exact)


def _dates(found: Posterior, name: str, span: Span, parts: Sequence[_Earned], draws: int) -> CurveDates:
    """The curves of the parts together, which `found` is about."""
    plan = planned(found, span)
    channels = {channel.name: channel for channel in plan.channels}
    return CurveDates(
        name=name,
        start=plan.dates[0].item(),
        end=plan.dates[-1].item(),
        periods=span.periods,
        pattern=span.pattern,
        channels=[_channel(channels[one], parts, draws) for one in found.model.inputs.spend_names],
    )


def _channel(channel: PlannedChannel, parts: Sequence[_Earned], draws: int) -> CurveChannel:
    name, spend = channel.name, channel.reference
    if not channel.parts:
        nothing = [0.0] * len(FACTORS)
        return CurveChannel(
            name=name,
            today=channel.spend,
            spend=0.0,
            response=nothing,
            carry_out=nothing,
            unit=1.0,
            steps=[],
        )
    drawn: Floats = np.zeros(())
    exact: Floats = np.zeros(())
    for part in parts:
        if name in part.drawn:
            silent = _is_silent(part.channels[name], channel)
            drawn = drawn + part.drawn[name][:, np.zeros(len(FACTORS), int) if silent else slice(None)]
            exact = exact + part.exact[name][np.zeros(len(_EXACT), int) if silent else slice(None)]
    response, carry_out = _means(drawn.mean(axis=0), exact).T
    kept = np.unique(np.linspace(0, len(drawn) - 1, draws).round().astype(np.int64))
    earned = drawn[kept].sum(axis=2)
    unit = float(earned.max()) / LEVELS or 1.0
    levels = np.rint(earned / unit).astype(np.int64)
    return CurveChannel(
        name=name,
        today=channel.spend,
        spend=spend,
        response=_rounded(response),
        carry_out=_rounded(carry_out),
        unit=unit,
        steps=np.diff(levels, axis=1, prepend=0).tolist(),
    )


def _is_silent(part: PlannedChannel, whole: PlannedChannel) -> bool:
    """Whether a region gets nothing of the country's spend, whatever the factor."""
    if whole.spend > 0:
        return not part.spend > 0
    return whole.usual > 0 and not part.usual > 0


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
