"""The split of money over channels that earns most, whatever the form of their curves.

What channels earn adds up, and each depends on its own spend only. So on a grid of a thousand steps of money
dynamic programming over the channels finds the best of all splits, S-shaped curves or not; from there
sequential quadratic programming goes on between the steps. Of many curves, as of the channels of many
regions, that would take minutes; there the grid is laid again, finer, around what was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.engines.common import Floats
from trainer.engines.native.budget.allocator import descend

STEPS = 1000
"""Of the grid, from the least to the most that can be spent in all."""
MANY = 30
"""Curves from which on the grid is made finer instead."""
_ROUNDS, _FINER, _NEAR = 6, 4, 2
"""How often, by which factor, and how many steps of the former grid the finer one reaches, up and down."""
_BISECTIONS = 14
_ALIKE = 1e-12
"""Relative difference below which two amounts are the same."""


class Curve:
    """What one channel is expected to earn, from a few of its spends: a cubic spline through them."""

    def __init__(self, spends: Floats, earned: Floats) -> None:
        """`spends` (F,) ascend, in currency; `earned` (F,) is in units of the dependent variable.

        A single spend is a constant.
        """
        from scipy.interpolate import CubicSpline  # imported only now: most trainings ask no budget question

        self._constant = float(earned[0])
        self._spline: Any = CubicSpline(spends, earned) if len(spends) > 1 else None

    def __call__(self, spends: Any, derivative: int = 0) -> Any:
        """What spends within the range earn, or the derivative of it."""
        if self._spline is None:
            return np.zeros_like(spends) + (0.0 if derivative else self._constant)
        return self._spline(spends, derivative)


class Curves:
    """Curves of c channels as `Responses`."""

    def __init__(self, curves: Sequence[Curve]) -> None:
        self.curves = curves

    def response(self, spend: Floats) -> Floats:
        """(c,) expected to be earned with (c,) spends."""
        return np.array([float(curve(one)) for curve, one in zip(self.curves, spend, strict=True)])

    def slope(self, spend: Floats) -> Floats:
        """(c,) derivative of the response."""
        return np.array([float(curve(one, 1)) for curve, one in zip(self.curves, spend, strict=True)])


POOLED = 11
"""Totals of channels that are bounded together for which their best split is looked for."""


class Pooled:
    """Curves of what c channels, some of them bounded together, earn with their best split."""

    def __init__(
        self,
        curves: Curves,
        pools: Sequence[Sequence[int]],
        low: Floats,
        high: Floats,
        least: Floats,
        most: Floats,
    ) -> None:
        """`pools` (p,) hold each channel once; `low`, `high` (c,) bound it, `least`, `most` (p,) its pool."""
        self._curves, self._pools, self._low, self._high = curves, pools, low, high
        self.curves = Curves(
            [
                curves.curves[pool[0]] if len(pool) == 1 else self._together(pool, *ends)
                for pool, *ends in zip(pools, least, most, strict=True)
            ]
        )
        """(p,)."""

    def split(self, totals: Floats) -> Floats:
        """(c,) the best spends with totals (p,)."""
        spends = np.empty(len(self._low))
        for pool, total in zip(self._pools, totals, strict=True):
            spends[list(pool)] = self._split(pool, float(total))
        return spends

    def _split(self, pool: Sequence[int], total: float) -> Floats:
        if len(pool) == 1:
            return np.array([total])
        places = list(pool)
        return best_split(self._of(pool), self._low[places], self._high[places], total)

    def _together(self, pool: Sequence[int], least: float, most: float) -> Curve:
        totals = np.linspace(least, most, POOLED) if most > least else np.array([least])
        members = self._of(pool)
        earned = [members.response(self._split(pool, float(total))).sum() for total in totals]
        return Curve(totals, np.array(earned))

    def _of(self, pool: Sequence[int]) -> Curves:
        return Curves([self._curves.curves[i] for i in pool])


def best_split(curves: Curves, low: Floats, high: Floats, budget: float) -> Floats:
    """The spends (c,) within [low, high] that sum to `budget` and earn most.

    `budget` must lie between the sums of `low` and `high`.
    """
    step = (budget - low.sum()) / STEPS
    if step <= _ALIKE * abs(budget):
        return _settled(low, low, high, budget)
    grid = _Grid(curves, low, high, step)
    start = _settled(grid.split(STEPS), low, high, budget)
    if len(low) > MANY:
        return _finer(curves, low, high, budget, start, step)
    rule = {"type": "eq", "fun": lambda spend: spend.sum() - budget, "jac": np.ones_like}
    found = _settled(descend(curves, low, high, start, rule, budget), low, high, budget)
    return max((start, found), key=lambda spend: curves.response(spend).sum())


def best_roas(curves: Curves, low: Floats, high: Floats) -> float:
    """The largest that is earned per unit of currency by any split, infinite where nothing need be spent."""
    _, earned, spends = _frontier(curves, low, high)
    return float(np.max(earned / spends)) if spends.min() > 0 else np.inf


def most_at_roas(curves: Curves, low: Floats, high: Floats, roas: float) -> Floats:
    """The spends (c,) within [low, high] that earn most if each unit of currency must earn `roas` on average.

    `roas` must not be above `best_roas`.
    """

    def slack(spend: Floats) -> float:
        return float(curves.response(spend).sum() - roas * spend.sum())

    grid, earned, spends = _frontier(curves, low, high)
    reached = np.flatnonzero(earned >= roas * spends * (1 - _ALIKE))
    start = np.clip(grid.split(int(reached[-1])), low, high) if grid else low
    if grid and len(low) > MANY:
        least, most = float(start.sum()), float(high.sum())
        for _ in range(_BISECTIONS):
            middle = (least + most) / 2
            found = best_split(curves, low, high, middle)
            if slack(found) >= 0:
                start, least = found, middle
            else:
                most = middle
        return start
    rule = {"type": "ineq", "fun": slack, "jac": lambda spend: curves.slope(spend) - roas}
    found = descend(
        curves, low, high, start, rule, max(float(start.sum()), _ALIKE * float(high.sum()), _ALIKE)
    )
    found = _on_bounds(found, low, high)
    allowed = [found] if slack(found) >= -1e-9 * roas * found.sum() else []
    return max((start, *allowed), key=lambda spend: curves.response(spend).sum())


def _finer(curves: Curves, low: Floats, high: Floats, budget: float, start: Floats, step: float) -> Floats:
    """The best split of `budget` near `start`, which spends it, on grids of ever smaller steps."""
    for _ in range(_ROUNDS):
        bottom, top = np.maximum(start - _NEAR * step, low), np.minimum(start + _NEAR * step, high)
        steps = int(np.ceil((budget - bottom.sum()) / step * _FINER))
        if steps < 1:
            break
        step = (budget - bottom.sum()) / steps
        found = _settled(_Grid(curves, bottom, top, step, steps).split(steps), low, high, budget)
        start = max((start, found), key=lambda spend: curves.response(spend).sum())
    return start


def _frontier(curves: Curves, low: Floats, high: Floats) -> tuple[_Grid | None, Floats, Floats]:
    """The grid, if there is room, and the most that is earned by each total spend (both (steps + 1,))."""
    step = (high.sum() - low.sum()) / STEPS
    if step <= _ALIKE * high.sum():
        return None, np.array([curves.response(low).sum()]), np.array([low.sum()])
    grid = _Grid(curves, low, high, step)
    return grid, grid.most, low.sum() + step * np.arange(STEPS + 1)


class _Grid:
    """The best splits of 0, 1, ... steps of money over all channels, above what each must have."""

    def __init__(self, curves: Curves, low: Floats, high: Floats, step: float, steps: int = STEPS) -> None:
        self.low, self.high, self.step, self.steps = low, high, step, steps
        self.most = np.zeros(steps + 1)
        self.choices: list[NDArray[np.int64]] = []
        for curve, least, largest in zip(curves.curves, low, high, strict=True):
            count = min(int(np.ceil((largest - least) / step * (1 - _ALIKE))), steps)
            self._add(curve(np.minimum(least + step * np.arange(count + 1), largest)))

    def _add(self, earned: Floats) -> None:
        """One more channel, which earns (levels,) with 0, 1, ... steps."""
        best, choice = np.full(self.steps + 1, -np.inf), np.zeros(self.steps + 1, dtype=np.int64)
        for level, one in enumerate(earned):
            total = self.most[: self.steps + 1 - level] + one
            better = total > best[level:]
            best[level:][better] = total[better]
            choice[level:][better] = level
        self.most = best
        self.choices.append(choice)

    def split(self, steps: int) -> Floats:
        """The best spends (c,) with so many steps."""
        spends = np.empty(len(self.low))
        for i in range(len(spends) - 1, -1, -1):
            level = int(self.choices[i][steps])
            spends[i] = min(self.low[i] + level * self.step, self.high[i])
            steps -= level
        return spends


def _settled(spend: Floats, low: Floats, high: Floats, budget: float) -> Floats:
    """Within the bounds, and what is missing or too much spread over the room that is left."""
    spend = np.clip(spend, low, high)
    gap = budget - spend.sum()
    room = (high if gap > 0 else low) - spend
    return _on_bounds(spend + (room * min(gap / room.sum(), 1.0) if room.any() else 0.0), low, high)


def _on_bounds(spend: Floats, low: Floats, high: Floats) -> Floats:
    """With what differs from a bound by rounding only, as nothing does from 4e-11, on that bound."""
    near = _ALIKE * spend.sum()
    return np.where(spend - low <= near, low, np.where(high - spend <= near, high, spend))
