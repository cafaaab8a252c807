"""The best split of money over channels with saturating responses (Robyn 3.12.1, robyn_allocator).

Every channel has a Hill curve over its spend and average carry-over. With shape `alpha` > 1 a curve is
S-shaped and the problem has local optima. A price per unit of response finds the best split of any concave
curves exactly; from there, from the lower bounds and from further starts, sequential quadratic programming
goes on, and the best split of all counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from trainer.engines.common import Floats
from trainer.engines.native.records import MediaAnswer

_HALVINGS = 80
"""Bisection steps, more than a double has bits."""
_RANDOM_STARTS = 8
"""Random starts of the descent, beside the three that are not random."""
_SEED = 1
"""Of the random starts, so that the same question has the same answer."""
_TOLERANCE = 1e-9
"""Relative tolerance of a ROAS and its target."""
_LEAST_INPUT = 1e-9
"""Smallest input at which a slope is taken, as a share of the inflexion."""


class Responses(Protocol):
    """What c channels earn with (c,) spends, and the derivative of it."""

    def response(self, spend: Floats) -> Floats:
        """(c,) in units of the dependent variable."""

    def slope(self, spend: Floats) -> Floats:
        """(c,) derivative of the response."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Response curves of c channels, upon the average carry-over (robyn-spec §15.1); arrays are (c,)."""

    coefficient: Floats
    alpha: Floats
    inflexion: Floats
    carryover: Floats

    def response(self, spend: Floats) -> Floats:
        """Response per period to (c,) spends per period, in units of the dependent variable."""
        total = (spend + self.carryover) ** self.alpha
        half = self.inflexion**self.alpha
        response: Floats = self.coefficient * np.divide(
            total, total + half, out=np.zeros_like(total), where=total > 0
        )
        return response

    def slope(self, spend: Floats) -> Floats:
        """Derivative of the response; at no input at all, where it may be infinite, the one next to it."""
        total = np.maximum(spend + self.carryover, _LEAST_INPUT * self.inflexion)
        half = self.inflexion**self.alpha
        slope: Floats = (
            self.coefficient * self.alpha * half * total ** (self.alpha - 1) / (total**self.alpha + half) ** 2
        )
        return slope

    def concave_from(self) -> Floats:
        """The spend from which on a curve bends down; not positive for curves that always do."""
        shape = np.maximum(self.alpha, 1.0)
        start: Floats = self.inflexion * ((shape - 1) / (shape + 1)) ** (1 / shape) - self.carryover
        return start


def curves_of(media: list[MediaAnswer]) -> Curves:
    """The curves of these channels of one model."""
    return Curves(
        coefficient=np.array([channel.coefficient for channel in media]),
        alpha=np.array([channel.alpha for channel in media]),
        inflexion=np.array([channel.inflexion for channel in media]),
        carryover=np.array([channel.carryover.mean() for channel in media]),
    )


def spend_budget(curves: Curves, low: Floats, high: Floats, budget: float, today: Floats) -> Floats:
    """The spends within [low, high] that sum to `budget` and earn the largest response.

    `today` is one more start, so that the answer is never worse than it where it is allowed. `budget` must
    lie between the sums of `low` and `high`.
    """
    high = np.clip(budget - low.sum() + low, low, high)  # at most what the others' lower bounds leave

    def settle(spend: Floats) -> Floats:
        """Within the bounds, and what is missing or too much spread over the room that is left."""
        spend = np.clip(spend, low, high)
        gap = budget - spend.sum()
        room = (high if gap > 0 else low) - spend
        return spend + (room * min(gap / room.sum(), 1.0) if room.any() else 0.0)

    rule = {"type": "eq", "fun": lambda spend: spend.sum() - budget, "jac": np.ones_like}
    prices = _bracket(
        lambda price: bool(_at_price(curves, low, high, price).sum() <= budget), _steepest(curves, low, high)
    )
    starts = [settle(start) for start in _starts(curves, low, high, prices, today)]
    found = [settle(descend(curves, low, high, start, rule, budget or 1.0)) for start in starts]
    return _most(curves, starts + found)


