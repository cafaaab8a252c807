"""A budget answer as allocator.json, and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from contracts.base import some
from contracts.budget import BudgetQuestion
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
from trainer.engines.common import Floats
from trainer.engines.native.explain.efficiency import METRIC, efficiency
from trainer.posterior.budget.answer import BudgetAnswer
from trainer.posterior.budget.plan import PlannedChannel

_UNKNOWN = "so nothing is known of what it earns; it is taken to earn nothing"


def document(
    answer: BudgetAnswer, solution: str = "", contributions: pd.DataFrame | None = None
) -> Allocation:
    """The content of allocator.json.

    Args:
        answer: what is written down.
        solution: solID of the best model.
        contributions: what that model says each variable contributed, a row per date of the window.
    """
    inputs, plan = answer.found.model.inputs, answer.plan
    asked = answer.question.scenario
    own = None
    if contributions is not None and plan.span.pattern == "as_spent" and not answer.question.of_regions:
        rows = contributions.loc[contributions.index.isin(pd.DatetimeIndex(plan.dates))]
        own = rows[[channel.modelled for channel in plan.channels]].sum().to_numpy(dtype=float)
    return Allocation(
        name=answer.question.name,
        method="posterior",
        sol_id=solution,
        scenario=asked,
        feasible=True,
        notes=list(_notes(answer)),
        metric=METRIC[inputs.dependent_type],
        start=plan.dates[0].item(),
        end=plan.dates[-1].item(),
        interval=inputs.interval,
        periods=len(plan.dates),
        budget=answer.budget if asked == "max_response" else None,
        target=answer.target if asked == "target_efficiency" else None,
        **_figures(answer, list(range(len(plan.channels))), own),
        channels=[
            _channel(answer, [i for i, one in enumerate(plan.channels) if one.name == name], own)
            for name in dict.fromkeys(channel.name for channel in plan.channels)
        ],
        pattern=plan.span.pattern,
        plans=[_planned(answer, name) for name in answer.plans],
        region=answer.question.region,
        regions=list(_regions(answer)),
    )


def _channel(answer: BudgetAnswer, places: list[int], own: Floats | None) -> AllocatedChannel:
    """Of one planned channel, or of the same channel in all regions."""
    channel, historical = answer.plan.channels[places[0]], answer.question.scenario == "historical"
    return AllocatedChannel(
        name=channel.name,
        modelled=channel.modelled,
        **_figures(answer, places, own),
        bounds=None if historical else _bounds(answer, places),
    )


def _regions(answer: BudgetAnswer) -> Iterator[AllocatedRegion]:
    channels = answer.plan.channels
    for name in dict.fromkeys(channel.region for channel in channels):
        if name is not None:
            places = [i for i, channel in enumerate(channels) if channel.region == name]
            yield AllocatedRegion(
                name=name,
                **_figures(answer, places, None),
                channels=[_channel(answer, [i], None) for i in places],
            )


def _planned(answer: BudgetAnswer, name: str) -> PlanAnswer:
    spends, earned, channels = answer.plans[name], answer.planned[name], answer.plan.channels
    gains = (earned - answer.before).sum(axis=2)

    def told(places: list[int]) -> dict[str, Any]:
        after = _earned(answer, float(spends[places].sum()), earned[places].sum(axis=0), None)
        return {"after": after, "gain": _gain(gains[places].sum(axis=0))}

    def each(places: list[int]) -> list[PlannedSpend]:
        names = dict.fromkeys(channels[i].name for i in places)
        return [
            PlannedSpend(name=one, **told([i for i in places if channels[i].name == one])) for one in names
        ]

    regions = {
        one.region: [i for i, other in enumerate(channels) if other.region == one.region] for one in channels
    }
    return PlanAnswer(
        name=name,
        **told(list(range(len(channels)))),
        channels=each(list(range(len(channels)))),
        regions=[
            PlannedRegion(name=region, **told(places), channels=each(places))
            for region, places in regions.items()
            if region is not None
        ],
    )


def refusal(question: BudgetQuestion, solution: str, reason: str) -> Allocation:
    """The content of allocator.json of a question that has no answer."""
    return Allocation(
        name=question.name,
        method="posterior",
        sol_id=solution,
        scenario=question.scenario,
        feasible=False,
        reason=reason,
        region=question.region,
    )


def table(found: Allocation, kind: str) -> pd.DataFrame:
    """A row per channel, under Robyn's names where it has the same; money and response over the dates.

    Of an answer by region a row per region and channel.

    `kind` is `revenue` or `conversion`.
    """
    regions = [region.name for region in found.regions for _ in region.channels]
    channels = [one for region in found.regions for one in region.channels] or found.channels
    rows = [_row(channel, conversions=kind == "conversion") for channel in channels]
    head = {
        "solID": found.sol_id,
        "dep_var_type": kind,
        **({"region": regions} if regions else {}),
        "channels": [channel.modelled for channel in channels],
        "date_min": str(found.start),
        "date_max": str(found.end),
        "periods": f"{found.periods} {found.interval}s",
        "initSpendTotal": _whole(found.before).spend,
        "optmSpendTotal": _whole(found.after).spend,
    }
    return pd.DataFrame(head).join(pd.DataFrame(rows))


def plans_table(found: Allocation) -> pd.DataFrame:
    """A row per plan and channel, asked by region per plan, region and channel; money over the dates."""
    ratio = found.metric or "roas"
    before = {("", channel.name): _whole(channel.before).spend for channel in found.channels}
    for one in found.regions:
        before |= {(one.name, channel.name): _whole(channel.before).spend for channel in one.channels}
    rows = [
        {
            "plan": plan.name,
            **({"region": region} if region else {}),
            "channels": channel.name,
            "initSpend": before[region, channel.name],
            "planSpend": channel.after.spend,
            "planResponse": channel.after.response,
            "planCarryOut": channel.after.carry_out,
            "planRoi" if ratio == "roas" else "planCpa": getattr(channel.after, ratio),
            **{f"gain_{name}": value for name, value in channel.gain.model_dump().items()},
        }
        for plan in found.plans
        for region, channels in ([(one.name, one.channels) for one in plan.regions] or [("", plan.channels)])
        for channel in channels
    ]
    return pd.DataFrame(rows)


def _whole(figures: Figures | None) -> Figures:
    assert figures  # noqa: S101 (only answers become tables)
    return figures


def _row(channel: AllocatedChannel, *, conversions: bool) -> dict[str, float | None]:
    assert channel.bounds  # noqa: S101 (only answers become tables)
    assert channel.gain  # noqa: S101
    row: dict[str, float | None] = {"constr_low": channel.bounds.low, "constr_up": channel.bounds.high}
    for side, figures in (("init", _whole(channel.before)), ("optm", _whole(channel.after))):
        assert figures.earned  # noqa: S101 (of the posterior)
        ratio, following = figures.roas, figures.marginal_roas
        if conversions:
            ratio, following = figures.cpa, figures.marginal_cpa
        name = "Cpa" if conversions else "Roi"
        row |= {
            f"{side}SpendUnit": figures.mean_spend,
            f"{side}Spend": figures.spend,
            f"{side}Response": figures.response,
            f"{side}CarryOut": figures.carry_out,
            **{f"{side}Earned_{one}": value for one, value in figures.earned.model_dump().items()},
            f"{side}{name}": ratio,
            f"{side}{name}Next": following,
        }
    return row | {f"gain_{name}": value for name, value in channel.gain.model_dump().items()}


def _figures(
    answer: BudgetAnswer, channels: list[int], own: Floats | None
) -> dict[str, Figures | Gain | None]:
    """Of some of the planned channels together."""
    spent = float(answer.plan.spend[channels].sum())
    before = answer.before[channels].sum(axis=0)
    found: dict[str, Figures | Gain | None] = {
        "historical": _past(answer, spent, float(before.mean(axis=0)[0])),
        "model": None if own is None else _past(answer, spent, float(own[channels].sum())),
    }
    one = channels[0] if len(channels) == 1 else None
    historical = answer.question.scenario == "historical"
    if not historical or answer.plans:
        following = None if one is None else answer.next_before[one]
        found["before"] = _earned(answer, spent, before, following)
    if historical:
        return found
    return found | {
        "after": _earned(
            answer,
            float(answer.spend[channels].sum()),
            answer.after[channels].sum(axis=0),
            None if one is None else answer.next_after[one],
        ),
        "gain": _gain(answer.gain[channels].sum(axis=0)),
    }


def _past(answer: BudgetAnswer, spend: float, response: float) -> Figures:
    kind = answer.found.model.inputs.dependent_type
    return Figures(
        spend=spend,
        mean_spend=spend / len(answer.plan.dates),
        response=response,
        **{METRIC[kind]: _finite(efficiency(response, spend, kind))},
    )


def _earned(answer: BudgetAnswer, spend: float, earned: Floats, following: float | None) -> Figures:
    """Of draws (S, 2), in the periods and after them; `following` is what the next unit earns."""
    kind = answer.found.model.inputs.dependent_type
    response, carry_out = (float(value) for value in earned.mean(axis=0))
    ratios: dict[str, float | None] = {METRIC[kind]: _finite(efficiency(response + carry_out, spend, kind))}
    if following is not None:
        ratios[f"marginal_{METRIC[kind]}"] = _finite(efficiency(following, 1.0, kind))
    return Figures(
        spend=spend,
        mean_spend=spend / len(answer.plan.dates),
        response=response,
        carry_out=carry_out,
        earned=Earned(**_quantiles(earned.sum(axis=1))),
        **ratios,
    )


def _gain(draws: Floats) -> Gain:
    return Gain(**_quantiles(draws), above_zero=float((draws > 0).mean()))


def _quantiles(draws: Floats) -> dict[str, float]:
    q05, q50, q95 = (float(value) for value in np.quantile(draws, (0.05, 0.5, 0.95)))
    return {"mean": float(draws.mean()), "q05": q05, "q50": q50, "q95": q95}


def _bounds(answer: BudgetAnswer, places: list[int]) -> SpendBounds:
    limits, spent = answer.limits[:, places].sum(axis=1), answer.plan.spend[places].sum()
    budget = answer.question.channel_budgets.get(answer.plan.channels[places[0]].name)
    if budget and len(places) > 1:
        limits = np.array(budget)
    factors = answer.factors[:, places[0]] if len(places) == 1 else limits / (spent or np.nan)
    low, high = (_finite(float(factor)) for factor in factors)
    return SpendBounds(low=low, high=high, spend=[float(limit) for limit in limits])


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _notes(answer: BudgetAnswer) -> Iterator[str]:
    if answer.plan.span.pattern != "as_spent":
        how = "as then" if answer.plan.span.pattern == "last_year" else "evenly"
        yield (
            "These dates lie after the data: today is what was spent in the same periods a year before, "
            f"spread {how}; price per exposure is the mean of the last year."
        )
    channels = list(zip(answer.plan.channels, answer.spend, strict=True))
    known = {channel.name for channel, _ in channels if channel.parts}
    for name in dict.fromkeys(channel.name for channel, _ in channels if channel.name not in known):
        yield f"{name}: it had no media in the window, {_UNKNOWN}"
    asked = zip(answer.plan.channels, np.max([answer.spend, *answer.plans.values()], axis=0), strict=True)
    for name in _named(one for one, spend in asked if spend > 0 and one.name in known and not one.parts):
        yield f"{name}: it had no media there in the window, {_UNKNOWN}"
    for name in _named(one for one, spend in channels if spend > 0 and one.spend == 0 and one.parts):
        yield f"{name}: nothing was spent in these dates; the proposed spend is spread evenly"


def _named(channels: Iterable[PlannedChannel]) -> Iterator[str]:
    """Each channel once, by region with the regions."""
    regions: dict[str, list[str]] = {}
    for channel in channels:
        regions.setdefault(channel.name, []).extend([channel.region] if channel.region else [])
    for name, found in regions.items():
        yield f"{name} in {some(found)}" if found else name
