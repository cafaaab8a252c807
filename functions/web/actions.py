"""What people can do: cancel, retry, replay, pause. A compare-and-set, then effects that may be repeated."""

from __future__ import annotations

import base64

from contracts import names
from contracts.base import canonical_json
from contracts.events import (
    JOB_FINISHED,
    SUBSCRIPTIONS,
    SWEEP_REQUESTS,
    TRAIN_REQUESTS,
    TRAINING_READY,
    SweepRequest,
    TrainingReady,
)
from contracts.job import DeadLetter, FileVersion, Job, JobState, Queue
from contracts.validation import ValidationReport
from functions.notifications import notification
from functions.ports import NotFound, ObjectInfo, Ports
from functions.retries import retry_on_conflict
from functions.steps import commit, job_finished, publish, queue_of
from functions.web.problems import Refused, Unknown

S = JobState


def cancel(ports: Ports, job_id: str, person: str) -> Job:
    """Ask for the end of a job; sweep stops the compute and then commits CANCELLED.

    Raises:
        Unknown: there is no such job.
        Refused: it has ended already.
    """
    job = retry_on_conflict(lambda: _cancelling(ports, job_of(ports, job_id), person))
    publish(ports, SWEEP_REQUESTS, SweepRequest(job_id=job_id))
    return job


def retry(ports: Ports, job_id: str, person: str) -> Job:
    """Start a failed or cancelled job again, as a new attempt, from the last step whose objects exist.

    Raises:
        Unknown: there is no such job.
        Refused: it is not FAILED or CANCELLED, or its uploaded file is gone.
    """
    job = retry_on_conflict(lambda: _retried(ports, job_of(ports, job_id), person))
    _wake(ports, job)
    return job


def replay(ports: Ports, letter_id: str) -> DeadLetter:
    """Publish a dead letter's message to its topic again; all subscriptions get it, handlers are idempotent.

    Raises:
        Unknown: there is no such dead letter.
        Refused: its subscription is none of ours.
    """
    letter = _letter(ports, letter_id)
    if letter.subscription not in SUBSCRIPTIONS:
        raise Refused(f"the dead letter came from '{letter.subscription}', which is no subscription of ours")
    topic, _ = SUBSCRIPTIONS[letter.subscription]
    ports.bus.publish(topic, base64.b64decode(letter.data), {**letter.attributes, "replay_of": letter_id})
    return retry_on_conflict(lambda: _replayed(ports, _letter(ports, letter_id)))


def pause(ports: Ports, queue: str, paused: bool) -> Queue:
    """Let a queue start nothing any more, or start again. What runs goes on."""
    changed = retry_on_conflict(lambda: _paused(ports, queue_of(ports, queue), paused))
    if not paused:
        for job in ports.jobs.find(Job, limit=1, state=S.QUEUED.value, queue=queue):
            _wake(ports, job)
    return changed


def job_of(ports: Ports, job_id: str) -> Job:
    """The job as it is now.

    Raises:
        Unknown: there is no such job.
    """
    job = ports.jobs.get(Job, job_id)
    if job is None:
        raise Unknown(f"there is no job {job_id}")
    return job


def _cancelling(ports: Ports, job: Job, person: str) -> Job:
    if job.state is S.CANCELLING:
        return job
    if job.state.terminal:
        raise Refused(f"job {job.job_id} has ended: it is {job.state}")
    return commit(ports, job, S.CANCELLING, f"cancelled by {person}")


def _retried(ports: Ports, job: Job, person: str) -> Job:
    if job.state not in (S.FAILED, S.CANCELLED):
        raise Refused(f"only FAILED and CANCELLED jobs can be retried; job {job.job_id} is {job.state}")
    attempt = job.attempt + 1
    publish(ports, JOB_FINISHED, job_finished(job))  # whoever ended it may have died before telling
    return commit(
        ports,
        job,
        _last_whole_step(ports, job),
        f"retried by {person}",
        attempt=attempt,
        first_attempt=attempt,
        error=None,
        progress=None,
        execution=None,
    )


def _replayed(ports: Ports, letter: DeadLetter) -> DeadLetter:
    return ports.jobs.replace(letter.model_copy(update={"replayed_at": ports.clock.now()}), letter.version)


def _paused(ports: Ports, queue: Queue, paused: bool) -> Queue:
    return ports.jobs.replace(queue.model_copy(update={"paused": paused}), queue.version)


def _last_whole_step(ports: Ports, job: Job) -> JobState:
    if ports.objects.stat(names.prepared(job.country, job.job_id)) and _validated(ports, job):
        return S.QUEUED
    if ports.objects.stat(names.dataset(job.country, job.job_id)):
        return S.EXTRACTED
    if job.upload:
        _uploaded(ports, job.upload)
    return S.ACCEPTED


def _validated(ports: Ports, job: Job) -> bool:
    try:
        text = ports.objects.read(names.validation(job.country, job.job_id))
    except NotFound:
        return False
    return ValidationReport.model_validate_json(text).valid


def _uploaded(ports: Ports, upload: FileVersion) -> ObjectInfo:
    info = ports.objects.stat(upload.name)
    if info is None or info.generation != upload.generation:
        raise Refused(f"{upload.name} was deleted or replaced since; upload it again for a new job")
    return info


def _wake(ports: Ports, job: Job) -> None:
    """Publish what wakes the function that acts on the job's state."""
    if job.state is S.QUEUED:
        publish(ports, TRAINING_READY, TrainingReady(job_id=job.job_id, attempt=job.attempt))
    elif job.state is S.EXTRACTED:
        dataset = ports.objects.stat(names.dataset(job.country, job.job_id))
        if dataset:  # deleted in this moment: sweep finds the job at its deadline
            ports.bus.publish(*notification(dataset))
    elif job.upload:
        ports.bus.publish(*notification(_uploaded(ports, job.upload)))
    else:
        ports.bus.publish(TRAIN_REQUESTS, canonical_json(job.request).encode())


def _letter(ports: Ports, letter_id: str) -> DeadLetter:
    letter = ports.jobs.get(DeadLetter, letter_id)
    if letter is None:
        raise Unknown(f"there is no dead letter {letter_id}")
    return letter
