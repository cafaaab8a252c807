"""Continue a former model with newer data (Robyn: robyn_refresh; robyn-spec §16)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.model import ModelConfig, Window
from contracts.series import Interval, Moved, continuation_obstacles, move_window, other_interval
from trainer.engines.checks import dates_of
from trainer.engines.common import INTERCEPT, InvalidInputs, SearchRange
from trainer.engines.refresh.former import Former, searched

_MUCH_NEW = 0.5
"""Share of new periods in the window above which a new model is advised."""
_CHANGED = 1e-6
"""Relative change above which a sum over the former window counts as changed."""


@dataclass(frozen=True)
class Reference:
    """The former model that a refresh stays close to."""

    shares: Mapping[str, float]
    """Share of the fitted total of every variable, the intercept among them."""
    steps: int
    """Periods by which the window has moved on."""


@dataclass(frozen=True, eq=False)
class Continuation:
    """A refresh, ready to be searched like any other training."""

    config: ModelConfig
    """With the moved window, the narrowed ranges and the objectives' weights of a refresh; complete without
    the former result but for the reference."""
    reference: Reference
    moved: Moved
    former: Former
    job: str
    """The former job."""
    solution: str
    """solID of the former model."""
    freedom: float
    """How far a hyperparameter may move either way, as a share of its range."""
    notes: tuple[str, ...]
    """What a person should know of the data: much that is new, sums that changed."""


def move_on(data: pd.DataFrame, interval: Interval, config: ModelConfig, former: Former) -> Continuation:
    """The training that continues `config.refresh_of` on `data`, which has a row per interval, ascending.

    Raises InvalidInputs, a line per problem, if data or configuration do not continue the former model.
    """
    refresh = config.refresh_of
    if refresh is None:
        raise ValueError("config.refresh_of names no former job")
    dates = dates_of(data, config)
    solution = refresh.solution or former.best.sol_id
    window = former.best.window
    moved = move_window(dates.tolist(), config.window.end, window.end, window.rows)
    problems = [
        *_date_problems(moved, interval, former),
        *_model_problems(solution, config, former),
    ]
    if problems:
        raise InvalidInputs("\n".join(f"refresh_of: {problem}" for problem in problems))
    aggregated = former.table("pareto_aggregated")
    shares = aggregated[aggregated["solID"] == solution].set_index("rn")["xDecompPerc"]
    freedom = refresh.bounds_freedom or moved.steps / moved.rows
    return Continuation(
        config=_narrowed(config, moved, freedom, former.model(solution)),
        reference=Reference({str(name): float(share) for name, share in shares.items()}, moved.steps),
        moved=moved,
        former=former,
        job=refresh.job,
        solution=solution,
        freedom=freedom,
        notes=(*_much_new(moved), *_changes(data, dates, config, former)),
    )


def _date_problems(moved: Moved, interval: Interval, former: Former) -> Iterator[str]:
    if obstacle := other_interval(interval, former.best.interval):
        yield str(obstacle)
    for obstacle in continuation_obstacles(moved, former.best.window.end):
        yield str(obstacle)


def _model_problems(solution: str, config: ModelConfig, former: Former) -> Iterator[str]:
    best, columns = former.best, config.columns
    if solution not in set(former.hyperparameters["solID"]):
        yield f"solution {solution} is none of the former job's {len(former.hyperparameters)} Pareto models"
    missing = [name for name in config.bounds if name not in former.hyperparameters]
    if missing:
        yield f"the former models have no {', '.join(missing)}; media and adstock must be the same"
    if (best.dependent, best.dependent_type) != (columns.dependent, columns.dependent_type):
        former_one = f"{best.dependent} ({best.dependent_type})"
        yield f"the former models explain {former_one}, not {columns.dependent} ({columns.dependent_type})"
    context = [variable.name for variable in (*columns.context, *columns.factors)]
    ours = {INTERCEPT, *config.prophet.components, *context, *columns.media}
    theirs = {INTERCEPT if one.kind == "intercept" else one.name for one in best.contributions}
    for name in sorted(ours ^ theirs):
        where = "not" if name in ours else "only"
        yield f"column '{name}' is {where} in the former models"


def _narrowed(config: ModelConfig, moved: Moved, freedom: float, former: Mapping[str, Any]) -> ModelConfig:
    """The configuration with the new window, and ranges around the hyperparameters of a former model."""
    model = searched(former, config)
    asked = config.hyperparameters.ranges
    ranges = config.bounds | {"lambda": asked.get("lambda", (0.0, 1.0))}
    ranges |= {name: asked.get(name, (0.0, 1.0)) for name in model if name.endswith("_penalty")}
    model["lambda"] = model["lambda_hp"]  # the request's name for it
    around = {name: around_former(model[name], bounds, freedom) for name, bounds in ranges.items()}
    search: dict[str, Any] = {
        "objective_weights": config.search.objective_weights or [0.0, *(1.0 for _ in range(_others(config)))]
    }
    if "train_size" in model:
        search["train_size"] = around_former(model["train_size"], config.search.train_size, freedom)
    return config.model_copy(
        update={
            "refresh_of": None,
            "window": Window(start=moved.dates[moved.first], end=moved.dates[moved.last]),
            "hyperparameters": config.hyperparameters.model_copy(update={"ranges": asked | around}),
            "search": config.search.model_copy(update=search),
        }
    )


def _others(config: ModelConfig) -> int:
    """Number of objectives besides NRMSE, which has no weight in a refresh (robyn-spec §16)."""
    return 2 if config.calibration else 1


def around_former(value: float, bounds: SearchRange, freedom: float) -> SearchRange:
    """The part of a range that is within `freedom`, a share of its width, of the former value.

    What is fixed stays fixed; a former value outside the range counts as its nearer end.
    """
    low, high = bounds
    centre, reach = min(max(value, low), high), (high - low) * freedom
    return max(low, centre - reach), min(high, centre + reach)


def _much_new(moved: Moved) -> Iterator[str]:
    share = moved.steps / moved.rows
    if share > _MUCH_NEW:
        yield f"{share:.0%} of the window is new; consider training a new model"


def _changes(
    data: pd.DataFrame, dates: NDArray[np.datetime64], config: ModelConfig, former: Former
) -> Iterator[str]:
    """Sums over the former window that are not what they were."""
    best, window = former.best, former.best.window
    rows = (dates >= np.datetime64(window.start)) & (dates <= np.datetime64(window.end))
    span = f"from {window.start} to {window.end}"
    if rows.sum() != window.rows:
        yield f"the data do not hold all of the former window, {span}; what changed in it is not known"
        return
    sums = {config.columns.dependent: best.totals.actual}
    sums |= {one.name: one.spend for one in best.channels if one.spend is not None}
    for name, before in sums.items():
        now = float(data[name].to_numpy(dtype=float)[rows].sum()) if name in data else before
        if abs(now - before) > _CHANGED * abs(before):
            yield f"{name} has changed {span}: the sum was {before:,.10g} and is {now:,.10g}"
