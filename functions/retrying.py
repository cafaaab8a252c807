"""A failed or cancelled job is started again, as a new attempt, from the last step whose objects exist."""

from __future__ import annotations

from contracts import names
from contracts.events import JOB_FINISHED
from contracts.job import Job, JobState
from contracts.validation import ValidationReport
from functions.errors import Permanent
from functions.ports import NotFound
from functions.runtime import Runtime
from functions.steps import commit, job_finished, publish, uploaded_file, wake

S = JobState


class NotRetriable(Permanent):
    """The job cannot be started again."""

    type = "not-retriable"
    title = "The job cannot be started again"


def retry_job(runtime: Runtime, job: Job, person: str) -> Job:
    """Start a job again for a person.

    Raises:
        NotRetriable: it is not FAILED or CANCELLED, or its uploaded file is gone.
        Conflict: somebody else changed the job; read it again.
    """
    if job.state not in (S.FAILED, S.CANCELLED):
        raise NotRetriable(f"only FAILED and CANCELLED jobs can be retried; job {job.job_id} is {job.state}")
    attempt = job.attempt + 1
    publish(runtime, JOB_FINISHED, job_finished(job))  # whoever ended it may have died before announcing it
    retried = commit(
        runtime,
        job,
        _last_whole_step(runtime, job),
        f"retried by {person}",
        attempt=attempt,
        first_attempt=attempt,
        error=None,
        progress=None,
        execution=None,
    )
    wake(runtime, retried)
    return retried


def _last_whole_step(runtime: Runtime, job: Job) -> JobState:
    if runtime.ports.objects.stat(names.prepared(job.country, job.job_id)) and _validated(runtime, job):
        return S.QUEUED
    if runtime.ports.objects.stat(names.dataset(job.country, job.job_id)):
        return S.EXTRACTED
    if job.upload and not uploaded_file(runtime.ports, job.upload):
        raise NotRetriable(f"{job.upload.name} was deleted or replaced since; upload it again for a new job")
    return S.ACCEPTED


def _validated(runtime: Runtime, job: Job) -> bool:
    try:
        text = runtime.ports.objects.read(names.validation(job.country, job.job_id))
    except NotFound:
        return False
    return ValidationReport.model_validate_json(text).valid
