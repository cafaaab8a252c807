"""The answer to a question about the dates that a result offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite
from typing import Any

from contracts.base import some
from contracts.budget import BOUNDS, DEFAULT_TARGET, amount_of
from contracts.curves import CurveDates, CurvesDocument, RegionCurves, RegionCurvesDocument
from contracts.plans import OfferedChannel, OfferedDates, PlanOffer, PlanQuestion
from contracts.result import (
    AllocatedChannel,
    AllocatedRegion,
    Allocation,
    Earned,
    Figures,
    Gain,
    PlanAnswer,
    PlannedRegion,
    PlannedSpend,
    SpendBounds,
)
from functions.web.planner.curve import Curve
from functions.web.planner.split import best_split, most_at_roas

_TOLERANCE = 1e-9


class Unanswerable(ValueError):
    """The curves do not answer the question; `lines` say why, each as `path: what is wrong`."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = list(lines)
        super().__init__("; ".join(self.lines))


def offer(curves: CurvesDocument) -> PlanOffer:
    """What can be asked."""
    return PlanOffer(
        dependent=curves.dependent,
        dependent_type=curves.dependent_type,
        interval=curves.interval,
        dates=[_offered(dates, curves.factors[-1]) for dates in curves.dates],
        notes=curves.notes,
        regions=curves.regions,
    )


def of_region(curves: CurvesDocument, regions: RegionCurvesDocument | None, name: str) -> CurvesDocument:
    """The curves of one region.

    Raises:
        Unanswerable: there is no such region, or the result has no curves of regions.
    """
    by_name = {region.name: region for region in _regions(regions)}
    if name not in by_name:
        raise Unanswerable([f"region: there is no region '{name}'; there are: {', '.join(by_name)}"])
    return curves.model_copy(update={"dates": by_name[name].dates})


def _regions(regions: RegionCurvesDocument | None) -> list[RegionCurves]:
    if regions is None:
        raise Unanswerable(["region: the result has no curves_regions.json; ask a job"])
    return regions.regions


def _offered(dates: CurveDates, most: float) -> OfferedDates:
    return OfferedDates(
        **dates.model_dump(exclude={"channels"}),
        channels=[
            OfferedChannel(name=one.name, today=one.today, most=most * one.spend) for one in dates.channels
        ],
    )


def answer(
    curves: CurvesDocument,
    question: PlanQuestion,
    solution: str = "",
    regions: RegionCurvesDocument | None = None,
) -> Allocation:
    """What the posterior expects of the spends that are asked for, or proposes; `solution`: the best model.

    `regions` is needed where the question is about regions.

    Means are those of all draws, intervals those of the draws in the curves. A question that cannot be
    answered within its bounds is answered with the reason, as a job does.

    Raises:
        Unanswerable: the question names what is not there, or spends of which the curves know nothing.
    """
    if question.region:
        curves = of_region(curves, regions, question.region)
    documents = [curves]
    if question.by_region:
        documents = [of_region(curves, regions, region.name) for region in _regions(regions)]
    dates = [_dates(one, question.dates) for one in documents]
    every = dates[0].model_copy(update={"channels": [channel for one in dates for channel in one.channels]})
    names = [one.name for one in _regions(regions)] if question.by_region else []
    asked = _Asked(curves, every, question, names)
    if problems := [*asked.unknown(), *asked.beyond()]:
        raise Unanswerable(problems)
    return asked.answer(solution)


def _dates(curves: CurvesDocument, name: str) -> CurveDates:
    by_name = {dates.name: dates for dates in curves.dates}
    if name not in by_name:
        raise Unanswerable([f"dates: there are no dates '{name}'; there are: {', '.join(by_name)}"])
    return by_name[name]


