"""What all handlers share: committing a transition, ending a job, and the effects that may be redone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from contracts import names
from contracts.base import error_lines
from contracts.events import (
    JOB_FINISHED,
    TRAINING_FINISHED,
    TRAINING_READY,
    Event,
    JobFinished,
    ResultPaths,
    TrainingFinished,
    TrainingReady,
)
from contracts.job import MAX_FINDINGS, Finding, Job, JobState, Queue
from contracts.problem import Problem
from contracts.request import TrainRequest
from functions.ended import log_end
from functions.errors import BadData, BadRequest, BadSource, Permanent
from functions.ports import AlreadyExists, Conflict, ObjectInfo, Ports, TrainerPorts
from functions.runtime import Runtime, TrainerRuntime

HANDLER_DEADLINE = timedelta(minutes=15)
HEARTBEAT_DEADLINE = timedelta(minutes=3)
MAX_ATTEMPTS = 3
_SEVERITIES = {"error": 0, "warning": 1, "change": 2}


def commit(ports: Ports, job: Job, state: JobState, note: str = "", **changes: Any) -> Job:
    """Commit one transition of a job.

    Raises:
        Conflict: somebody else changed the job; read it again.
    """
    now = ports.clock.now()
    patience = HEARTBEAT_DEADLINE if state is JobState.RUNNING else HANDLER_DEADLINE
    return ports.jobs.replace(job.moved(state, now, now + patience, note, **changes), job.version)


def end(
    runtime: Runtime,
    job: Job,
    state: JobState,
    problem: Problem | None,
    findings: list[Finding] | None = None,
) -> Job:
    """Commit a terminal state and tell upstream."""
    changes: dict[str, Any] = {"error": problem}
    if findings is not None:
        changes["findings"] = most_severe(findings)
    job = commit_end(runtime, job, state, problem.title if problem else "", **changes)
    announce(runtime, job)
    return job


def commit_end(
    runtime: Runtime,
    job: Job,
    state: JobState,
    note: str = "",
    figures: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Job:
    """Commit a terminal state and log how the job ended, with `figures` of its result.

    Raises:
        Conflict: somebody else changed the job; read it again.
    """
    job = commit(runtime.ports, job, state, note, **changes)
    log_end(runtime, job, **(figures or {}))
    return job


def refuse(runtime: Runtime, job: Job, error: Permanent) -> Job:
    """End a job for a permanent error: REJECTED if the request or the data must change, otherwise FAILED."""
    rejected = isinstance(error, BadRequest | BadData | BadSource)
    return end(runtime, job, JobState.REJECTED if rejected else JobState.FAILED, error.problem)


def most_severe(findings: list[Finding]) -> list[Finding]:
    """The findings that a job document holds: errors first, a bounded number."""
    return sorted(findings, key=lambda finding: _SEVERITIES[finding.severity])[:MAX_FINDINGS]


def announce(runtime: Runtime, job: Job) -> None:
    """Publish `job-finished` of a job in a terminal state; every repeat is equal."""
    publish(runtime.ports, JOB_FINISHED, job_finished(job))


def job_finished(job: Job) -> JobFinished:
    """What upstream is told of a job in a terminal state."""
    return JobFinished(
        job_id=job.job_id,
        request_id=job.request_id,
        country=job.country,
        revision=job.revision,
        state=job.state,
        attempt=job.attempt,
        finished_at=job.updated_at,
        error=job.error,
        findings=job.findings,
        paths=_paths(job),
    )


def _paths(job: Job) -> ResultPaths:
    reached = {entry.state for entry in job.timeline if entry.attempt == job.attempt}
    passed = any(entry.state in (JobState.QUEUED, JobState.SUCCEEDED) for entry in job.timeline)
    validated = passed or bool(job.findings)
    validation = names.validation(job.country, job.job_id) if validated else None
    if JobState.TRAINED not in reached:
        return ResultPaths(validation=validation)
    return ResultPaths(
        validation=validation,
        results=names.results(job),
        model_summary=names.model_summary(job),
        onepager=f"{names.results(job)}onepager.png",
    )


def publish(ports: Ports, topic: str, event: Event) -> None:
    """Publish one of our events."""
    ports.bus.publish(topic, event.model_dump_json().encode())


def announce_ready(runtime: Runtime, job: Job) -> None:
    """Tell launch that an attempt waits."""
    publish(runtime.ports, TRAINING_READY, TrainingReady(job_id=job.job_id, attempt=job.attempt))


def announce_attempt_end(runtime: Runtime, job: Job, attempt: int) -> None:
    """Free the slot of an attempt and tell launch and summarize; upstream too if the job has ended."""
    free_slot(runtime.ports, job, attempt)
    event = TrainingFinished(job_id=job.job_id, attempt=attempt, state=job.state)
    publish(runtime.ports, TRAINING_FINISHED, event)
    if job.state.terminal:
        announce(runtime, job)
    elif job.state is JobState.QUEUED:
        announce_ready(runtime, job)


def create_once(
    runtime: TrainerRuntime, name: str, data: bytes, metadata: Mapping[str, str] | None = None
) -> ObjectInfo:
    """Create an object whose name says what it holds; one that is there already stays as it is."""
    try:
        return runtime.ports.objects.create(name, data, metadata)
    except AlreadyExists:
        runtime.log("INFO", "it was created before", object=name)
        return existing(runtime.ports, name)


def existing(ports: TrainerPorts, name: str) -> ObjectInfo:
    """What the store knows of an object that was there a moment ago.

    Raises:
        Conflict: it was deleted since.
    """
    info = ports.objects.stat(name)
    if info is None:
        raise Conflict(f"{name} vanished")
    return info


def request_of(job: Job) -> TrainRequest:
    """What a job trains.

    Raises:
        BadRequest: it was accepted by an older version, and this one does not understand it any more.
    """
    try:
        return TrainRequest.model_validate(job.request)
    except ValidationError as error:
        raise BadRequest("this version does not take the request any more", error_lines(error)) from error


def queue_of(ports: Ports, name: str) -> Queue:
    """The document of a queue, created empty if absent."""
    queue = ports.jobs.get(Queue, name) or ports.jobs.create(Queue(name=name)) or ports.jobs.get(Queue, name)
    if queue is None:
        raise Conflict(f"queue {name} appeared and vanished")
    return queue


def free_slot(ports: Ports, job: Job, attempt: int) -> None:
    """Take an attempt out of its queue's set, if it is in."""
    queue = queue_of(ports, job.queue)
    kept = [slot for slot in queue.slots if (slot.job_id, slot.attempt) != (job.job_id, attempt)]
    if len(kept) < len(queue.slots):
        ports.jobs.replace(queue.model_copy(update={"slots": kept}), queue.version)
