"""What makes a job of a request: when it is valid, when it is the same, and the new job's document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import ValidationError

from contracts.base import WHOLE, canonical_json, error_lines
from contracts.defaults import unsaid_numbers
from contracts.engines import request_problems
from contracts.job import PRIORITIES, FileVersion, Job, JobState, TimelineEntry, label
from contracts.mapping import request_problems_so_far
from contracts.request import MAX_LABELS, TrainRequest, job_id_for
from functions.acceptance.former import former_errors
from functions.acceptance.mapping import Asked, asked_for
from functions.errors import BadRequest, Permanent
from functions.ports import Conflict
from functions.runtime import Runtime
from functions.steps import HANDLER_DEADLINE, wake

MAX_REQUEST_BYTES = 256 * 1024
_MAX_LABEL = 265
"""Characters of a name, `=` and a value."""
REQUEST_ID = "must be 1 to 200 printable ASCII characters without spaces"


class BatchRow(NamedTuple):
    """The row of a batch that a request is."""

    batch_id: str
    row: int
    """Counted from 1."""


class RequestIdReused(Permanent):
    """The request_id of a request is that of a job with another request."""

    type = "request-id-reused"
    title = "This request_id was used before, with another request"

    @classmethod
    def of(cls, job: Job) -> RequestIdReused:
        """The refusal of a request that is not the one of its job."""
        return cls(
            f"Job {job.job_id} goes on as it was. To train something else, send it with a new request_id."
        )


def accept_from(runtime: Runtime, person: str, body: dict[str, Any], problems: list[str]) -> tuple[Job, bool]:
    """The job of a request that a person sends, and whether it is new; extract is told of it.

    A request that is not valid makes no job here: whoever sends it learns why, and may send it again.

    Raises:
        BadRequest: it is not valid; with every problem.
        RequestIdReused: its request_id was used before, with another request.
    """
    key = body.get("request_id")
    job_id = job_id_for(str(key)) if is_request_id(key) else ""
    job = runtime.ports.jobs.get(Job, job_id) if job_id else None
    if job is not None and not is_same(job, str(key), body):
        raise RequestIdReused.of(job)
    is_new = job is None
    if job is None:
        asked = asked_for(runtime, body)
        problems = problems_of(runtime, asked, problems)
        if not job_id and not any(problem.startswith("request_id: ") for problem in problems):
            problems = [f"request_id: {REQUEST_ID}", *problems]
        if problems:
            raise BadRequest(f"{len(problems)} problem(s) in the request", problems)
        job = store(runtime, new_job(runtime, job_id, str(key), asked, True, note=f"sent by {person}"))
    if job.state is JobState.ACCEPTED:
        wake(runtime, job)
    return job, is_new


def is_request_id(value: object) -> bool:
    """Whether a value can be the idempotency key of a request."""
    return isinstance(value, str) and re.fullmatch(r"[!-~]{1,200}", value) is not None


def is_same(job: Job, key: str, body: dict[str, Any]) -> bool:
    """Whether a request is the one that a job was made for."""
    return job.request_id == key and canonical_json(job.request) == canonical_json(body)


def problems_of(runtime: Runtime, asked: Asked, problems: list[str]) -> list[str]:
    """Every problem of a request, each once: those known already, then those of its contract."""
    told = {problem.partition(": ")[0] for problem in problems}
    found = _errors(runtime, asked) if WHOLE not in told else []
    return [*problems, *(problem for problem in found if problem.partition(": ")[0] not in told)]


def new_job(
    runtime: Runtime,
    job_id: str,
    key: str,
    asked: Asked,
    valid: bool,
    upload: FileVersion | None = None,
    note: str = "",
    row: BatchRow | None = None,
) -> Job:
    """The document of a job, not stored yet; of a request that is not valid with what can be used of it."""
    now = runtime.ports.clock.now()
    return Job(
        job_id=job_id,
        request_id=key,
        request=asked.request,
        defaults=_defaults(runtime, asked.whole) if valid else {},
        settings=asked.mapping,
        mapping=asked.mapping.key if asked.mapping else "",
        refreshes=asked.refreshes,
        upload=upload,
        accepted_at=now,
        updated_at=now,
        deadline=now + HANDLER_DEADLINE,
        timeline=[TimelineEntry(at=now, state=JobState.ACCEPTED, attempt=1, note=note)],
        batch_id=row and row.batch_id,
        batch_row=row and row.row,
        **_usable(asked.whole),
    )


def store(runtime: Runtime, job: Job) -> Job:
    """Store a new job.

    Raises:
        Conflict: somebody else has just made it; look again.
    """
    created = runtime.ports.jobs.create(job)
    if created is None:
        raise Conflict(f"job {job.job_id} was created by somebody else")
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
            "schedule": r"[A-Za-z0-9][\w.-]{0,63}",
        }.items()
        if isinstance(body.get(name), str) and re.fullmatch(pattern, body[name], re.ASCII)
    }
    if isinstance(body.get("queue"), str):
        usable["queue"] = body["queue"][:64]
    if type(body.get("priority")) is int and body["priority"] in PRIORITIES:
        usable["priority"] = body["priority"]
    if isinstance(body.get("requested_by"), str):
        usable["requested_by"] = body["requested_by"][:200]
    if isinstance(labels := body.get("labels"), dict):
        known = (label(*one) for one in labels.items() if isinstance(one[1], str))
        usable["labels"] = [one for one in known if len(one) <= _MAX_LABEL][:MAX_LABELS]
    return usable


def _errors(runtime: Runtime, asked: Asked) -> list[str]:
    if asked.problems:  # what a mapping would say is not known
        return [*asked.problems, *request_problems_so_far(asked.request)]
    found = request_errors(runtime, asked.whole)
    return [asked.told(problem) for problem in found]


def request_errors(runtime: Runtime, body: dict[str, Any]) -> list[str]:
    """Every problem of a request: against its contract, and against what this installation has."""
    try:
        request = TrainRequest.model_validate(body)
    except ValidationError as error:
        return error_lines(error)
    return list(installation_errors(runtime, request))


def installation_errors(runtime: Runtime, request: TrainRequest) -> Iterator[str]:
    """What a request asks for that this installation has not."""
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
