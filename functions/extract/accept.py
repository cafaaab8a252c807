"""One request, one job."""

from __future__ import annotations

from typing import Any

from contracts.events import JOB_FINISHED, RequestRefused
from contracts.job import FileVersion, Job, JobState
from functions.acceptance.mapping import asked_for
from functions.acceptance.request import BatchRow, RequestIdReused, is_same, new_job, problems_of, store
from functions.ended import log_end
from functions.errors import BadRequest
from functions.runtime import Runtime
from functions.steps import announce, publish


def accept(
    runtime: Runtime,
    job_id: str,
    key: str,
    body: dict[str, Any],
    upload: FileVersion | None = None,
    more_errors: list[str] | None = None,
    row: BatchRow | None = None,
) -> Job | None:
    """The job of a request: created now, or the one that the same request created before.

    None if there is nothing to extract: the job is past that, has ended (then upstream is told again), or the
    same key came with another body (then the request is refused; the job goes on as it was).
    """
    job = runtime.ports.jobs.get(Job, job_id)
    if job is None:
        job = _create(runtime, job_id, key, body, upload, more_errors or [], row)
    elif not is_same(job, key, body):
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
    row: BatchRow | None,
) -> Job:
    asked = asked_for(runtime, body)
    errors = problems_of(runtime, asked, more_errors)
    job = new_job(runtime, job_id, key, asked, not errors, upload, row=row)
    if not errors:
        return store(runtime, job)
    problem = BadRequest(f"{len(errors)} problem(s) in the request", errors).problem
    job = store(runtime, job.moved(JobState.REJECTED, job.accepted_at, None, problem.title, error=problem))
    log_end(runtime, job)
    return job


def _refuse(runtime: Runtime, job: Job) -> None:
    problem = RequestIdReused.of(job).problem
    runtime.log("WARNING", problem.title, job_id=job.job_id)
    refusal = RequestRefused(job_id=job.job_id, request_id=job.request_id, error=problem)
    publish(runtime, JOB_FINISHED, refusal)
