"""R's default random numbers: Mersenne Twister, integers by rejection (R 3.6 and later)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WARM_UP = 50
"""Rounds in which R scrambles a seed."""
_WORDS = 624
"""Length of the Mersenne Twister's state."""
_BITS = 16
"""Bits that R takes of a word for an integer."""


class RRandom:
    """The stream that `set.seed(seed)` starts in R."""

    def __init__(self, seed: int) -> None:
        word = seed
        for _ in range(_WARM_UP + 1):
            word = _congruential(word)
        state = np.empty(_WORDS, dtype=np.uint32)
        for i in range(_WORDS):
            word = _congruential(word)
            state[i] = word
        self._generator = np.random.MT19937()
        self._generator.state = {
            "bit_generator": "MT19937",
            "state": {"key": state, "pos": _WORDS},
        }

    def choose(self, size: int, count: int) -> NDArray[np.int64]:
        """`count` different ones of 0 .. size - 1, in the order drawn (R: sample.int)."""
        pool = np.arange(size)
        chosen = np.empty(count, dtype=np.int64)
        for i in range(count):
            drawn = self._below(size - i, 1)[0]
            chosen[i], pool[drawn] = pool[drawn], pool[size - i - 1]
        return chosen

    def draw(self, size: int, count: int) -> NDArray[np.int64]:
        """`count` of 0 .. size - 1, each drawn from all (R: sample with replacement)."""
        return self._below(size, count)

    def _below(self, size: int, count: int) -> NDArray[np.int64]:
        """Draws of as many bits as `size` needs, those too large left out; `size` below 2^15."""
        bits = (size - 1).bit_length()
        found = np.empty(0, dtype=np.int64)
        while len(found) < count:
            words = self._generator.random_raw(count - len(found))
            drawn = (words >> np.uint64(32 - _BITS)).astype(np.int64) & ((1 << bits) - 1)
            found = np.append(found, drawn[drawn < size])
        return found


def _congruential(word: int) -> int:
    """R's generator of seeds, modulo 2^32."""
    return (69069 * word + 1) % 2**32
