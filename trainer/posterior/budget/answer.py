"""The answer to a budget question: the spends that the posterior expects to earn most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from contracts.budget import DEFAULT_TARGET, BudgetQuestion, amount_of
from trainer.engines.common import Floats
from trainer.engines.native.budget import reallocation
from trainer.engines.native.budget.reallocation import Infeasible
from trainer.engines.native.explain.efficiency import efficiency
from trainer.posterior.budget.plan import Plan, plan
from trainer.posterior.budget.split import Curve, Curves, Pooled, best_roas, best_split, most_at_roas
from trainer.posterior.result import Posterior

POINTS = 41
"""Of each curve, closer to each other where little is spent."""
FEWEST, MOST_CURVES = 200, 60_000
"""Draws that a curve is the mean of, at least; and draws of all curves together, unless these are more."""
_TOLERANCE = 1e-6
"""Relative excess up to which a target counts as reachable."""


@dataclass(frozen=True, eq=False)
class BudgetAnswer:
    """What was spent and earned, and what is proposed; S draws, c paid channels, money over the dates."""

    found: Posterior
    question: BudgetQuestion
    plan: Plan
    factors: Floats
    """(2, c) lowest and highest spend as factors of what was spent; may be infinite."""
    limits: Floats
    """(2, c) lowest and highest spend."""
    spends: Floats
    """(c, F) of the curves."""
    curves: Floats
    """(c, S, F) earned with these spends, in the periods and after them."""
    spend: Floats
    """(c,) proposed; what was spent where nothing is asked but that."""
    budget: float
    """To be spent; only with scenario max_response."""
    target: float
    """ROAS or CPA; only with scenario target_efficiency."""
    plans: dict[str, Floats] = field(default_factory=dict)
    """(c,) spends of each plan that the question names."""

    @cached_property
    def before(self) -> Floats:
        """(c, S, 2) earned by what was spent: in the periods, and after them."""
        return self._exactly(self.plan.spend)

    @cached_property
    def after(self) -> Floats:
        """(c, S, 2) earned by what is proposed: in the periods, and after them."""
        return self._exactly(self.spend)

    @cached_property
    def planned(self) -> dict[str, Floats]:
        """(c, S, 2) earned by each plan: in the periods, and after them."""
        return {name: self._exactly(spends) for name, spends in self.plans.items()}

    @property
    def gain(self) -> Floats:
        """(c, S) earned more than before."""
        gain: Floats = (self.after - self.before).sum(axis=2)
        return gain

    @cached_property
    def next_before(self) -> Floats:
        """(c,) expected to be earned by one more unit of currency per period than was spent."""
        return self._next_unit(self.plan.spend, self.before)

    @cached_property
    def next_after(self) -> Floats:
        """(c,) expected to be earned by one more unit of currency per period than is proposed."""
        return self._next_unit(self.spend, self.after)

    def _next_unit(self, spends: Floats, earned: Floats) -> Floats:
        periods = len(self.plan.dates)
        more = self._exactly(spends + periods) - earned
        following: Floats = more.sum(axis=2).mean(axis=1) / periods
        return following

    def _exactly(self, spends: Floats) -> Floats:
        return np.array(
            [
                channel.earned(np.array([spend]))[:, 0]
                for channel, spend in zip(self.plan.channels, spends, strict=True)
            ]
        )


def allocate(found: Posterior, question: BudgetQuestion) -> BudgetAnswer:
    """The spends that are expected to earn most, within what the question allows.

    What is earned is the contribution in the periods, earlier spend as it was, and what is still earned after
    them by what was spent in them. Expected is the mean over all draws; of many channels and regions curves
    are means over fewer of them, at least 200. Asked by region, a channel of each region counts as one.

    Raises:
        Infeasible: the question has no answer; the text says why, in figures, and what would help.
        InvalidInputs: a channel that the model does not have.
    """
    found = _asked_about(found, question)
    inputs = found.model.inputs
    reallocation.check_names(inputs, question)
    asked = plan(found, question)
    names, today = [channel.name for channel in asked.channels], asked.spend
    plans = {name: _spends(asked, name, {"": spends}) for name, spends in question.plans.items()}
    plans |= {name: _spends(asked, name, regions) for name, regions in question.region_plans.items()}
    if question.scenario == "historical":
        return _as_spent(found, question, asked, plans)
    pools = _pools(question, names)
    factors, limits = _limits(question, names, today, pools)
    least, most = np.array([[limits[0, pool.places].sum(), limits[1, pool.places].sum()] for pool in pools]).T
    for i, pool in enumerate(pools):
        if pool.budget:
            least[i], most[i] = pool.budget
    together = np.array([today[pool.places].sum() for pool in pools])
    budget = reallocation.budget_of(question, together, np.array([least, most]), 1)
    if not most.any():
        raise Infeasible(
            f"the paid channels had no spend {_span(asked)}: ask for other dates, or set budgets"
        )
    if question.scenario == "max_response":
        span = f"{len(asked.dates)} periods {_span(asked)}"
        reallocation.check_budget(question, budget, np.array([least, most]), span)
        most = np.clip(budget - least.sum() + least, least, most)  # what the others' lower bounds leave
    highest = limits[1].copy()
    for pool, one in zip(pools, most, strict=True):
        highest[pool.places] = np.minimum(highest[pool.places], one)
    spends, curves = _curves(found, asked, np.maximum(highest, today))
    means = Curves([_mean(*both) for both in zip(spends, curves, strict=True)])
    pooled = Pooled(means, [pool.places for pool in pools], limits[0], highest, least, most)
    kind, earned = inputs.dependent_type, float(means.response(today).sum())
    target = question.target or DEFAULT_TARGET[kind] * efficiency(earned, float(today.sum()), kind)
    if question.scenario == "max_response":
        spend = pooled.split(best_split(pooled.curves, least, most, budget))
    else:
        together = _at_target(
            pooled.curves, np.array([least, most]), target, question, asked, revenue=kind == "revenue"
        )
        spend = pooled.split(together)
    return BudgetAnswer(found, question, asked, factors, limits, spends, curves, spend, budget, target, plans)


def _as_spent(
    found: Posterior, question: BudgetQuestion, asked: Plan, plans: dict[str, Floats]
) -> BudgetAnswer:
    """The answer to a question that asks for no split."""
    today, nothing = asked.spend, np.empty((len(asked.channels), 0))
    same = np.ones((2, len(today)))
    return BudgetAnswer(
        found=found,
        question=question,
        plan=asked,
        factors=same,
        limits=same * today,
        spends=nothing,
        curves=nothing,
        spend=today,
        budget=float(today.sum()),
        target=np.nan,
        plans=plans,
    )


def _curves(found: Posterior, asked: Plan, tops: Floats) -> tuple[Floats, Floats]:
    """Spends (c, F) of each channel up to `tops` (c,), and what they earn, in the periods and after them.

    The latter is (c, S, F).
    """
    spends = np.array([top * np.linspace(0, 1, POINTS) ** 2 for top in tops])
    parts = sum(len(channel.parts) for channel in asked.channels)
    some = found.some(max(FEWEST, MOST_CURVES // max(parts, 1)))
    pairs = zip(asked.channels, spends, strict=True)
    return spends, np.array([channel.earned(spend, some).sum(axis=2) for channel, spend in pairs])


class _Pool(NamedTuple):
    """Channels that are bounded together: one, or with a budget of its own by region that of all regions."""

    places: list[int]
    budget: tuple[float, float] | None


def _pools(question: BudgetQuestion, names: list[str]) -> list[_Pool]:
    if not question.by_region:
        return [_Pool([i], None) for i in range(len(names))]
    found = [_Pool([i], None) for i, name in enumerate(names) if name not in question.channel_budgets]
    for name, (low, high) in question.channel_budgets.items():
        found.append(_Pool([i for i, one in enumerate(names) if one == name], (low, high)))
    return found


def _limits(
    question: BudgetQuestion, names: list[str], today: Floats, pools: list[_Pool]
) -> tuple[Floats, Floats]:
    """(2, c) factors and limits; of what is bounded together each may be nothing, or have all of it."""
    if not question.by_region:
        factors, limits, _ = reallocation.bounds(question, names, today, 1)
        return factors, limits
    free = question.model_copy(update={"channel_budgets": {}})
    factors, limits, _ = reallocation.bounds(free, names, today, 1)
    for pool in pools:
        if pool.budget:
            limits[:, pool.places] = [[0.0], [pool.budget[1]]]
            with np.errstate(divide="ignore", invalid="ignore"):
                factors[:, pool.places] = limits[:, pool.places] / today[pool.places]
    return factors, limits


def _asked_about(found: Posterior, question: BudgetQuestion) -> Posterior:
    """The posterior of the region that is asked about; of a question about all of them the whole one."""
    if question.of_regions and not found.regions:
        raise Infeasible(f"nothing is known of regions: {found.without_regions or 'the data have none'}")
    if question.region is None:
        return found
    regions = {region.name: region.found for region in found.regions}
    if question.region not in regions:
        raise Infeasible(f"there is no region '{question.region}'; there are: {', '.join(regions)}")
    return regions[question.region]


def _spends(asked: Plan, plan: str, given: Mapping[str, Mapping[str, float | str]]) -> Floats:
    """(c,) what a plan spends, given by region, or for all of them by an empty name, and by channel.

    Raises Infeasible for a change of nothing, and for a region that is not there.
    """
    found, there = asked.spend, list(dict.fromkeys(channel.region for channel in asked.channels))
    for region, spends in given.items():
        if region and region not in there:
            known = ", ".join(map(str, there))
            raise Infeasible(f"plan {plan}: there is no region '{region}'; there are: {known}")
        for name, spend in spends.items():
            places = [
                i for i, one in enumerate(asked.channels) if one.name == name and region in ("", one.region)
            ]
            found[places] = _divided(asked, places, spend, plan)
    return found


def _divided(asked: Plan, places: list[int], given: float | str, plan: str) -> Floats:
    """What a spend of some channels together is for each: divided as it was, or else as it usually is."""
    channels = [asked.channels[i] for i in places]
    today, usual = (np.array([getattr(one, name) for one in channels]) for name in ("spend", "usual"))
    if isinstance(given, str) and not today.any():
        raise Infeasible(
            f"plan {plan} changes the spend of {channels[0].name} by {given}, but it was 0 {_span(asked)}; "
            "give an amount"
        )
    by = next(one for one in (today, usual, np.ones(len(places))) if one.any())
    divided: Floats = amount_of(given, float(today.sum())) * by / by.sum()
    return divided


def _mean(spends: Floats, earned: Floats) -> Curve:
    mean = earned.mean(axis=0)
    return Curve(spends, mean) if spends[-1] > 0 else Curve(spends[:1], mean[:1])


def _at_target(
    means: Curves, limits: Floats, target: float, question: BudgetQuestion, asked: Plan, *, revenue: bool
) -> Floats:
    low, high = limits
    best, roas = best_roas(means, low, high), target if revenue else 1 / target
    if not np.isfinite(roas) or roas > best * (1 + _TOLERANCE):
        raise Infeasible(question.unreached(target, best, _span(asked), revenue=revenue))
    return most_at_roas(means, low, high, min(roas, best))


def _span(asked: Plan) -> str:
    return f"from {asked.dates[0]} to {asked.dates[-1]}"
