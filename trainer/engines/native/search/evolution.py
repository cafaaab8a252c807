"""Two-points differential evolution with a Pareto archive: nevergrad 1.0.12's TwoPointsDE as Robyn uses it.

Given the same losses it proposes the same numbers, bit for bit: the same random draws in the same order (the
Mersenne Twister and the integer draws of numpy's RandomState), the same order of every sum. One candidate is
asked and told at a time, as Robyn does on one core; so the 30 lineages take turns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.engines.common import Floats
from trainer.engines.native.search.machine_code import compiled

Integers = NDArray[np.int64]

POPULATION = 30
"""Lineages, as many as nevergrad has by default."""
_CENTRE, _SIGMA = 0.5, 1.0 / 6
"""Centre and scale of a bounded parameter in nevergrad; its own numbers are (value - centre) / scale."""
_FACTOR = 0.8
"""Differential weight of both differences, F1 and F2."""
_WORDS, _SHIFT = 624, 397
"""Length of the Mersenne Twister's state, and the offset at which its words are combined."""
_POSITION, _FRONT, _FILTERED, _MOVED = range(4)
"""Places in `Evolution.counters`."""


class Evolution(NamedTuple):
    """The state of one trial; candidates are known by their row, 0-based in the order of the proposals."""

    proposals: Floats  # (k, d) in [0, 1]; rows from POPULATION on are written by `propose`
    losses: Floats  # (k, objectives), written by the caller before `tell`
    weights: Floats  # (objectives,)
    population: Integers  # (POPULATION,) the candidate that holds each lineage
    front: Integers  # (k,) the archive: first those that passed the filter, in order, then the new ones
    counters: Integers  # (4,) words drawn, size of the archive, how many of it are filtered, moved at
    words: Integers  # (624,) the Mersenne Twister's, 32 bits each
    order: Integers  # (max(k, d + 1),) scratch
    donor: Floats  # (d,) scratch


def evolution(
    seed: int, iterations: int, dimensions: int, weights: tuple[float, ...], start: Floats | None = None
) -> Evolution:
    """A new search for `iterations` candidates; the first 30 are Gaussian around the middle.

    `seed` is that of numpy's global state, from which nevergrad draws the seed of its own. The rows of
    `start`, (s, d) in [0, 1], take the place of the first s of the 30; where one is NaN the draw stays.
    """
    own = np.random.RandomState(seed).randint(2**32, dtype=np.uint32)
    random = np.random.RandomState(own)
    proposals = np.zeros((iterations, dimensions))
    for row in proposals[:POPULATION]:
        row[:] = _SIGMA * (random.normal(0, 1, dimensions) + _CENTRE / _SIGMA)
        random.rand()  # at each of the first answers nevergrad draws too, without an effect
    _, words, position, *_ = random.get_state(legacy=True)
    bounce(proposals)
    if start is not None:
        first = proposals[: min(len(start), POPULATION)]
        first[:] = np.where(np.isnan(start[: len(first)]), first, start[: len(first)])
    return Evolution(
        proposals=proposals,
        losses=np.zeros((iterations, len(weights))),
        weights=np.array(weights, dtype=float),
        population=np.arange(POPULATION),
        front=np.zeros(iterations, dtype=np.int64),
        counters=np.array([position, 0, 0, 0]),
        words=np.array(words, dtype=np.int64),
        order=np.zeros(max(iterations, dimensions + 1), dtype=np.int64),
        donor=np.zeros(dimensions),
    )


@compiled
def bounce(values: Any) -> None:
    """Reflect what is outside [0, 1] at the border, once, and clip the rest."""
    flat = values.reshape(-1)
    for i in range(len(flat)):
        if flat[i] < 0.0:
            flat[i] = min(-flat[i], 1.0)
        elif flat[i] > 1.0:
            flat[i] = max(2.0 - flat[i], 0.0)


@compiled
def _refill(words: Any) -> None:
    """The next 624 words (Matsumoto and Nishimura, Mersenne Twister, 1998)."""
    for i in range(_WORDS):
        mixed = (words[i] & 0x80000000) | (words[(i + 1) % _WORDS] & 0x7FFFFFFF)
        words[i] = words[(i + _SHIFT) % _WORDS] ^ (mixed >> 1) ^ (0x9908B0DF * (mixed & 1))


@compiled
def _word(state: Evolution) -> int:
    """A random integer of 32 bits."""
    if state.counters[_POSITION] == _WORDS:
        _refill(state.words)
        state.counters[_POSITION] = 0
    word = state.words[state.counters[_POSITION]]
    state.counters[_POSITION] += 1
    word ^= word >> 11
    word ^= (word << 7) & 0x9D2C5680
    word ^= (word << 15) & 0xEFC60000
    return int(word ^ (word >> 18))


