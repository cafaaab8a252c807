"""The search against nevergrad, which Robyn calls: given the same losses, the same proposals bit for bit."""

from __future__ import annotations

from typing import Any

import nevergrad
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.engine.golden import load
from trainer.engines.common import Floats
from trainer.engines.native.search.evaluator import hyperparameter_names
from trainer.engines.native.search.evolution import Evolution, evolution, propose, tell
from trainer.engines.native.search.kernel import round_significant
from trainer.engines.native.search.trials import Plan, dimensions, run_trial


def nevergrads(seed: int, losses: Floats, dimensions: int, weights: tuple[float, ...]) -> Floats:
    """Set up as Robyn does with one core (robyn-spec §6.2)."""
    np.random.seed(seed)
    space = nevergrad.p.Array(shape=(dimensions,), lower=0, upper=1)
    optimizer: Any = nevergrad.optimizers.registry["TwoPointsDE"](space, budget=len(losses), num_workers=1)
    optimizer.tell(nevergrad.p.MultiobjectiveReference(), (1.0,) * len(weights))
    optimizer.set_objective_weights(weights)
    proposals = []
    for loss in losses:
        candidate = optimizer.ask()
        proposals.append(candidate.value)
        optimizer.tell(candidate, tuple(loss.tolist()))
    return np.array(proposals)


def ours(seed: int, losses: Floats, dimensions: int, weights: tuple[float, ...]) -> Floats:
    state: Evolution = evolution(seed, len(losses), dimensions, weights)
    for i, loss in enumerate(losses):
        propose(state, i)
        state.losses[i] = loss
        tell(state, i)
    return state.proposals


def some_losses(seed: int, shape: tuple[int, int], kind: str) -> Floats:
    random = np.random.default_rng(seed)
    losses = np.abs(random.normal(0.5, 0.4, shape))
    if kind == "falling":  # many members of the front, and replaced often
        losses += np.linspace(1, 0, len(losses))[:, None]
    if kind == "opposed":  # nearly everybody is on the front
        losses[:, 1] = 1 / (0.01 + losses[:, 0])
    if kind == "coarse":  # equal losses
        losses = np.round(losses, 1)
    if kind == "broken":  # a fit that did not converge, a study that has no effect
        losses[random.random(shape) < 0.15] = np.inf
        losses[random.random(shape) < 0.15] = np.nan
    return losses


KINDS = ("random", "falling", "opposed", "coarse", "broken")
weight = st.floats(0, 10).filter(lambda value: value == 0 or value > 1e-6)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    dimensions=st.integers(1, 45),
    budget=st.integers(1, 150),
    weights=st.one_of(st.tuples(weight, weight), st.tuples(weight, weight, weight)).filter(any),
    kind=st.sampled_from(KINDS),
)
@example(seed=0, dimensions=4, budget=300, weights=(1.0, 1.0), kind="opposed")
@example(seed=2**32 - 1, dimensions=3, budget=31, weights=(0.0, 1.0, 1.0), kind="falling")
def test_proposals_are_nevergrads_bit_for_bit(
    seed: int, dimensions: int, budget: int, weights: tuple[float, ...], kind: str
) -> None:
    losses = some_losses(seed, (budget, len(weights)), kind)
    expected = nevergrads(seed, losses, dimensions, weights)
    actual = ours(seed, losses, dimensions, weights)
    np.testing.assert_array_equal(actual.view(np.int64), expected.view(np.int64))


@pytest.mark.parametrize("name", ["weekly_geometric", "weekly_calibrated"])
def test_two_thousand_of_our_own_losses_lead_nevergrad_to_the_same_candidates(name: str) -> None:
    inputs = load(name).inputs
    plan = Plan(iterations=2000, trials=1, seed=123)
    trace = run_trial(inputs, plan, 1, lambda _: None)
    weights = (1.0,) * (3 if inputs.studies else 2)
    proposals = nevergrads(plan.seed + 1, trace.outcome[:, : len(weights)], len(dimensions(inputs)), weights)
    names = hyperparameter_names(inputs)
    for i, (searched, (low, high)) in enumerate(dimensions(inputs).items()):
        rounded = np.array([round_significant(value) for value in proposals[:, i]])
        expected = low + rounded * (high - low)
        np.testing.assert_array_equal(trace.hyper[:, names.index(searched)], expected)
