"""Whether a request can begin with the result of the former job that it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from contracts.job import Job, JobState
from contracts.model import Columns, ModelConfig
from contracts.request import TrainRequest
from functions.ports import JobStore
from functions.runtime import Runtime
from functions.series import results_of_series

_SERIES = {
    "latest": ("country", "revision"),
    "latest-of-schedule": ("country", "revision", "schedule"),
}
"""By the value of `refresh` the fields that the jobs of a series have in common."""
_Compared = tuple[str, Iterable[str], Iterable[str]]
"""What must be the same: what it is, the former job's names, this request's."""


def latest_of_series(jobs: JobStore, body: Mapping[str, Any]) -> str | None:
    """The job that a request with `refresh` continues; None if there is none, or it says no `refresh`."""
    names = _SERIES.get(str(body.get("refresh")), ())
    series = {name: body.get(name) for name in names}
    equals = {name: value for name, value in series.items() if isinstance(value, str)}
    if not equals or len(equals) < len(names):
        return None
    return next((job.job_id for job in results_of_series(jobs, **equals) if job.deletion is None), None)


def former_errors(runtime: Runtime, request: TrainRequest) -> Iterator[str]:
    """Everything that the job store knows to be in the way; the files are looked at by the engine."""
    if request.former is None:
        return
    where = "refresh_of" if request.refresh_of else "search.start_from"
    job = runtime.ports.jobs.get(Job, request.former)
    if job is None:
        yield f"{where}: there is no job '{request.former}'"
        return
    for problem in _problems(job, request, runtime.settings.former_of_other_countries):
        yield f"{where}: job {job.job_id} {problem}"


def _problems(job: Job, request: TrainRequest, across: bool) -> Iterator[str]:
    if job.country != request.country and not across:
        yield f"is of the country {job.country}, not {request.country}"
    if job.state is not JobState.SUCCEEDED:
        later = "" if job.state.terminal else "; send the request with a new request_id when it has succeeded"
        yield f"has no result: it is {job.state}{later}"
    if job.deletion is not None:
        yield f"has no result any more: {job.deletion.by} had its files deleted"
        return
    try:
        former = TrainRequest.model_validate(job.asked)
    except ValidationError:
        yield "has a request that is not valid, or not any more; its result cannot be continued"
        return
    if former.validate_only:
        yield "only validated its data; it has no model"
    compared = [*_searched(former, request), *(_divided(former, request) if request.refresh_of else [])]
    for what, theirs, ours in compared:
        if set(theirs) != set(ours):
            yield f"has other {what}: {_listed(theirs)}; this request: {_listed(ours)}"


def _searched(former: ModelConfig, request: ModelConfig) -> Iterator[_Compared]:
    """What hyperparameters are named after."""
    yield "adstock", [former.adstock], [request.adstock]
    yield "media columns", former.columns.media, request.columns.media


def _divided(former: ModelConfig, request: ModelConfig) -> Iterator[_Compared]:
    """What the response is divided into: a refresh compares the shares."""
    theirs, ours = former.columns, request.columns
    yield "dependent variable", [theirs.dependent], [ours.dependent]
    yield "dependent_type", [theirs.dependent_type], [ours.dependent_type]
    yield (
        "spend columns",
        [paid.spend for paid in theirs.paid_media],
        [paid.spend for paid in ours.paid_media],
    )
    yield "prophet.components", former.prophet.components, request.prophet.components
    yield "context columns and factors", _context(theirs), _context(ours)


def _context(columns: Columns) -> list[str]:
    return [variable.name for variable in (*columns.context, *columns.factors)]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