def reach_target(curves: Curves, low: Floats, high: Floats, target: float, today: Floats) -> Floats:
    """The spends within [low, high] of the largest response whose ROAS is at least `target`.

    The target is met exactly unless even the upper bounds are better than that. It must not be above
    `best_roas`; `today` is one more start.
    """

    def slack(spend: Floats) -> float:
        return float(curves.response(spend).sum() - target * spend.sum())

    def allowed(spend: Floats) -> bool:
        return bool(slack(spend) >= -_TOLERANCE * target * spend.sum())

    rule = {"type": "ineq", "fun": slack, "jac": lambda spend: curves.slope(spend) - target}
    prices = _bracket(lambda price: slack(_at_price(curves, low, high, price)) >= 0, target)
    starts = list(_starts(curves, low, high, prices, today))
    scale = max(float(starts[1].sum()), _TOLERANCE * float(high.sum()))
    found = [descend(curves, low, high, start, rule, scale) for start in starts]
    return _most(curves, [spend for spend in starts + found if allowed(spend)])


def best_roas(curves: Curves, low: Floats, high: Floats) -> float:
    """The largest ROAS of any split, infinite if the carry-over may earn it alone.

    A better one is looked for until there is none (Dinkelbach's method for ratios).
    """
    roas = 0.0
    while True:
        spend = _at_price(curves, low, high, roas)
        response, total = float(curves.response(spend).sum()), float(spend.sum())
        if response <= roas * total * (1 + _TOLERANCE):
            return roas
        if not total:
            return np.inf
        roas = response / total


def _at_price(curves: Curves, low: Floats, high: Floats, price: float) -> Floats:
    """The spends within [low, high] that earn most if a unit of money costs `price` units of response."""
    left, right = np.clip(curves.concave_from(), low, high), high.copy()
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        worth = curves.slope(middle) > price
        left, right = np.where(worth, middle, left), np.where(worth, right, middle)
    gain = curves.response(right) - curves.response(low) - price * (right - low)
    return np.where(gain > 0, right, low)


def _bracket(cheap_enough: Callable[[float], bool], highest: float) -> tuple[float, float]:
    """The price at which the answer turns true, from below and from above; both 0 if it always is."""
    if cheap_enough(0.0):
        return 0.0, 0.0
    below, above = 0.0, highest
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        below, above = (below, middle) if cheap_enough(middle) else (middle, above)
    return below, above


def _steepest(curves: Curves, low: Floats, high: Floats) -> float:
    """The largest slope of any curve within its bounds: at this price the lower bounds are best."""
    return float(curves.slope(np.clip(curves.concave_from(), low, high)).max())


def _starts(
    curves: Curves, low: Floats, high: Floats, prices: tuple[float, float], today: Floats
) -> Iterator[Floats]:
    for price in prices:
        yield _at_price(curves, low, high, price)
    yield low
    yield np.clip(today, low, high)
    random = np.random.default_rng(_SEED)
    for _ in range(_RANDOM_STARTS):
        yield low + (high - low) * random.uniform(size=len(low))


def descend(
    curves: Responses, low: Floats, high: Floats, start: Floats, rule: dict[str, Any], scale: float
) -> Floats:
    """Sequential quadratic programming (SLSQP) from a start, in units of `scale`; may stop where it is."""
    from scipy.optimize import minimize  # imported only now: most trainings ask no budget question

    worth = float(np.abs(curves.response(high)).sum()) or 1.0
    found = minimize(
        lambda share: -curves.response(share * scale).sum() / worth,
        start / scale,
        jac=lambda share: -curves.slope(share * scale) * scale / worth,
        bounds=np.column_stack([low, high]) / scale,
        constraints={
            "type": rule["type"],
            "fun": lambda share: rule["fun"](share * scale) / scale,
            "jac": lambda share: rule["jac"](share * scale),
        },
        method="SLSQP",
        options={"maxiter": 200, "ftol": 1e-14},
    )
    return np.clip(np.where(np.isfinite(found.x), found.x * scale, start), low, high)


def _most(curves: Curves, splits: list[Floats]) -> Floats:
    return max(splits, key=lambda spend: curves.response(spend).sum())
