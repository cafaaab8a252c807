"""Wakes the function that a job waits for, a bounded number of times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from contracts.events import (
    NOTIFIED_PREFIXES,
    SWEEP_REQUESTS,
    TRAIN_REQUESTS,
    TRAINING_FINISHED,
    TRAINING_READY,
    SweepRequest,
)
from contracts.job import Job, JobState
from contracts.problem import Problem
from functions.runtime import Runtime
from functions.steps import HANDLER_DEADLINE, announce_attempt_end, commit_end, publish, wake

MAX_WAKEUPS = 3


MESSAGE_LIFE = timedelta(hours=4)
"""In this time twenty deliveries of a message are over, and it is a dead letter if none succeeded."""
_AWAITED = {
    JobState.ACCEPTED: (TRAIN_REQUESTS, NOTIFIED_PREFIXES["drop-zone/"], NOTIFIED_PREFIXES["datasets/"]),
    JobState.EXTRACTED: (NOTIFIED_PREFIXES["datasets/"],),
    JobState.QUEUED: (TRAINING_READY,),
    JobState.RUNNING: (NOTIFIED_PREFIXES["outcomes/"],),
    JobState.TRAINED: (TRAINING_FINISHED,),
}
"""The topics on which the message of a job in a state may be."""


def wake_or_fail(
    runtime: Runtime,
    job: Job,
    send: Callable[[Runtime, Job], None] = wake,
    published: datetime | None = None,
) -> None:
    """Send the message of a late job again if it is lost; after the last time the job fails.

    While a message is on its way that may be the job's own, the job waits: behind others, or for what answers
    "later". Where that cannot be known, the message gets the time to come to its end. `published`: when the
    message was, unless that was when the job came into its state.
    """
    about = (job.woken_at or published or job.updated_at) + HANDLER_DEADLINE
    known = [runtime.ports.bus.on_its_way(topic, about) for topic in _AWAITED[job.state]]
    if any(known):
        postpone(runtime, job, HANDLER_DEADLINE)
        return
    if job.wakeups >= MAX_WAKEUPS:
        awaited = f"It waited for this: {job.waits_for}. " if job.waits_for else ""
        problem = Problem(
            type="no-progress",
            title=f"Nothing happened in state {job.state}",
            detail=f"{awaited}Its message was sent {MAX_WAKEUPS} times; see the dead letters, then retry.",
        )
        ask_again(runtime, job)
        failed = commit_end(runtime, job, JobState.FAILED, problem.title, error=problem)
        announce_attempt_end(runtime, failed, failed.attempt)
        return
    patience = MESSAGE_LIFE if None in known else HANDLER_DEADLINE
    postpone(runtime, job, patience, wakeups=job.wakeups + 1, woken_at=runtime.ports.clock.now())
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
