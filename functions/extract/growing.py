"""A file that was taken while it paused and then went on growing: the whole file's job replaces the first."""

from __future__ import annotations

from contracts.events import SWEEP_REQUESTS, SweepRequest
from contracts.job import KEEP_ENDED, Job, JobState, Upload
from contracts.request import job_id_for, upload_key
from functions.runtime import Runtime
from functions.steps import commit, publish


def forget_beginning(runtime: Runtime, upload: Upload) -> None:
    """Reject the record of a beginning, so that settings that come later start the whole file only."""
    first = _beginning(runtime, upload)
    if first is not None and first.state == "WAITING":
        rejected = {
            "state": "REJECTED",
            "reason": "the file went on growing; its later version counts",
            "expires": runtime.ports.clock.now() + KEEP_ENDED,
        }
        runtime.ports.jobs.replace(first.model_copy(update=rejected), first.version)


def replace_beginning(runtime: Runtime, upload: Upload, job_id: str) -> None:
    """Cancel the jobs that the beginning of a file started; the old and the new job name each other."""
    first = _beginning(runtime, upload)
    for settings in first.settings if first else []:
        name, _, generation = settings.rpartition("#")
        key = upload_key(upload.name, upload.continues or 0, name, int(generation))
        replaced = runtime.ports.jobs.get(Job, job_id_for(key))
        if replaced is not None:
            _cancel(runtime, replaced, job_id)
            _say_on_the_new_one(runtime, job_id, replaced.job_id)


def _beginning(runtime: Runtime, upload: Upload) -> Upload | None:
    if upload.continues is None:
        return None
    return runtime.ports.jobs.get(Upload, f"{upload.name}#{upload.continues}")


def _cancel(runtime: Runtime, job: Job, by: str) -> None:
    if job.replaced_by is None:
        if job.state.terminal or job.state is JobState.CANCELLING:
            job = runtime.ports.jobs.replace(job.model_copy(update={"replaced_by": by}), job.version)
        else:
            note = f"its file went on growing; job {by} replaces it"
            job = commit(runtime, job, JobState.CANCELLING, note, replaced_by=by)
        runtime.log("WARNING", "the file went on growing", job_id=job.job_id, replaced_by=by)
    if job.state is JobState.CANCELLING:
        publish(runtime, SWEEP_REQUESTS, SweepRequest(job_id=job.job_id))


def _say_on_the_new_one(runtime: Runtime, job_id: str, replaced: str) -> None:
    job = runtime.ports.jobs.get(Job, job_id)
    if job is not None and job.replaces is None:
        runtime.ports.jobs.replace(job.model_copy(update={"replaces": replaced}), job.version)
