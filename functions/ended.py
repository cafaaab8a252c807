"""The line that says how a job ended, once, with the figures that dashboards and alerts are made from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from contracts.job import Job, JobState
from functions.runtime import Runtime

EVENT = "job-ended"


def log_end(runtime: Runtime, job: Job, **figures: Any) -> None:
    """Log one structured line of a job that has just been committed in a terminal state.

    Seconds are those of the last attempt (queue, train) and of the whole job (total). `figures` adds what
    only the caller knows, such as the quality of the model; of a job without a result, CPU and memory are
    those of its last heartbeat.
    """
    progress = job.progress.model_dump(include={"cpu_s", "memory_mb"}) if job.progress else {}
    runtime.log(
        "INFO",
        f"job {job.state}",
        event=EVENT,
        job_id=job.job_id,
        attempt=job.attempt,
        state=job.state.value,
        problem=job.error and job.error.type,
        engine=_asked(job, "engine", runtime.settings.engines[0]),
        size=_asked(job, "size", "auto"),
        country=job.country,
        attempts=job.attempt,
        queue_wait_s=_seconds(_reached(job, JobState.QUEUED), _reached(job, JobState.RUNNING)),
        train_s=_seconds(_reached(job, JobState.RUNNING), _reached(job, JobState.TRAINED)),
        total_s=_seconds(job.accepted_at, job.updated_at),
        **{**progress, **figures},
    )


def _asked(job: Job, field: str, default: str) -> str:
    """A field of the request, valid or not, cut short because metrics use it as a label."""
    value = job.request.get(field)
    return value[:20] if isinstance(value, str) else default


def _reached(job: Job, state: JobState) -> datetime | None:
    """When the present attempt last reached a state."""
    times = [entry.at for entry in job.timeline if (entry.state, entry.attempt) == (state, job.attempt)]
    return times[-1] if times else None


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return round((end - begin).total_seconds(), 1) if begin and end else None
