"""The engine's entry: prepared data and a configuration in, a `Result` out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contracts.model import ModelConfig
from contracts.posterior import PosteriorDocument
from trainer.engines.beginning import begin
from trainer.engines.checks import check, dates_of
from trainer.engines.native.explain.answers import Answers
from trainer.engines.native.prepare.inputs import build
from trainer.engines.native.prepare.prophet_columns import ProphetColumns, decompose
from trainer.engines.native.records import Inputs, ModelAnswer
from trainer.engines.native.result import Result, candidate_of
from trainer.engines.native.search.trials import Candidates, Plan, Report, search
from trainer.engines.native.select.clusters import cluster, with_clusters
from trainer.engines.native.select.nearest import nearest
from trainer.engines.native.select.pareto import MIN_CANDIDATES, Selection, select
from trainer.engines.refresh.continuation import Reference

Step = Callable[[str], AbstractContextManager[Any]]
"""Called with a step's name; what it returns is entered while the step runs, for timing."""

_MODEL_COLUMNS = (
    *("solID", "trial", "iterNG", "iterPar", "train_size"),
    *("rsq_train", "rsq_val", "rsq_test", "nrmse_train", "nrmse_val", "nrmse_test"),
    *("nrmse", "decomp.rssd", "mape", "lambda", "lambda_hp", "lambda_max", "lambda_min_ratio"),
    *("robynPareto", "error_score"),
)


def fit(
    data: pd.DataFrame,
    config: ModelConfig,
    *,
    former: Path | None = None,
    cores: int = 1,
    progress: Report = lambda _: None,
    prophet: ProphetColumns | None = None,
    step: Step = nullcontext,
) -> Result:
    """Search, select and explain a marketing mix model of `data`.

    `data` has a row per period, ascending without gaps, with every column that `config.columns` names. The
    result depends on the data, the configuration and its seed only, not on `cores`. `former` is the folder of
    the result that `config` goes on from (search.start_from, refresh_of). `prophet` replaces the
    decomposition; `step` sees prepare, decompose, search and select. `progress` is called in the caller's
    thread.

    Raises InvalidInputs, a line per problem, where data and configuration do not fit.
    """
    with step("prepare"):
        begun = begin(data, config.national, former)
    inputs = prepare(data, begun.config, reference=begun.reference, prophet=prophet, step=step)
    plan = Plan.of(begun.config.search, begun.start)
    return fit_inputs(inputs, plan, cores=cores, progress=progress, step=step)


def prepare(
    data: pd.DataFrame,
    config: ModelConfig,
    *,
    reference: Reference | None = None,
    prophet: ProphetColumns | None = None,
    step: Step = nullcontext,
) -> Inputs:
    """The inputs that `fit` searches; `reference` is the former model of a refresh. Raises InvalidInputs."""
    with step("prepare"):
        interval = check(data, config)
    with step("decompose"):
        columns = config.columns
        prophet = prophet or decompose(
            pd.DatetimeIndex(dates_of(data, config)),
            data[columns.dependent].to_numpy(dtype=float),
            data[[factor.name for factor in columns.factors]],
            config.prophet,
            interval,
        )
    with step("prepare"):
        return replace(build(data, config, prophet), reference=reference)


def fit_inputs(
    inputs: Inputs,
    plan: Plan,
    *,
    cores: int = 1,
    progress: Report = lambda _: None,
    step: Step = nullcontext,
    min_candidates: int = MIN_CANDIDATES,
) -> Result:
    """`fit` from ready inputs; fronts are added until they hold `min_candidates` models."""
    with step("search"):
        candidates = search(inputs, plan, threads=cores, progress=progress)
    return conclude(inputs, candidates, step=step, min_candidates=min_candidates)


def conclude(
    inputs: Inputs,
    candidates: Candidates,
    *,
    step: Step = nullcontext,
    min_candidates: int = MIN_CANDIDATES,
    posterior: PosteriorDocument | None = None,
) -> Result:
    """Select and explain among the candidates of all trials; the best is the one nearest to a `posterior`."""
    with step("select"):
        calibrated = bool(inputs.studies)
        selection = select(
            candidates.table,
            calibrated=calibrated,
            min_candidates=min_candidates,
            best_by=inputs.best_by,
            refresh=inputs.reference is not None,
        )
        best = nearest(inputs, candidates, posterior) if posterior else None
        return _result(inputs, candidates, replace(selection, best=best or selection.best))


def answer(result: Result, solution: str) -> ModelAnswer:
    """Any candidate of a result in full; the same as `result.model(solution)`."""
    return result.model(solution)


def _result(inputs: Inputs, candidates: Candidates, selection: Selection) -> Result:
    answers, judged = Answers(inputs), selection.candidates
    chosen = {solution: candidate_of(judged, solution) for solution in (*selection.pareto, selection.best)}
    models = {solution: answers.model(candidate) for solution, candidate in chosen.items()}
    if selection.best not in selection.pareto:
        chosen[selection.best] |= {"robynPareto": np.nan}
    aggregated = _with_metrics([models[solution].summary for solution in chosen], list(chosen.values()))
    clusters = cluster(judged[judged["solID"].isin(selection.pareto)], aggregated, inputs)
    lift = [answers.lift(candidate) for candidate in chosen.values()] if inputs.studies else []
    return Result(
        inputs=inputs,
        candidates=judged,
        coefficients=candidates.coefficients,
        fronts=selection.fronts,
        pareto=selection.pareto,
        aggregated=with_clusters(aggregated, clusters),
        lift=pd.concat(lift, ignore_index=True) if lift else pd.DataFrame(),
        clusters=clusters,
        best=models[selection.best],
        explained=models,
    )


def _with_metrics(summaries: list[pd.DataFrame], candidates: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows of all summaries, each with the metrics of its candidate."""
    metrics = pd.DataFrame(candidates, columns=list(_MODEL_COLUMNS))
    of_row = np.repeat(np.arange(len(summaries)), [len(summary) for summary in summaries])
    rows = pd.concat(summaries, ignore_index=True)
    return pd.concat([rows, metrics.iloc[of_row].reset_index(drop=True)], axis=1)
