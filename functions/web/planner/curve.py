"""What a channel earns with any spend, between the factors of its curve."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from math import sqrt

from contracts.curves import CurveChannel

_POINTS = 4


class Curve:
    """One channel over the dates asked about: cubic polynomials in the square root of the factor.

    In that scale the factors are nearly evenly apart, and a curve that begins steeply is smooth.
    """

    def __init__(self, channel: CurveChannel, factors: Sequence[float]) -> None:
        self.channel = channel
        self._factors = factors
        self._roots = [sqrt(factor) for factor in factors]

    @property
    def most(self) -> float:
        """The largest spend that is known, in currency over the dates."""
        return self._factors[-1] * self.channel.spend

    @cached_property
    def _means(self) -> list[float]:
        return [sum(both) for both in zip(self.channel.response, self.channel.carry_out, strict=True)]

    @cached_property
    def _draws(self) -> list[list[float]]:
        return self.channel.draws()

    def mean(self, spend: float) -> float:
        """What is expected to be earned, in the dates and after them."""
        return self._at(self._means, spend)

    def parts(self, spend: float) -> tuple[float, float]:
        """What is expected to be earned in the dates, and after them."""
        return self._at(self.channel.response, spend), self._at(self.channel.carry_out, spend)

    def draws(self, spend: float) -> list[float]:
        """What each draw earns, in the dates and after them; empty of a channel without media."""
        first, weights = self._place(spend)
        return [_weighted(weights, row[first:]) for row in self._draws]

    def _at(self, values: Sequence[float], spend: float) -> float:
        first, weights = self._place(spend)
        return _weighted(weights, values[first : first + _POINTS])

    def _place(self, spend: float) -> tuple[int, list[float]]:
        """The first of the four factors nearest to a spend, and Lagrange's weights for them."""
        factor = spend / self.channel.spend if self.channel.spend else 0.0
        root = sqrt(min(max(factor, 0.0), self._factors[-1]))
        last = len(self._roots) - _POINTS
        first = min(max(bisect_right(self._roots, root) - _POINTS // 2, 0), last)
        nodes = self._roots[first : first + _POINTS]
        weights = []
        for node in nodes:
            weight = 1.0
            for other in nodes:
                if other != node:
                    weight *= (root - other) / (node - other)
            weights.append(weight)
        return first, weights


def _weighted(weights: Sequence[float], values: Sequence[float]) -> float:
    return sum(weight * value for weight, value in zip(weights, values, strict=False))
