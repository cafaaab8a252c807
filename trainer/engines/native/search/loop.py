"""One trial's loop, compiled: propose, evaluate, tell."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

from contracts import series
from trainer.engines.common import Floats
from trainer.engines.native.search import evolution, kernel
from trainer.engines.native.search.evolution import POPULATION, propose, tell, unmoved
from trainer.engines.native.search.kernel import evaluate, scale_proposal
from trainer.engines.native.search.machine_code import compiled_without_lock

if TYPE_CHECKING:
    import numpy as np


class Space(NamedTuple):
    """What is searched, in the order of a proposal."""

    positions: NDArray[np.int64]  # (d,) entries of the hyperparameter vector
    low: Floats  # (d,)
    width: Floats  # (d,)


class Trace(NamedTuple):
    """What the kernel was given and wrote, a row per candidate."""

    hyper: Floats  # (k, .), the fixed entries filled in
    outcome: Floats  # (k, 10 + 2 m), see kernel.METRICS
    beta: Floats  # (k, 1 + p)

    def head(self, rows: int) -> Trace:
        """The first candidates."""
        return Trace(*(array[:rows] for array in self))


def _compile(sources: int) -> Callable[..., int]:
    """Build `run`, with a digest of the other sources in its closure.

    numba compiles again only if this file or a closure has changed.
    """

    @compiled_without_lock
    def run(
        problem: Any, work: Any, space: Any, state: Any, trace: Any, start: int, stop: int, patience: int
    ) -> int:
        _ = sources
        for i in range(start, stop):
            propose(state, i)
            if i >= POPULATION and unmoved(state, i) >= patience:
                return i
            scale_proposal(state.proposals[i], space.positions, space.low, space.width, trace.hyper[i])
            evaluate(problem, trace.hyper[i], work, trace.outcome[i], trace.beta[i])
            state.losses[i] = trace.outcome[i, : state.losses.shape[1]]
            tell(state, i)
        return stop

    return run


def _digest(*files: str) -> int:
    content = b"".join(Path(file).read_bytes() for file in files)
    return int.from_bytes(hashlib.sha256(content).digest()[:7], "big")


run = _compile(_digest(evolution.__file__, kernel.__file__, series.__file__))
"""Propose and evaluate candidates `start` .. `stop` - 1 of a trial, without the interpreter's lock.

Returns one past the last candidate: less than `stop` where the front has not moved for `patience` proposals.
"""
