"""Wakes the function that a job waits for, a bounded number of times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from contracts.events import SWEEP_REQUESTS, SweepRequest
from contracts.job import Job, JobState
from contracts.problem import Problem
from functions.runtime import Runtime
from functions.steps import HANDLER_DEADLINE, announce_attempt_end, commit_end, publish, wake

MAX_WAKEUPS = 3


def wake_or_fail(runtime: Runtime, job: Job, send: Callable[[Runtime, Job], None] = wake) -> None:
    """Count one more wake-up on the job, then send its message again; after the last the job fails."""
    if job.wakeups >= MAX_WAKEUPS:
        problem = Problem(
            type="no-progress",
            title=f"Nothing happened in state {job.state}",
            detail=f"Its event was sent again {MAX_WAKEUPS} times; see the dead letters, then retry.",
        )
        ask_again(runtime, job)
        failed = commit_end(runtime, job, JobState.FAILED, problem.title, error=problem)
        announce_attempt_end(runtime, failed, failed.attempt)
        return
    postpone(runtime, job, HANDLER_DEADLINE, wakeups=job.wakeups + 1)
    runtime.log("WARNING", "woken again", job_id=job.job_id, state=job.state, wakeups=job.wakeups + 1)
    send(runtime, job)


def ask_again(runtime: Runtime, job: Job) -> None:
    """Request another sweep of a job that this sweep is about to end.

    The job gets no further event, so if this process dies after the commit, the next sweep tells upstream.
    """
    publish(runtime, SWEEP_REQUESTS, SweepRequest(job_id=job.job_id))


def postpone(runtime: Runtime, job: Job, patience: timedelta, **changes: Any) -> Job:
    """Give a job a new deadline without a transition."""
    update = {"deadline": runtime.ports.clock.now() + patience, **changes}
    return runtime.ports.jobs.replace(job.model_copy(update=update), job.version)
