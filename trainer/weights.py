"""How much of a training each of its steps is, so that its bar moves evenly."""

from __future__ import annotations

import math

from contracts.attempt import TrainingConfig
from trainer.timings import STEPS, Steps

_CANDIDATE = {"native": 3e-5, "robyn": 0.079}
_OF_ENGINE = {
    "native": {"prepare": 0.1, "decompose": 0.2, "select": 5.0, "outputs": 2.6},
    "robyn": {"prepare": 0.1, "decompose": 5.4, "select": 79.0, "outputs": 16.0},
}
_POSTERIOR = 4.7
_TRUST = {"quick": 1.6, "full": 10.0}
"""CPU seconds of a candidate and of each step, measured with 5 paid channels and 208 weeks. Other data take
longer or shorter, but by much the same factor in all steps."""
_MOST = 0.95
"""Of a step that takes longer than was expected."""


class Weights:
    """How much of a training is done, from what its steps have used so far."""

    def __init__(self, config: TrainingConfig, tasks: int) -> None:
        """Of one of `tasks` tasks."""
        search = config.model.search
        believed = config.model.posterior is not None
        costs = {
            "load": 0.1,
            "search": math.ceil(search.trials / tasks) * search.iterations * _CANDIDATE[config.engine],
            "posterior": _POSTERIOR if believed else 0.0,
            "trust": _TRUST[config.model.checks] if believed else 0.1,
            "changes": 0.02,
            "upload": 0.1,
            **_OF_ENGINE[config.engine],
        }
        self.costs = {name: costs[name] for name in STEPS}
        """Seconds that each step would take on one core."""
        self._all = sum(self.costs.values())
        before = ("load", "prepare", "decompose", "search")
        self.searched = sum(self.costs[name] for name in before) / self._all
        """The share that is done when all candidates have been evaluated."""

    def done(self, steps: Steps, searched: float) -> float:
        """The share that is done; `searched` is the part of the candidates that has been evaluated.

        Within another step it goes on at the pace of the steps before it.
        """
        spent = {name: cost for name, cost in self.costs.items() if steps.seconds(name) > 0}
        spent.pop(steps.current, None)
        here = self.costs[steps.current]
        seconds, cost = sum(map(steps.seconds, spent)), sum(spent.values())
        if steps.current == "search":
            part = min(searched, 1.0)
        elif seconds and here:
            part = min(steps.present * cost / seconds / here, _MOST)
        else:
            part = 0.0
        return (cost + here * part) / self._all
