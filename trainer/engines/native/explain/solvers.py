"""How far Robyn's ridge, which stops early, is from the optimum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

from contracts.model import Solver
from trainer.engines.common import Floats
from trainer.engines.native.explain.answers import Answers
from trainer.engines.native.result import Result, candidate_of


def compare_solvers(result: Result) -> dict[str, Any]:
    """ROAS (response over spend) by solver of the best model and of the clusters' winners.

    The hyperparameters stay, the coefficients are fitted again. `distance` of a channel is
    |robyn - converged| / |converged|: infinite where only Robyn's solver sees an effect, 0 where none does;
    of a model it is the largest of its channels.
    """
    solutions = tuple(dict.fromkeys((result.best.solution, *result.clusters.winners)))
    tables = [_roas(result, solutions, solver) for solver in get_args(Solver)]
    models = [
        _compared(solution, result.inputs.spend_names, early, exact)
        for solution, early, exact in zip(solutions, *tables, strict=True)
    ]
    return {"used": result.inputs.solver, "models": models}


def _compared(solution: str, names: tuple[str, ...], early: Floats, exact: Floats) -> dict[str, Any]:
    roas = list(zip(early.tolist(), exact.tolist(), strict=True))
    distances = [_distance(*pair) for pair in roas]
    channels = [
        {"name": name, "roas": dict(zip(get_args(Solver), pair, strict=True)), "distance": distance}
        for name, pair, distance in zip(names, roas, distances, strict=True)
    ]
    return {"sol_id": solution, "distance": max(distances), "channels": channels}


def _roas(result: Result, solutions: tuple[str, ...], solver: Solver) -> list[Floats]:
    """ROAS of the paid channels of each model, its coefficients fitted by `solver`."""
    if solver == result.inputs.solver:
        models = [result.model(solution) for solution in solutions]
    else:
        answers = Answers(replace(result.inputs, solver=solver))
        models = [answers.model(candidate_of(result.candidates, solution)) for solution in solutions]
    paid = list(result.inputs.paid)
    return [model.summary.set_index("rn")["roi_total"].loc[paid].to_numpy(dtype=float) for model in models]


def _distance(early: float, exact: float) -> float:
    if early == exact:
        return 0.0
    return abs(early - exact) / abs(exact) if exact else float("inf")
