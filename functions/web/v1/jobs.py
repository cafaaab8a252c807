"""Jobs: lists, one job, and what people do with it."""

from __future__ import annotations

from flask import url_for
from werkzeug.wrappers import Response

from contracts.api import File, FileList, JobAnswer, JobList, JobRow, JobsQuery, LastHeartbeat
from contracts.job import Job
from functions.runtime import Runtime
from functions.web import actions, files, views
from functions.web.people import asking
from functions.web.routes import expected
from functions.web.v1.paging import page


def list_jobs(runtime: Runtime, query: JobsQuery) -> JobList:
    """Jobs, newest first."""
    equals = {"state": query.state[0].value if query.state else None, "country": query.country}
    found, token = page(
        runtime.ports.jobs, Job, query, **{name: value for name, value in equals.items() if value}
    )
    found = views.with_progress(runtime.ports, found)
    whole = query.view == "full"
    return JobList(
        jobs=[JobAnswer.of(job) if whole else JobRow.of(job) for job in found], next_page_token=token
    )


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


def list_job_files(runtime: Runtime, job_id: str) -> FileList:
    """The files of the present attempt of a job: reports and logs, then the files of its result."""
    job = actions.job_of(runtime.ports, job_id)
    return FileList(
        files=[
            File(
                name=file.name,
                size=file.size,
                object=file.object_name,
                url=url_for("api.get_job_file", job_id=job_id, file=file.name),
            )
            for file in views.files(runtime.ports, job)
        ]
    )


def get_job_file(runtime: Runtime, job_id: str, file: str) -> Response:
    """The content of a file, or a redirection to where the object store lets it be downloaded."""
    return files.send(runtime.ports.objects, views.file_of(runtime.ports, job_id, file))


def _answer(runtime: Runtime, job: Job) -> JobAnswer:
    life = views.life(runtime.ports, job)
    if life is None:
        return JobAnswer.of(job)
    beat = LastHeartbeat(
        execution=life.execution, updated=runtime.ports.clock.now() - life.age, stale=life.stale
    )
    return JobAnswer.of(job, life.progress, beat)
