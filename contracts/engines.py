"""The engines: their names, what each can do, and what a request asks of one that it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from contracts.model import ModelConfig

EngineName = Literal["native", "robyn"]


@dataclass(frozen=True)
class Abilities:
    """What an engine can do, and how long it takes."""

    iteration_s: float
    """CPU seconds of one iteration on one core."""
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Fields of the request's `search` of which the engine knows some values only, and these."""


ENGINES: dict[EngineName, Abilities] = {
    "native": Abilities(
        iteration_s=0.0002,  # with years of daily data
        only={"allow_partial_trials": (False,)},
    ),
    "robyn": Abilities(
        iteration_s=0.079,  # Robyn 3.12.1 as measured
        only={
            "solver": ("robyn",),
            "best_by": (None, "error_score", "posterior"),
            "baseline": ("prophet",),
            "stop": (None,),
            "start_from": (None,),
        },
    ),
}


def chooses_by_posterior(model: ModelConfig, engine: EngineName) -> bool:
    """Whether the best model is to be the one nearest to the posterior: asked, or the engine's default.

    Never in a refresh, whose best model is one near to its former model. `model` is what the request says.
    """
    by_default = engine == "native" and not model.refresh_of and model.search.best_by is None
    return by_default or model.search.best_by == "posterior"


def request_problems(model: ModelConfig, engine: EngineName) -> Iterator[str]:
    """Everything that a request asks and its engine cannot do, as `path: what is wrong`.

    Engines refuse the same themselves; here it is known before any data are read.
    """
    for name, known in ENGINES[engine].only.items():
        value = getattr(model.search, name)
        if value not in known:
            able = " or ".join(other for other in ENGINES if _knows(other, name, value))
            shown = f"{value} " if value in ("converged", "nrmse", "joint") else ""
            yield f"search.{name}: {shown}needs the engine {able}; this request has the engine {engine}"
    if engine == "robyn":
        yield from _robyn_problems(model)


def _knows(engine: EngineName, name: str, value: object) -> bool:
    known = ENGINES[engine].only.get(name)
    return known is None or value in known


def _robyn_problems(model: ModelConfig) -> Iterator[str]:
    """What r/R/config.R refuses too: names that R or Robyn would change, and searches of nothing."""
    if model.search.iterations < 2:
        yield "search.iterations: the engine robyn needs 2 at least"
    for path, name in model.columns.roles():
        if not _is_r_name(name):
            yield (
                f"columns.{path}: '{name}' cannot be used with the engine robyn, which takes letters, "
                "digits, '.' and '_', with a letter first, and no reserved word of R; rename the column, or "
                "use the engine native"
            )
    yield from _factor_problems(model)
    ranges = {**model.hyperparameters.ranges, **model.bounds}
    if model.search.time_series_validation:
        ranges["train_size"] = model.search.train_size
    if "lambda" in ranges and all(low == high for low, high in ranges.values()):
        yield (
            "hyperparameters.ranges: all are fixed, so that the engine robyn has nothing to search; leave "
            "lambda open, or use the engine native"
        )


def _factor_problems(model: ModelConfig) -> Iterator[str]:
    factors = [variable.name for variable in model.columns.factors]
    if factors and not model.prophet.components:
        yield (
            "columns.factors: the engine robyn turns factors into numbers with Prophet; name one of "
            "prophet.components, or use the engine native"
        )
        return
    for number, name in enumerate(factors):
        others = [other for other in factors if other != name]
        taken = [other for other in (*others, *_PROPHET_COLUMNS) if other.startswith(name)]
        if taken:
            yield (
                f"columns.factors[{number}]: the engine robyn would mix '{name}' up with '{taken[0]}', which "
                "begins with the same letters; rename the column, or use the engine native"
            )


_PROPHET_COLUMNS = (
    *("ds", "trend", "yearly", "weekly", "monthly", "holidays", "additive_terms", "multiplicative_terms"),
    *("extra_regressors_additive", "extra_regressors_multiplicative", "yhat"),
)
"""Prophet's columns that Robyn would add to a factor whose name they begin with."""

_R_WORDS = frozenset(
    {"if", "else", "repeat", "while", "function", "for", "next", "break", "in"}
    | {"TRUE", "FALSE", "NULL", "Inf", "NaN"}
    | {"NA", "NA_integer_", "NA_real_", "NA_complex_", "NA_character_"}
)


def _is_r_name(name: str) -> bool:
    """Whether R's make.names leaves a name as it is."""
    begins = name[0].isalpha() or (name[0] == "." and not name[1:2].isdecimal())
    return (
        begins
        and all(character.isalpha() or character.isdecimal() or character in "._" for character in name)
        and name not in _R_WORDS
    )