@compiled
def _uniform(state: Evolution) -> float:
    """A random number in [0, 1) of 53 bits."""
    high = _word(state) >> 5
    return ((high * 67108864.0) + (_word(state) >> 6)) / 9007199254740992.0


@compiled
def _below(state: Evolution, count: int) -> int:
    """A random integer in 0 .. count - 1: words cut to the needed bits until one is small enough."""
    largest = count - 1
    if largest == 0:
        return 0
    mask = 1
    while mask < largest:
        mask = 2 * mask + 1
    drawn = _word(state) & mask
    while drawn > largest:
        drawn = _word(state) & mask
    return drawn


@compiled
def _two_of(state: Evolution, count: int) -> tuple[int, int]:
    """Two different integers in 0 .. count - 1: the first of a shuffled list."""
    order = state.order
    for i in range(count):
        order[i] = i
    for i in range(count - 1, 0, -1):
        j = _below(state, i + 1)
        order[i], order[j] = order[j], order[i]
    return order[0], order[1]


@compiled
def _improves(losses: Any, new: int, old: int) -> bool:
    """Whether candidate `new` is better than `old` in any objective; never where the two compare as NaN."""
    improves = False
    for j in range(losses.shape[1]):
        improves |= losses[new, j] < losses[old, j]
    return improves


@compiled
def _filter_front(state: Evolution, moved: int) -> None:
    """Drop from the archive what is dominated; of equals the oldest stays.

    One after another, each member drops the others that are in no objective better than itself. Those that
    passed before need not be compared with each other again.
    """
    front, counters = state.front, state.counters
    filtered, size = counters[_FILTERED], counters[_FRONT]
    i = 0
    while i < size:
        judge, stays, kept, passed = front[i], i, 0, filtered
        for k in range(size):
            compared = k != i and (k >= filtered or i >= filtered)
            if compared and not _improves(state.losses, front[k], judge):
                passed -= k < filtered
                continue
            if k == i:
                stays = kept
            front[kept] = front[k]
            kept += 1
        i, size, filtered = stays + 1, kept, passed
    if size != filtered:
        counters[_MOVED] = moved
    counters[_FRONT], counters[_FILTERED] = size, size


@compiled
def _cross(state: Evolution, parent: Any) -> None:
    """Copy a part of the parent back into the donor: outside or inside of two cuts; gene by gene if few."""
    donor = state.donor
    size = len(donor)
    if size < 4:
        kept = _below(state, size)
        for j in range(size):
            if j != kept and _uniform(state) > 0.5:
                donor[j] = parent[j]
        return
    first, second = _two_of(state, size + 1)
    low, high = min(first, second), max(first, second)
    if low == 0 and high == size:
        cut = 1 + _below(state, size - 1)
        if _below(state, 2) == 0:
            low = cut
        else:
            high = cut
    inside = _below(state, 2) == 0
    for j in range(size):
        if (low <= j < high) == inside:
            donor[j] = parent[j]


@compiled
def propose(state: Evolution, i: int) -> None:
    """Write proposal i; every earlier candidate must have been told."""
    if i < POPULATION:
        return
    own = state.population[i % POPULATION]
    a, b = _below(state, POPULATION), _below(state, POPULATION)
    a, b = state.population[a], state.population[b]
    _filter_front(state, i)
    front, size = state.front, state.counters[_FRONT]
    best = own
    on_front = False
    for k in range(size):
        on_front |= front[k] == own
    if not on_front:
        best = front[_below(state, size)]
    if size > 2:
        a, b = _two_of(state, size)
        a, b = front[a], front[b]
    proposals = state.proposals
    parent = (proposals[own] - _CENTRE) / _SIGMA
    for j in range(len(parent)):
        spread = (proposals[a, j] - _CENTRE) / _SIGMA - (proposals[b, j] - _CENTRE) / _SIGMA
        pull = (proposals[best, j] - _CENTRE) / _SIGMA - parent[j]
        state.donor[j] = parent[j] + _FACTOR * spread + _FACTOR * pull
    _cross(state, parent)
    proposals[i] = _SIGMA * (state.donor + _CENTRE / _SIGMA)
    bounce(proposals[i])


@compiled
def tell(state: Evolution, i: int) -> None:
    """Take the losses of candidate i into account: it may replace the candidate that holds its lineage.

    The chance of that is the weighted share of the objectives in which it is better.
    """
    state.front[state.counters[_FRONT]] = i
    state.counters[_FRONT] += 1
    if i < POPULATION:
        return
    lineage = i % POPULATION
    holder = state.population[lineage]
    better, total = 0.0, 0.0
    for j in range(len(state.weights)):
        if state.losses[i, j] < state.losses[holder, j]:
            better += state.weights[j]
        total += state.weights[j]
    if better / total > _uniform(state):
        state.population[lineage] = i


@compiled
def unmoved(state: Evolution, i: int) -> int:
    """How many proposals before proposal i left the front as it was."""
    return int(i - state.counters[_MOVED])
