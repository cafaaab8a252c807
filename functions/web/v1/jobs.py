"""Jobs: lists, one job, and what people do with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

from flask import url_for

from contracts.api import (
    CountQuery,
    JobAnswer,
    JobCount,
    JobFilters,
    JobList,
    JobRow,
    JobsQuery,
    LastHeartbeat,
    ValidateQuery,
    Validity,
)
from contracts.base import WHOLE, canonical_json
from contracts.job import Job
from contracts.problem import violations
from contracts.request import TrainRequest
from functions.acceptance.mapping import asked_for
from functions.acceptance.readable import readable
from functions.acceptance.request import RequestIdReused, accept_from, problems_of
from functions.errors import BadMessage, BadRequest
from functions.retries import retry_on_conflict
from functions.runtime import Runtime
from functions.web import actions, views
from functions.web.people import asking, require_editor
from functions.web.problems import BadBody, Refused
from functions.web.routes import Answered, expected
from functions.web.v1.paging import page
from functions.web.views import J

_AT_ONCE = 100
"""Jobs that are read together."""


class Reused(Refused):
    """A request_id was used before, with another request."""

    type = RequestIdReused.type
    title = RequestIdReused.title


def list_jobs(runtime: Runtime, query: JobsQuery) -> JobList:
    """Jobs, newest first."""
    found, token = find_jobs(runtime, query, Job)
    whole = query.view == "full"
    return JobList(
        jobs=[JobAnswer.of(job) if whole else JobRow.of(job) for job in found], next_page_token=token
    )


def find_jobs(runtime: Runtime, query: JobsQuery, kind: type[J]) -> tuple[list[J], str]:
    """The jobs of a part of the list with their newest progress, and the token of the next part.

    `kind` says how much of their documents is read.
    """
    since, until = query.accepted_after, query.accepted_before
    starting = query.request_id or ""
    found, token = page(runtime.ports.jobs, kind, query, starting=starting, until=until, **query.equals)
    if until is not None:
        found = [job for job in found if job.accepted_at < until]
    if since is not None:
        recent = [job for job in found if job.accepted_at >= since]
        if len(recent) < len(found) and query.request_id is None:
            token = ""  # what follows is older still
        found = recent
    return views.with_progress(runtime.ports, found), token


def every_job(runtime: Runtime, query: JobFilters) -> Iterator[Job]:
    """All jobs that match, in the order of the list, read in parts as far as they are needed."""
    asked = JobsQuery(**query.model_dump(exclude_unset=True), page_size=_AT_ONCE)
    while True:
        found, token = find_jobs(runtime, asked, Job)
        yield from found
        if not token:
            return
        asked = asked.model_copy(update={"page_token": token})


def count_jobs(runtime: Runtime, query: CountQuery) -> JobCount:
    """How many jobs there are.

    They are counted without reading them, unless `request_id` or a time is asked for.
    """
    if query.request_id or query.accepted_after or query.accepted_before:
        asked = query.model_dump(exclude_unset=True, exclude={"most"})
        count = sum(1 for _ in islice(every_job(runtime, JobFilters(**asked)), query.most))
    else:
        count = runtime.ports.jobs.count(Job, most=query.most, since=None, **query.equals)
    return JobCount(count=count, more=count == query.most)


def get_job(runtime: Runtime, job_id: str) -> JobAnswer:
    """One job, with the newest progress of its training."""
    return _answer(runtime, actions.job_of(runtime.ports, job_id))


def cancel_job(runtime: Runtime, job_id: str) -> JobAnswer:
    """Stop a job.

    It is CANCELLING at once, and CANCELLED when its compute has stopped. Asked again, nothing else happens.
    """
    return JobAnswer.of(actions.cancel(runtime, job_id, asking(), expected))


def retry_job(runtime: Runtime, job_id: str) -> JobAnswer:
    """Start a failed or cancelled job again, as a new attempt."""
    return JobAnswer.of(actions.retry(runtime, job_id, asking(), expected))


def create_job(runtime: Runtime, body: bytes) -> Answered:
    """Accept a train request, and start its job.

    Sent twice, it is still one job: the same request is answered with the job that it has (200).
    """
    job, is_new = _accepted(runtime, *_read(body))
    return _created(job, 201 if is_new else 200)


def validate_job(runtime: Runtime, query: ValidateQuery, body: bytes) -> Validity | Answered:
    """Say what is wrong with a train request, and what it means with all its defaults; nothing is trained.

    With `data=true` a job of its own reads and checks the data as well (202); the same request has the same
    such job, whose request_id is made from it.
    """
    request, problems = _read(body)
    if query.data:
        require_editor()
        job, _ = _accepted(runtime, checking(request), problems)
        return _created(job, 202)
    asked = asked_for(runtime, request)
    problems = problems_of(runtime, asked, problems)
    if problems:
        return Validity(valid=False, violations=violations(problems), normalized=None)
    whole = TrainRequest.model_validate(asked.whole).model_dump(mode="json", by_alias=True)
    return Validity(valid=True, violations=[], normalized=whole)


def _answer(runtime: Runtime, job: Job) -> JobAnswer:
    life = views.life(runtime.ports, job)
    if life is None:
        return JobAnswer.of(job)
    beat = LastHeartbeat(
        execution=life.execution, updated=runtime.ports.clock.now() - life.age, stale=life.stale
    )
    return JobAnswer.of(job, life.progress, beat)


def _read(body: bytes) -> tuple[dict[str, Any], list[str]]:
    try:
        return readable(body)
    except BadMessage as error:
        raise BadBody(error.problem.detail, [f"{WHOLE}: {error.problem.detail}"]) from error


def _accepted(runtime: Runtime, request: dict[str, Any], problems: list[str]) -> tuple[Job, bool]:
    try:
        return retry_on_conflict(lambda: accept_from(runtime, asking(), request, problems))
    except BadRequest as error:
        raise BadBody(error.problem.detail, error.problem.errors) from error
    except RequestIdReused as error:
        raise Reused(error.problem.detail) from error


def _created(job: Job, status: int) -> Answered:
    location = url_for("api.get_job", job_id=job.job_id)
    return Answered(JobAnswer.of(job), status, {} if status == 200 else {"Location": location})


def checking(request: dict[str, Any]) -> dict[str, Any]:
    """The request that only checks what another one would train on."""
    digest = hashlib.sha256(canonical_json(request).encode()).hexdigest()[:12]
    key = str(request.get("request_id", ""))[:150]
    return {**request, "request_id": f"{key}{'-' if key else ''}check-{digest}", "validate_only": True}
