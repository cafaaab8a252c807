"""A budget question about one model: where the money went and where it should go (Robyn 3.12.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from contracts.budget import DEFAULT_TARGET, BudgetQuestion, amount_of
from contracts.series import last_days, rows_within
from trainer.engines.common import Floats, InvalidInputs
from trainer.engines.native.budget.allocator import Curves, best_roas, curves_of, reach_target, spend_budget
from trainer.engines.native.explain.efficiency import efficiency
from trainer.engines.native.records import Inputs, ModelAnswer

WIDER = 3.0
"""How much further than asked the bounds of the second, "unbound" answer reach (Robyn: multiplier)."""

_TOLERANCE = 1e-9
"""Relative tolerance for rounding when a question is checked."""


class Infeasible(ValueError):
    """No split within the bounds does what is asked; the message says why and what would help."""


@dataclass(frozen=True, eq=False)
class Frame:
    """The question in numbers. Arrays are (c,): a value per paid channel, by name; money is per period."""

    model: ModelAnswer
    inputs: Inputs
    question: BudgetQuestion
    names: list[str]
    """Modelled column of each channel."""
    spend_names: list[str]
    curves: Curves
    dates: Any
    """The periods that are asked about."""
    history: Floats
    """(2, c) spend per period in the window, and over the dates asked about; the latter is today's."""
    factors: Floats
    """(2, c) lowest and highest spend as factors of today's; may be infinite for a channel's own budget."""
    limits: Floats
    """(2, c) lowest and highest spend per period."""
    wider: Floats
    """(2, c) limits that are three times as far from today's spend; a channel's own budget stays."""
    budget: float
    """Only with scenario max_response."""
    target: float
    """ROAS or CPA; only with scenario target_efficiency."""

    @property
    def today(self) -> Floats:
        """Spend per period over the dates."""
        today: Floats = self.history[1]
        return today

    @property
    def span(self) -> str:
        """For messages: which periods."""
        return f"from {self.dates[0]} to {self.dates[-1]}"


@dataclass(frozen=True, eq=False)
class Reallocation:
    """The answer to a budget question."""

    frame: Frame
    spend: Floats
    """(c,) best spend per period within the bounds; money in currency."""
    wider: Floats
    """(c,) best spend per period within `Frame.wider`; NaN if even these hold no answer."""


@dataclass(frozen=True, eq=False)
class History:
    """What was spent and earned over the dates asked about; arrays are (c,), in sums over the dates."""

    dates: Any
    names: list[str]
    spend_names: list[str]
    spend: Floats
    """As in the data, in currency."""
    response: Floats
    """Contributions of the model, in units of the dependent variable."""


def reallocate(inputs: Inputs, model: ModelAnswer, question: BudgetQuestion) -> Reallocation:
    """The split of money over the paid channels with the largest response.

    Raises Infeasible, and InvalidInputs for a channel that the model does not have and for the scenario
    `historical`, which `history` answers.
    """
    _check_question(inputs, question)
    frame = _frame(inputs, model, question)
    spend = _answer(frame, frame.limits, frame.target)
    # Robyn's targets within the wider bounds
    target = 1.0 if inputs.dependent_type == "revenue" else 1.5 * frame.target
    try:
        wider = _answer(frame, frame.wider, target)
    except Infeasible:
        wider = np.full_like(spend, math.nan)
    return Reallocation(frame, spend, wider)


def history(inputs: Inputs, model: ModelAnswer, question: BudgetQuestion) -> History:
    """What the paid channels cost and earned over the question's dates; raises Infeasible."""
    order, asked = channel_order(inputs), asked_rows(inputs, question)
    first, last = asked[0], asked[-1]
    rows = slice(first, last + 1)
    return History(
        dates=inputs.window_dates[rows],
        names=[inputs.paid[i] for i in order],
        spend_names=[inputs.spend_names[i] for i in order],
        spend=inputs.spend[inputs.window][rows, order].sum(axis=0),
        response=np.array([model.media[i].response[rows].sum() for i in order]),
    )


def channel_order(inputs: Inputs) -> list[int]:
    """The paid channels by the name of the modelled column, as Robyn orders them."""
    return sorted(range(len(inputs.paid)), key=lambda i: inputs.paid[i])


