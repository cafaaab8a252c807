"""What all handlers share: committing a transition, ending a job, and the effects that may be redone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from contracts import names
from contracts.base import canonical_json, error_lines, filled
from contracts.events import (
    JOB_FINISHED,
    TRAIN_REQUESTS,
    TRAINING_FINISHED,
    TRAINING_READY,
    Event,
    JobFinished,
    ResultPaths,
    TrainingFinished,
    TrainingReady,
)
from contracts.job import MAX_FINDINGS, FileVersion, Finding, Job, JobState, Queue
from contracts.problem import Problem
from contracts.request import TrainRequest
from functions.ended import log_end
from functions.errors import BadData, BadRequest, BadSource, Permanent
from functions.notifications import notification
from functions.ports import AlreadyExists, Conflict, ObjectInfo, Ports
from functions.runtime import Runtime, TrainerRuntime
from functions.versions import wait_for_newer

HANDLER_DEADLINE = timedelta(minutes=15)
HEARTBEAT_DEADLINE = timedelta(minutes=3)
MAX_ATTEMPTS = 3
_SEVERITIES = {"error": 0, "warning": 1, "change": 2}


def commit(runtime: Runtime, job: Job, state: JobState, note: str = "", **changes: Any) -> Job:
    """Commit one transition of a job.

    Raises:
        Conflict: somebody else changed the job; read it again.
    """
    now = runtime.ports.clock.now()
    patience = HEARTBEAT_DEADLINE if state is JobState.RUNNING else HANDLER_DEADLINE
    moved = job.moved(state, now, now + patience, note, **changes)
    return runtime.ports.jobs.replace(moved, job.version)


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
    job = commit(runtime, job, state, note, **changes)
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
    publish(runtime, JOB_FINISHED, job_finished(job))


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
        posterior=job.posterior,
        budgets=job.budgets,
        changes=job.changes,
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
        onepager=None if job.asked.get("pictures") == "none" else f"{names.results(job)}onepager.png",
    )


def publish(runtime: Runtime, topic: str, event: Event) -> None:
    """Publish one of our events."""
    runtime.ports.bus.publish(topic, event.model_dump_json().encode())


def announce_ready(runtime: Runtime, job: Job) -> None:
    """Tell launch that an attempt waits."""
    publish(runtime, TRAINING_READY, TrainingReady(job_id=job.job_id, attempt=job.attempt))


def announce_attempt_end(runtime: Runtime, job: Job, attempt: int) -> None:
    """Free the slot of an attempt and tell launch and summarize; upstream too if the job has ended."""
    free_slot(runtime, job, attempt)
    event = TrainingFinished(job_id=job.job_id, attempt=attempt, state=job.state)
    publish(runtime, TRAINING_FINISHED, event)
    if job.state.terminal:
        announce(runtime, job)
    elif job.state is JobState.QUEUED:
        announce_ready(runtime, job)


def announce_object(runtime: Runtime, info: ObjectInfo) -> None:
    """Publish the notification of an object again, in the shape of the store's own."""
    runtime.ports.bus.publish(*notification(info))


def uploaded_file(ports: Ports, upload: FileVersion) -> ObjectInfo | None:
    """The uploaded file in the version that a job was made for; None if it was deleted or replaced since.

    Of a folder of parts the mark: whether the parts are the same turns out when they are read.
    """
    info = ports.objects.stat(upload.name)
    if info is None:
        return ports.objects.stat(names.parts_mark(upload.name))
    return info if info.generation == upload.generation else None


def wake(runtime: Runtime, job: Job) -> None:
    """Publish again the message that a waiting job waits for."""
    dataset = names.dataset(job.country, job.job_id)
    if job.state is JobState.QUEUED:
        announce_ready(runtime, job)
    elif job.state is JobState.TRAINED:
        event = TrainingFinished(job_id=job.job_id, attempt=job.attempt, state=job.state)
        publish(runtime, TRAINING_FINISHED, event)
    elif source := runtime.ports.objects.stat(dataset) or (
        job.upload and uploaded_file(runtime.ports, job.upload)
    ):
        announce_object(runtime, source)
    elif job.upload is None:
        runtime.ports.bus.publish(TRAIN_REQUESTS, canonical_json(job.request).encode())


def create_once(
    runtime: TrainerRuntime, name: str, data: bytes, metadata: Mapping[str, str] | None = None
) -> ObjectInfo:
    """Create an object whose name says what it holds; one that is there already stays as it is."""
    try:
        return runtime.ports.objects.create(name, data, metadata)
    except AlreadyExists:
        runtime.log("INFO", "it was created before", object=name)
        return existing(runtime, name)


def existing(runtime: TrainerRuntime, name: str) -> ObjectInfo:
    """What the store knows of an object that was there a moment ago.

    Raises:
        Conflict: it was deleted since.
    """
    info = runtime.ports.objects.stat(name)
    if info is None:
        raise Conflict(f"{name} vanished")
    return info


def request_of(job: Job) -> TrainRequest:
    """What a job trains.

    Raises:
        BadRequest: it was accepted by an older version, and this one does not understand it any more.
        NotYet: it was accepted by a newer version, and says something that this one does not know.
    """
    try:
        return TrainRequest.model_validate(filled(job.asked, job.defaults))
    except ValidationError as error:
        wait_for_newer(error)
        raise BadRequest("this version does not take the request any more", error_lines(error)) from error


def get_or_create_queue(runtime: Runtime, name: str) -> Queue:
    """The document of a queue; it is created, empty, if there is none."""
    jobs = runtime.ports.jobs
    queue = jobs.get(Queue, name) or jobs.create(Queue(name=name)) or jobs.get(Queue, name)
    if queue is None:
        raise Conflict(f"queue {name} appeared and vanished")
    return queue


def free_slot(runtime: Runtime, job: Job, attempt: int) -> None:
    """Remove an attempt from the slots of its queue, if it holds one."""
    queue = get_or_create_queue(runtime, job.queue)
    kept = [slot for slot in queue.slots if (slot.job_id, slot.attempt) != (job.job_id, attempt)]
    if len(kept) < len(queue.slots):
        runtime.ports.jobs.replace(queue.model_copy(update={"slots": kept}), queue.version)