@dataclass(frozen=True)
class _Asked:
    """A question and what it is about; lists go with the channels, by region with those of every region."""

    document: CurvesDocument
    dates: CurveDates
    question: PlanQuestion
    regions: list[str]
    """By region: their names; each has as many channels."""

    @cached_property
    def curves(self) -> list[Curve]:
        return [Curve(channel, self.document.factors) for channel in self.dates.channels]

    @property
    def names(self) -> list[str]:
        return [channel.name for channel in self.dates.channels]

    @property
    def today(self) -> list[float]:
        return [channel.today for channel in self.dates.channels]

    @cached_property
    def channels(self) -> list[list[int]]:
        """The places of each channel: one, by region one in every region."""
        every = range(len(self.dates.channels))
        return [[i for i in every if self.names[i] == name] for name in dict.fromkeys(self.names)]

    @property
    def revenue(self) -> bool:
        return self.document.dependent_type == "revenue"

    @property
    def span(self) -> str:
        return f"from {self.dates.start} to {self.dates.end}"

    def unknown(self) -> Iterator[str]:
        """Channels that the result does not have."""
        named: dict[str, Iterable[str]] = {
            "channel_bounds": self.question.channel_bounds,
            "channel_budgets": self.question.channel_budgets,
            **{f"plans.{name}": spends for name, spends in self.question.plans.items()},
            **{
                f"region_plans.{name}.{region}": spends
                for name, plan in self.question.region_plans.items()
                for region, spends in plan.items()
            },
        }
        if self.question.by_region and self.question.channel_budgets:
            yield "channel_budgets: with by_region only a job answers it; ask a job, or leave one of them out"
        for name, plan in self.question.region_plans.items():
            for region in plan:
                if region not in self.regions:
                    there = ", ".join(self.regions)
                    yield f"region_plans.{name}.{region}: not a region of the result; there are: {there}"
        for path, channels in named.items():
            for name in channels:
                if name not in self.names:
                    there = ", ".join(dict.fromkeys(self.names))
                    yield f"{path}.{name}: not a channel of the result; there are: {there}"

    def beyond(self) -> Iterator[str]:
        """Spends that the curves do not reach, and changes of nothing."""
        for path, place, spend in self._spends():
            curve = self.curves[place]
            if isinstance(spend, str) and not curve.channel.today > 0:
                yield f"{path}: {spend} of no spend is nothing; it was 0 {self.span}; give an amount"
            elif curve.channel.spend and amount_of(spend, curve.channel.today) > curve.most * (
                1 + _TOLERANCE
            ):
                yield (
                    f"{path}: {amount_of(spend, curve.channel.today):,.2f} is more than the curves know, "
                    f"{curve.most:,.2f} (today {curve.channel.today:,.2f}); ask for less, or ask a job"
                )

    def _spends(self) -> Iterator[tuple[str, int, float | str]]:
        """Every spend that is asked for or allowed, and the place of its channel; unknown ones left out."""
        for plan, spends in self.question.plans.items():
            for name, spend in spends.items():
                places = self._places(name)
                for i, one in zip(places, self._divided(places, spend), strict=True):
                    yield f"plans.{plan}.{name}", i, spend if isinstance(spend, str) else one
        for plan, regions in self.question.region_plans.items():
            for region, spends in regions.items():
                for name, spend in spends.items():
                    places = self._places(name, region)
                    yield from ((f"region_plans.{plan}.{region}.{name}", i, spend) for i in places)
        budgets = {} if self.question.by_region else self.question.channel_budgets
        for name, (_, high) in budgets.items():
            yield from ((f"channel_budgets.{name}", i, high) for i in self._places(name))
        for i, (name, spent) in enumerate(zip(self.names, self.today, strict=True)):
            if name in self.question.channel_bounds:
                yield f"channel_bounds.{name}.high", i, self.question.channel_bounds[name].high * spent
            elif self.question.bounds and name not in self.question.channel_budgets:
                yield "bounds.high", i, self.question.bounds.high * spent

    def _places(self, name: str, region: str = "") -> list[int]:
        """Of a channel, in all regions or in one of them."""
        count = len(self.names) // max(len(self.regions), 1)
        return [
            i
            for i, one in enumerate(self.names)
            if one == name and region in ("", *self.regions[i // count : i // count + 1])
        ]

    def _divided(self, places: Sequence[int], spend: float | str) -> list[float]:
        """What a spend of some places together is for each: divided as it was, or else as it usually is."""
        today, usual = [self.today[i] for i in places], [self.curves[i].channel.spend for i in places]
        by = next((one for one in (today, usual) if any(one)), [1.0] * len(places))
        whole = amount_of(spend, sum(today))
        return [whole * one / sum(by) for one in by]

    @cached_property
    def planned(self) -> dict[str, list[float]]:
        """What each plan spends."""
        plans = {name: {"": spends} for name, spends in self.question.plans.items()}
        return {name: self._given(one) for name, one in {**plans, **self.question.region_plans}.items()}

    def _given(self, spends: Mapping[str, Mapping[str, float | str]]) -> list[float]:
        """What a plan spends, given by region, or for all of them by an empty name, and by channel."""
        found = list(self.today)
        for region, by_channel in spends.items():
            for name, spend in by_channel.items():
                places = self._places(name, region)
                for i, one in zip(places, self._divided(places, spend), strict=True):
                    found[i] = one
        return found

    @cached_property
    def limits(self) -> tuple[list[float], list[float]]:
        """Lowest and highest spend."""
        low, high = [], []
        for curve in self.curves:
            name, today = curve.channel.name, curve.channel.today
            if name in self.question.channel_budgets:
                least, most = self.question.channel_budgets[name]
            else:
                bounds = self.question.bounds_of(name)
                least, most = bounds.low * today, bounds.high * today
            low.append(least)
            high.append(min(most, curve.most) if curve.channel.spend else most)
        return low, high

    def answer(self, solution: str) -> Allocation:
        """What is asked, and what is proposed."""
        found = self._base(solution)
        plans = [self._plan(name, given) for name, given in self.planned.items()]
        if self.question.scenario == "historical":
            return found.model_copy(update={"plans": plans})
        low, high = self.limits
        earns = [curve.mean for curve in self.curves]
        if not any(high):
            return self._refused(found, f"the paid channels had no spend {self.span}; ask for other dates")
        if self.question.scenario == "max_response":
            budget = self._budget()
            span = f"{self.dates.periods} periods {self.span}"
            if misfit := self.question.misfit(budget, sum(low), sum(high), span):
                return self._refused(found, misfit)
            spends = best_split(earns, low, high, min(max(budget, sum(low)), sum(high)))
            return self._proposed(found, spends, plans, budget=budget)
        kind = self.document.dependent_type
        before = found.before
        assert before  # noqa: S101 (of every base)
        today = before.roas if self.revenue else before.cpa
        target = self.question.target or DEFAULT_TARGET[kind] * (inf if today is None else today)
        roas = target if self.revenue else 1 / target
        spends, best = most_at_roas(earns, low, high, roas)
        if not isfinite(roas) or roas > best * (1 + 1e-6):
            return self._refused(
                found, self.question.unreached(target, best, self.span, revenue=self.revenue)
            )
        return self._proposed(found, spends, plans, target=target)

    def _budget(self) -> float:
        low, high = self.limits
        spent = sum(self.today)
        if self.question.total:
            return amount_of(self.question.total, spent)
        every = len(self.question.channel_budgets) == len(self.names)
        return min(max(spent, sum(low)), sum(high)) if every else spent

    def _base(self, solution: str) -> Allocation:
        """What was spent and earned."""
        return Allocation(
            method="posterior",
            sol_id=solution,
            scenario=self.question.scenario,
            feasible=True,
            notes=list(self._notes()),
            metric="roas" if self.revenue else "cpa",
            start=self.dates.start,
            end=self.dates.end,
            interval=self.document.interval,
            periods=self.dates.periods,
            pattern=self.dates.pattern,
            historical=self._past(self.curves),
            before=self._figures(self.curves, self.today),
            channels=[self._channel(places) for places in self.channels],
            region=self.question.region,
            regions=[self._region(name) for name in self.regions],
        )

    def _channel(self, places: Sequence[int], spends: Sequence[float] | None = None) -> AllocatedChannel:
        """What was spent and, with `spends` of all channels, what is proposed, in some places together."""
        curves, today = [self.curves[i] for i in places], [self.today[i] for i in places]
        one = len(places) == 1
        found = AllocatedChannel(
            name=curves[0].channel.name,
            modelled=curves[0].channel.name,
            historical=self._past(curves),
            before=self._figures(curves, today, following=one),
        )
        if spends is None:
            return found
        proposed = [spends[i] for i in places]
        least, most = (sum(limit[i] for i in places) for limit in self.limits)
        bounds = SpendBounds(
            low=_ratio(least, sum(today)), high=_ratio(most, sum(today)), spend=[least, most]
        )
        after = self._figures(curves, proposed, following=one)
        gain = self._gain(curves, proposed)
        return found.model_copy(update={"after": after, "gain": gain, "bounds": bounds})

    def _region(self, name: str, spends: Sequence[float] | None = None) -> AllocatedRegion:
        count = len(self.names) // len(self.regions)
        first = self.regions.index(name) * count
        places = range(first, first + count)
        curves, today = [self.curves[i] for i in places], [self.today[i] for i in places]
        found = AllocatedRegion(
            name=name,
            historical=self._past(curves),
            before=self._figures(curves, today),
            channels=[self._channel([i], spends) for i in places],
        )
        if spends is None:
            return found
        proposed = [spends[i] for i in places]
        after, gain = self._figures(curves, proposed), self._gain(curves, proposed)
        return found.model_copy(update={"after": after, "gain": gain})

    def _refused(self, found: Allocation, reason: str) -> Allocation:
        return Allocation(
            method=found.method,
            sol_id=found.sol_id,
            scenario=found.scenario,
            feasible=False,
            reason=reason,
            start=found.start,
            end=found.end,
            interval=found.interval,
            periods=found.periods,
            pattern=found.pattern,
            region=found.region,
        )

    def _proposed(
        self, found: Allocation, spends: list[float], plans: list[PlanAnswer], **asked: float
    ) -> Allocation:
        channels = [self._channel(places, spends) for places in self.channels]
        regions = [self._region(name, spends) for name in self.regions]
        after, gain = self._figures(self.curves, spends), self._gain(self.curves, spends)
        new = {
            "after": after,
            "gain": gain,
            "channels": channels,
            "regions": regions,
            "plans": plans,
            **asked,
        }
        return found.model_copy(update=new)

    def _plan(self, name: str, given: Sequence[float]) -> PlanAnswer:
        def told(places: Sequence[int]) -> dict[str, Any]:
            curves, of_these = [self.curves[i] for i in places], [given[i] for i in places]
            return {"after": self._figures(curves, of_these), "gain": self._gain(curves, of_these)}

        count = len(self.names) // max(len(self.regions), 1)
        return PlanAnswer(
            name=name,
            **told(range(len(given))),
            channels=[PlannedSpend(name=self.names[places[0]], **told(places)) for places in self.channels],
            regions=[
                PlannedRegion(
                    name=region,
                    **told(range(r * count, (r + 1) * count)),
                    channels=[
                        PlannedSpend(name=self.names[i], **told([i]))
                        for i in range(r * count, (r + 1) * count)
                    ],
                )
                for r, region in enumerate(self.regions)
            ],
        )

    def _past(self, curves: Sequence[Curve]) -> Figures:
        spend = sum(curve.channel.today for curve in curves)
        response = sum(curve.parts(curve.channel.today)[0] for curve in curves)
        return self._efficient(spend, response, {"response": response})

    def _figures(
        self, curves: Sequence[Curve], spends: Sequence[float], *, following: bool = False
    ) -> Figures:
        parts = [curve.parts(spend) for curve, spend in zip(curves, spends, strict=True)]
        response, carry_out = (sum(part[k] for part in parts) for k in range(2))
        earned = Earned(mean=response + carry_out, **_quantiles(_summed(curves, spends)))
        more: dict[str, float | Earned | None] = {
            "response": response,
            "carry_out": carry_out,
            "earned": earned,
        }
        if following:
            more |= self._following(curves[0], spends[0])
        return self._efficient(sum(spends), response + carry_out, more)

    def _following(self, curve: Curve, spend: float) -> dict[str, float | None]:
        """What one more unit of currency per period earns; at the curve's end, what the last one does."""
        if not curve.channel.spend:
            return {}
        step = min(float(self.dates.periods), curve.most / 100)
        first = min(spend, curve.most - step)
        earned = (curve.mean(first + step) - curve.mean(first)) / step
        return {"marginal_roas": earned} if self.revenue else {"marginal_cpa": _ratio(1.0, earned)}

    def _efficient(self, spend: float, earned: float, more: Mapping[str, float | Earned | None]) -> Figures:
        ratio = {"roas": _ratio(earned, spend)} if self.revenue else {"cpa": _ratio(spend, earned)}
        return Figures.model_validate(
            {"spend": spend, "mean_spend": spend / self.dates.periods, **more, **ratio}
        )

    def _gain(self, curves: Sequence[Curve], spends: Sequence[float]) -> Gain:
        today = [curve.channel.today for curve in curves]
        pairs = zip(_summed(curves, spends), _summed(curves, today), strict=True)
        draws = [after - before for after, before in pairs]
        triples = zip(curves, spends, today, strict=True)
        mean = sum(curve.mean(spend) - curve.mean(before) for curve, spend, before in triples)
        above = sum(draw > 0 for draw in draws) / len(draws) if draws else 0.0
        return Gain(mean=mean, **_quantiles(draws), above_zero=above)

    def _notes(self) -> Iterator[str]:
        if self.dates.pattern != "as_spent":
            how = "as then" if self.dates.pattern == "last_year" else "evenly"
            yield (
                "These dates lie after the data: today is what was spent in the same periods a year before, "
                f"spread {how}; price per exposure is the mean of the last year."
            )
        default = self.question.bounds is None and self.question.scenario == "target_efficiency"
        if default and BOUNDS["target_efficiency"].high > self.document.factors[-1]:
            yield (
                f"No channel is moved above {self.document.factors[-1]:g} times its spend, which is as far "
                "as the curves go; a job can go further."
            )
        unknown = "so nothing is known of what it earns; it is taken to earn nothing"
        for places in self.channels:
            name, known = self.names[places[0]], [i for i in places if self.curves[i].channel.spend]
            asked = [i for i in places if any(spends[i] > 0 for spends in self.planned.values())]
            if not known:
                yield f"{name}: it had no media in the window, {unknown}"
            elif new := [i for i in asked if i not in known]:
                regions = some([self.regions[i * len(self.regions) // len(self.names)] for i in new])
                yield f"{name} in {regions}: it had no media there in the window, {unknown}"


def _summed(curves: Sequence[Curve], spends: Sequence[float]) -> list[float]:
    """What the channels earn together, a value per draw."""
    each = [curve.draws(spend) for curve, spend in zip(curves, spends, strict=True)]
    return [sum(row) for row in zip(*filter(None, each), strict=True)]


def _quantiles(draws: Sequence[float]) -> dict[str, float]:
    ordered = sorted(draws) or [0.0]
    return {name: _quantile(ordered, share) for name, share in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95))}


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between order statistics, as numpy does it."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _ratio(value: float, over: float) -> float | None:
    return value / over if over > 0 else None
