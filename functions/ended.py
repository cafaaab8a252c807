"""The line that says how a job ended, once, with the figures that dashboards and alerts are made from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from contracts.job import Job, JobState
from functions.runtime import Runtime
from functions.settings import Settings

EVENT = "job-ended"
FIGURES = ("queue_wait_s", "train_s", "total_s")


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
        **asked(job, runtime.settings),
        country=job.country,
        attempts=job.attempt,
        **seconds(job),
        **{**progress, **figures},
    )


def asked(job: Job, settings: Settings) -> dict[str, str]:
    """Engine and size that a job's request asks for, valid or not; those that count if it does not say."""
    return {
        "engine": _short(job.asked.get("engine"), settings.engines[0]),
        "size": _short(job.asked.get("size"), "auto"),
    }


def seconds(job: Job) -> dict[str, float | None]:
    """How long a job's last attempt waited and trained, and the whole job took; None if it did not."""
    running = _reached(job, JobState.RUNNING)
    return {
        "queue_wait_s": _seconds(_reached(job, JobState.QUEUED), running),
        "train_s": _seconds(running, _reached(job, JobState.TRAINED)),
        "total_s": _seconds(job.accepted_at, job.updated_at),
    }


def _short(value: Any, default: str) -> str:
    """Cut short, because metrics use it as a label."""
    return value[:20] if isinstance(value, str) else default


def _reached(job: Job, state: JobState) -> datetime | None:
    """When the present attempt last reached a state."""
    times = [entry.at for entry in job.timeline if (entry.state, entry.attempt) == (state, job.attempt)]
    return times[-1] if times else None


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return round((end - begin).total_seconds(), 1) if begin and end else None
