"""Models: those of a job, of a country, and of several jobs side by side."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.api import JobRow
from contracts.comparison import (
    ChannelComparison,
    CompareQuery,
    ComparisonAnswer,
    CountryList,
    CountryModels,
    CountryQuery,
    Difference,
    ModelList,
    RankedRun,
    UseModel,
)
from contracts.figures import FigureModel, ModelFigures
from contracts.job import ModelInUse
from functions.runtime import Runtime
from functions.web import actions, compare, countries, results
from functions.web.people import asking
from functions.web.problems import Unknown
from functions.web.routes import expected


def compare_jobs(runtime: Runtime, query: CompareQuery) -> ComparisonAnswer:
    """Jobs side by side: what was asked differently, what came of it, and which changes are real."""
    found = compare.comparison(runtime.ports, query.job)
    return ComparisonAnswer(
        jobs=[JobRow.of(one.job) for one in found.jobs],
        differences=[
            Difference(path=row.path, values=list(row.values)) for row in found.asked if row.differs
        ],
        metric="CPA" if found.metric == "CPA" else "ROAS",
        channels=_channels(found.channels),
        unlike=found.warnings,
    )


def list_job_models(runtime: Runtime, job_id: str) -> ModelList:
    """The models of a job's result, the best one named."""
    view = _result(runtime, job_id, None)
    return ModelList(
        job_id=job_id,
        best=view.best,
        in_use=view.uses_this,
        models=view.figures.models if view.figures else [],
    )


def get_job_model(runtime: Runtime, job_id: str, sol_id: str) -> FigureModel:
    """One model of a job's result: how well it fits, its Pareto front and its cluster."""
    for model in list_job_models(runtime, job_id).models:
        if model.sol_id == sol_id:
            return model
    raise Unknown(f"job {job_id} has no model '{sol_id}'; GET /jobs/{job_id}/models lists those it has")


def get_model_figures(runtime: Runtime, job_id: str, sol_id: str) -> ModelFigures:
    """What the charts of a model show: fit, contributions, response curves, ROAS with intervals."""
    view = _result(runtime, job_id, sol_id)
    if view.figures is None:
        raise Unknown(f"the result of job {job_id} is of a release that wrote no figures")
    return view.figures


def list_countries(runtime: Runtime) -> CountryList:
    """The countries that have had usable data."""
    return CountryList(countries=countries.known_countries(runtime.ports))


def list_country_models(runtime: Runtime, country: str, query: CountryQuery) -> CountryModels:
    """The models of a country, the best first, and how stable its channels are over the latest runs."""
    view = countries.country_view(runtime.ports, country, query)
    if view.summary is None:
        raise Unknown(view.nothing)
    return CountryModels(
        country=country,
        in_use=view.in_use,
        ranked=[RankedRun(score=one.score, run=one.run) for one in view.ranked],
        metric="CPA" if view.metric == "CPA" else "ROAS",
        channels=_channels(view.channels),
    )


def use_country_model(runtime: Runtime, country: str, body: UseModel) -> ModelInUse:
    """Mark a model as the one that a country uses."""
    return actions.use_model(runtime, country, body.job_id, body.sol_id, asking(), expected)


def stop_using_country_model(runtime: Runtime, country: str) -> ModelInUse:
    """Take back the mark of the model that a country uses, without marking another."""
    return actions.stop_using(runtime, country, asking(), expected)


def _result(runtime: Runtime, job_id: str, model: str | None) -> results.ResultView:
    job = actions.job_of(runtime.ports, job_id)
    view = results.result_of(runtime.ports, job, model)
    if view is None:
        raise Unknown(f"job {job_id} has no result: it is {job.state}")
    return view


def _channels(compared: Sequence[compare.ChannelCompared]) -> list[ChannelComparison]:
    return [
        ChannelComparison(
            name=one.name, runs=list(one.runs), spread=one.spread, word=one.word, change=one.change
        )
        for one in compared
    ]