def _frame(inputs: Inputs, model: ModelAnswer, question: BudgetQuestion) -> Frame:
    order, asked = channel_order(inputs), asked_rows(inputs, question)
    first, last = asked[0], asked[-1]
    columns = [len(inputs.columns) - len(inputs.media) + i for i in order]
    values = inputs.values[inputs.window][:, columns]
    today = values[first : last + 1].mean(axis=0)
    curves = curves_of([model.media[i] for i in order])
    spend_names = [inputs.spend_names[i] for i in order]
    periods = last + 1 - first
    factors, limits, wider = bounds(question, spend_names, today, periods)
    kind = inputs.dependent_type
    if not (today * curves.coefficient).any():
        raise Infeasible(
            f"the paid channels had no spend or no effect from {inputs.window_dates[first]} to "
            f"{inputs.window_dates[last]}: there is nothing to compare; ask for other dates"
        )
    before = efficiency(float(curves.response(today).sum()), float(today.sum()), kind)
    return Frame(
        model=model,
        inputs=inputs,
        question=question,
        names=[inputs.paid[i] for i in order],
        spend_names=spend_names,
        curves=curves,
        dates=inputs.window_dates[first : last + 1],
        history=np.array([values.mean(axis=0), today]),
        factors=factors,
        limits=limits,
        wider=wider,
        budget=budget_of(question, today, limits, periods),
        target=question.target or DEFAULT_TARGET[kind] * before,
    )


def bounds(
    question: BudgetQuestion, names: list[str], today: Floats, periods: int
) -> tuple[Floats, Floats, Floats]:
    """`Frame.factors`, `.limits` and `.wider` of channels (c,) by spend column."""
    asked = [question.bounds_of(name) for name in names]
    low, high = np.array([[bound.low for bound in asked], [bound.high for bound in asked]])
    far = 1 + (high - 1) * WIDER
    wider = np.array([np.maximum(0.0, 1 - (1 - low) * WIDER), np.where(far < 0, high * WIDER, far)]) * today
    factors = np.array([low, high])
    limits = factors * today
    for name, budget in question.channel_budgets.items():
        i = names.index(name)
        limits[:, i] = wider[:, i] = np.array(budget) / periods
        with np.errstate(divide="ignore", invalid="ignore"):
            factors[:, i] = limits[:, i] / today[i]
    return factors, limits, wider


def budget_of(question: BudgetQuestion, today: Floats, limits: Floats, periods: int) -> float:
    """What is to be spent per period, within `Frame.limits`."""
    spent = float(today.sum())
    if question.total:
        return amount_of(question.total, spent * periods) / periods
    every = len(question.channel_budgets) == len(today)
    return float(np.clip(spent, limits[0].sum(), limits[1].sum())) if every else spent


def _check_question(inputs: Inputs, question: BudgetQuestion) -> None:
    if question.scenario == "historical":
        raise InvalidInputs("scenario historical: nothing is to be reallocated; call `history`")
    check_names(inputs, question)


def check_names(inputs: Inputs, question: BudgetQuestion) -> None:
    """Raise InvalidInputs for a channel that the model does not have."""
    named = set(question.channel_bounds) | set(question.channel_budgets)
    named.update(*question.plans.values())
    named.update(*(spends for plan in question.region_plans.values() for spends in plan.values()))
    unknown = sorted(named - set(inputs.spend_names))
    if unknown:
        known = ", ".join(inputs.spend_names)
        raise InvalidInputs(f"{', '.join(unknown)}: no spend column of the model; there are: {known}")


def _check_dates(inputs: Inputs, question: BudgetQuestion) -> None:
    last = last_days(inputs.dates.tolist(), inputs.interval)[inputs.stop - 1]
    if problem := question.outside(inputs.window_dates[0].item(), last):
        raise Infeasible(problem)


def asked_rows(inputs: Inputs, question: BudgetQuestion) -> range:
    """The rows of the window that the dates asked about mean; raises Infeasible."""
    _check_dates(inputs, question)
    return rows_within(inputs.window_dates.tolist(), question.start, question.end)


def _answer(frame: Frame, limits: Floats, target: float) -> Floats:
    today, curves = frame.today, frame.curves
    low, high = limits
    if frame.question.scenario == "max_response":
        periods = len(frame.dates)
        check_budget(
            frame.question, frame.budget * periods, limits * periods, f"{periods} periods {frame.span}"
        )
        return spend_budget(curves, low, high, frame.budget, today)
    revenue = frame.inputs.dependent_type == "revenue"
    best = best_roas(curves, low, high)
    roas = target if revenue else 1 / target
    if roas > best * (1 + _TOLERANCE):
        reached = f"a ROAS of {best:.4g}" if revenue else f"a CPA of {1 / best:,.4g}"
        wish = f"{target:,.4g} {frame.span}"
        raise Infeasible(
            f"no split within the bounds is better than {reached}, but budget.target asks for {wish}; "
            f"ask for less, or widen {frame.question.bounding}"
        )
    return reach_target(curves, low, high, roas, today)


def check_budget(question: BudgetQuestion, budget: float, limits: Floats, span: str) -> None:
    """Raise Infeasible if the bounds of all channels (2, c) do not allow the budget; money over the dates."""
    least, most = (float(limit.sum()) for limit in limits)
    if misfit := question.misfit(budget, least, most, span):
        raise Infeasible(misfit)
