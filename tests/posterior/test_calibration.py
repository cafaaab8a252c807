"""Worlds drawn from the prior: the truth must rank anywhere in the posterior with equal probability.

The limits are four standard errors wide: chance breaks one of them once in thousands of changes.
"""

from __future__ import annotations

import numpy as np
import pytest

from infra.local.calibration import rank, world


def ranks(worlds: range, **kind: object) -> np.ndarray:
    found = [rank(world(seed, **kind), seed) for seed in worlds]
    assert sum(one is None for one in found) <= 1, "chains do not agree"
    return np.concatenate([one for one in found if one is not None])


@pytest.mark.parametrize(
    ("adstock", "studies", "worlds"),
    [
        ("geometric", False, range(22)),
        ("geometric", True, range(100, 112)),
        ("weibull_cdf", False, range(200, 206)),
        ("weibull_pdf", False, range(300, 306)),
    ],
)
def test_the_truth_ranks_anywhere_with_equal_probability(adstock: str, studies: bool, worlds: range) -> None:
    found = ranks(worlds, adstock=adstock, studies=studies, rows=90)
    error = 4 / np.sqrt(len(found))
    assert abs(found.mean() / 99 - 0.5) < error * np.sqrt(1 / 12)
    for share in (0.5, 0.8, 0.9):
        inside = (np.abs(found - 49.5) <= 50 * share).mean()
        assert abs(inside - share) < error * np.sqrt(share * (1 - share)), f"{share:.0%} hold {inside:.0%}"
