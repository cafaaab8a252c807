"""One request, one job."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from contracts.base import WHOLE, canonical_json, error_lines
from contracts.defaults import unsaid_numbers
from contracts.engines import request_problems
from contracts.events import JOB_FINISHED, RequestRefused
from contracts.job import FileVersion, Job, JobState, TimelineEntry
from contracts.problem import Problem
from contracts.request import TrainRequest
from functions.ended import log_end
from functions.errors import BadRequest
from functions.extract.former import former_errors
from functions.ports import Conflict
from functions.runtime import Runtime
from functions.steps import HANDLER_DEADLINE, announce, publish

MAX_REQUEST_BYTES = 256 * 1024
_PRIORITIES = range(-100, 101)


def accept(
    runtime: Runtime,
    job_id: str,
    key: str,
    body: dict[str, Any],
    upload: FileVersion | None = None,
    more_errors: list[str] | None = None,
) -> Job | None:
    """The job of a request: created now, or the one that the same request created before.

    None if there is nothing to extract: the job is past that, has ended (then upstream is told again), or the
    same key came with another body (then the request is refused; the job goes on as it was).
    """
    job = runtime.ports.jobs.get(Job, job_id)
    if job is None:
        job = _create(runtime, job_id, key, body, upload, more_errors or [])
    elif job.request_id != key or canonical_json(job.request) != canonical_json(body):
        _refuse(runtime, job)
        return None
    if job.state.terminal:
        announce(runtime, job)
    if job.state is not JobState.ACCEPTED:
        runtime.log("INFO", "stale: nothing to extract", job_id=job.job_id, state=job.state)
        return None
    return job


def _create(
    runtime: Runtime,
    job_id: str,
    key: str,
    body: dict[str, Any],
    upload: FileVersion | None,
    more_errors: list[str],
) -> Job:
    told = {error.partition(": ")[0] for error in more_errors}
    found = request_errors(runtime, body) if WHOLE not in told else []
    errors = [*more_errors, *(error for error in found if error.partition(": ")[0] not in told)]
    now = runtime.ports.clock.now()
    job = Job(
        job_id=job_id,
        request_id=key,
        request=body,
        defaults={} if errors else _defaults(runtime, body),
        upload=upload,
        accepted_at=now,
        updated_at=now,
        deadline=now + HANDLER_DEADLINE,
        timeline=[TimelineEntry(at=now, state=JobState.ACCEPTED, attempt=1)],
        **_usable(body),
    )
    if errors:
        problem: Problem = BadRequest(f"{len(errors)} problem(s) in the request", errors).problem
        job = job.moved(JobState.REJECTED, now, None, problem.title, error=problem)
    created = runtime.ports.jobs.create(job)
    if created is None:
        raise Conflict(f"job {job_id} was created by somebody else")
    if created.state.terminal:
        log_end(runtime, created)
    return created


def _defaults(runtime: Runtime, body: dict[str, Any]) -> dict[str, Any]:
    request = TrainRequest.model_validate(body)
    return {"engine": runtime.settings.engines[0], **unsaid_numbers(request)}


def _usable(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request, valid or not, by which people find a job."""
    usable = {
        name: body[name]
        for name, pattern in {
            "country": r"[A-Za-z0-9][\w-]{0,15}",
            "revision": r"[A-Za-z0-9][\w.-]{0,63}",
        }.items()
        if isinstance(body.get(name), str) and re.fullmatch(pattern, body[name], re.ASCII)
    }
    if isinstance(body.get("queue"), str):
        usable["queue"] = body["queue"][:64]
    if type(body.get("priority")) is int and body["priority"] in _PRIORITIES:
        usable["priority"] = body["priority"]
    if isinstance(body.get("requested_by"), str):
        usable["requested_by"] = body["requested_by"][:200]
    return usable


def request_errors(runtime: Runtime, body: dict[str, Any]) -> list[str]:
    """Every problem of a request: against its contract, and against what this installation has."""
    try:
        request = TrainRequest.model_validate(body)
    except ValidationError as error:
        return error_lines(error)
    return list(_installation_errors(runtime, request))


def _installation_errors(runtime: Runtime, request: TrainRequest) -> Iterator[str]:
    settings = runtime.settings
    if request.queue not in settings.queues:
        yield f"queue: no queue is named '{request.queue}'; there are: {', '.join(settings.queues)}"
    if request.engine and request.engine not in settings.engines:
        yield f"engine: '{request.engine}' is not installed; there are: {', '.join(settings.engines)}"
    connection = getattr(request.source, "connection", None)
    warehouses = runtime.ports.warehouses
    if connection is not None and connection not in warehouses:
        there = f"there are: {', '.join(warehouses)}" if warehouses else "this installation has none"
        yield f"source.connection: no warehouse is named '{connection}'; {there}"
    folder = getattr(request.source, "name", f"/{request.country}/").split("/")
    if folder[1] != request.country:
        yield f"source.name: must be under {folder[0]}/{request.country}/, the folder of its country"
    yield from request_problems(request, request.engine or settings.engines[0])
    yield from former_errors(runtime, request)


def _refuse(runtime: Runtime, job: Job) -> None:
    problem = Problem(
        type="request-id-reused",
        title="This request_id was used before, with another request",
        detail=f"Job {job.job_id} goes on as it was. To train something else, send it with a new request_id.",
    )
    runtime.log("WARNING", problem.title, job_id=job.job_id)
    refusal = RequestRefused(job_id=job.job_id, request_id=job.request_id, error=problem)
    publish(runtime, JOB_FINISHED, refusal)
