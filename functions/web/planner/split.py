"""The split of money over channels that is expected to earn most, whatever the form of their curves.

What channels earn adds up, so on a grid of money dynamic programming over the channels finds the best of all
splits, S-shaped curves or not. The grid is then laid again, finer, around what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, inf

Earn = Callable[[float], float]
"""What a channel earns with a spend."""

STEPS = 400
"""Of the first grid, from the least to the most that can be spent in all."""
_FINER, _OF_EACH = 120, 4
"""Steps of each finer grid, and how many there are at least of each channel."""
_ROUNDS = 4
_NEAR = 2
"""How many steps of the former grid a finer one reaches, up and down."""
_BISECTIONS = 16
_ALIKE = 1e-12


@dataclass(frozen=True)
class Grid:
    """The most that 0, 1, ... steps of money over all channels earn, above what each must have."""

    earns: Sequence[Earn]
    low: Sequence[float]
    high: Sequence[float]
    step: float
    steps: int

    @cached_property
    def _found(self) -> tuple[list[float], list[list[int]]]:
        most, choices = [0.0] * (self.steps + 1), []
        for earn, least, largest in zip(self.earns, self.low, self.high, strict=True):
            count = min(ceil((largest - least) / self.step * (1 - _ALIKE)), self.steps)
            earned = [earn(min(least + self.step * level, largest)) for level in range(count + 1)]
            best, choice = [-inf] * (self.steps + 1), [0] * (self.steps + 1)
            for level, one in enumerate(earned):
                for total in range(level, self.steps + 1):
                    candidate = most[total - level] + one
                    if candidate > best[total]:
                        best[total], choice[total] = candidate, level
            most = best
            choices.append(choice)
        return most, choices

    @property
    def most(self) -> list[float]:
        """(steps + 1,) what the best split of each total earns."""
        return self._found[0]

    def split(self, steps: int) -> list[float]:
        """The best spends with so many steps."""
        spends = []
        for i in range(len(self.low) - 1, -1, -1):
            level = self._found[1][i][steps]
            spends.append(min(self.low[i] + level * self.step, self.high[i]))
            steps -= level
        return spends[::-1]


def best_split(
    earns: Sequence[Earn], low: Sequence[float], high: Sequence[float], budget: float
) -> list[float]:
    """The spends within [low, high] that sum to `budget`, which the bounds must allow, and earn most."""
    return _refined(earns, low, high, budget, low, high, STEPS)


def most_at_roas(
    earns: Sequence[Earn], low: Sequence[float], high: Sequence[float], roas: float
) -> tuple[list[float], float]:
    """The spends that earn most if each unit of currency must earn `roas` on average, and the best ROAS.

    Where `roas` is above that of every split, it is the split with the best one.
    """
    least, room = sum(low), sum(high) - sum(low)
    if room <= _ALIKE * sum(high):
        earned = _earned(earns, low)
        return list(low), earned / least if least > 0 else inf
    grid = Grid(earns, low, high, room / STEPS, STEPS)
    totals = [least + grid.step * k for k in range(STEPS + 1)]
    ratios = [one / total if total > 0 else inf for one, total in zip(grid.most, totals, strict=True)]
    best = max(ratios)
    reached = [k for k, ratio in enumerate(ratios) if ratio >= roas * (1 - _ALIKE)]
    if not reached:
        return grid.split(ratios.index(best)), best
    place = reached[-1]
    start, found = grid.split(place), grid.split(place)
    if place < STEPS:
        ends = _around(start, low, high, 2 * grid.step)
        bottom, top = totals[place], totals[place + 1]
        for _ in range(_BISECTIONS):
            middle = (bottom + top) / 2
            candidate = _refined(earns, low, high, middle, *ends, _FINER)
            if _earned(earns, candidate) >= roas * middle:
                bottom, found = middle, candidate
            else:
                top = middle
    return found, best


def _refined(
    earns: Sequence[Earn],
    low: Sequence[float],
    high: Sequence[float],
    budget: float,
    bottom: Sequence[float],
    top: Sequence[float],
    steps: int,
) -> list[float]:
    """The best split between `bottom` and `top`, on grids that get finer within `low` and `high`."""
    found = _settled(bottom, low, high, budget)
    for _ in range(_ROUNDS):
        step = (budget - sum(bottom)) / steps
        if step <= _ALIKE * abs(budget):
            break
        grid = Grid(earns, bottom, top, step, steps)
        candidate = _settled(grid.split(steps), low, high, budget)
        found = max((found, candidate), key=lambda spends: _earned(earns, spends))
        bottom, top = _around(found, low, high, _NEAR * step)
        steps = max(_FINER, _OF_EACH * len(low))
    return found


def _around(
    spends: Sequence[float], low: Sequence[float], high: Sequence[float], reach: float
) -> tuple[list[float], list[float]]:
    bottom = [max(spend - reach, least) for spend, least in zip(spends, low, strict=True)]
    return bottom, [min(spend + reach, most) for spend, most in zip(spends, high, strict=True)]


def _earned(earns: Sequence[Earn], spends: Sequence[float]) -> float:
    return sum(earn(spend) for earn, spend in zip(earns, spends, strict=True))


def _settled(
    spends: Sequence[float], low: Sequence[float], high: Sequence[float], budget: float
) -> list[float]:
    """Within the bounds, and what is missing or too much spread over the room that is left."""
    spends = [min(max(one, a), b) for one, a, b in zip(spends, low, high, strict=True)]
    gap = budget - sum(spends)
    ends = high if gap > 0 else low
    room = [end - one for end, one in zip(ends, spends, strict=True)]
    whole = sum(room)
    share = min(gap / whole, 1.0) if whole else 0.0
    return [one + share * left for one, left in zip(spends, room, strict=True)]
