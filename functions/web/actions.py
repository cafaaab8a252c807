"""What people can do: cancel, retry, replay, pause. A compare-and-set, then effects that may be repeated."""

from __future__ import annotations

import base64
from collections.abc import Callable

from contracts import names
from contracts.events import (
    JOB_FINISHED,
    SUBSCRIPTIONS,
    SWEEP_REQUESTS,
    SweepRequest,
)
from contracts.job import KEEP_ENDED, DeadLetter, Document, Job, JobState, Queue
from contracts.validation import ValidationReport
from functions.ports import NotFound, Ports
from functions.retries import retry_on_conflict
from functions.runtime import Runtime
from functions.steps import commit, get_or_create_queue, job_finished, publish, uploaded_file, wake
from functions.web.problems import Refused, Unknown

S = JobState
Check = Callable[[Document], None]
"""Refuses what is not as whoever asks expects it to be."""


def unchecked(document: Document) -> None:
    """Expect nothing."""
    del document


def cancel(runtime: Runtime, job_id: str, person: str, check: Check = unchecked) -> Job:
    """Ask for the end of a job; sweep stops the compute and then commits CANCELLED.

    Raises:
        Unknown: there is no such job.
        Refused: it has ended already.
    """
    job = retry_on_conflict(lambda: _cancelling(runtime, job_of(runtime.ports, job_id, check), person))
    publish(runtime, SWEEP_REQUESTS, SweepRequest(job_id=job_id))
    return job


def retry(runtime: Runtime, job_id: str, person: str, check: Check = unchecked) -> Job:
    """Start a failed or cancelled job again, as a new attempt, from the last step whose objects exist.

    Raises:
        Unknown: there is no such job.
        Refused: it is not FAILED or CANCELLED, or its uploaded file is gone.
    """
    job = retry_on_conflict(lambda: _retried(runtime, job_of(runtime.ports, job_id, check), person))
    wake(runtime, job)
    return job


def replay(runtime: Runtime, letter_id: str) -> DeadLetter:
    """Publish a dead letter's message to its topic again; all subscriptions get it, handlers are idempotent.

    Raises:
        Unknown: there is no such dead letter.
        Refused: its subscription is none of ours.
    """
    letter = _letter(runtime, letter_id)
    if letter.subscription not in SUBSCRIPTIONS:
        raise Refused(f"the dead letter came from '{letter.subscription}', which is no subscription of ours")
    topic, _ = SUBSCRIPTIONS[letter.subscription]
    attributes = {**letter.attributes, "replay_of": letter_id}
    runtime.ports.bus.publish(topic, base64.b64decode(letter.data), attributes)
    return retry_on_conflict(lambda: _replayed(runtime, _letter(runtime, letter_id)))


def pause(runtime: Runtime, queue: str, paused: bool) -> Queue:
    """Stop a queue from starting attempts, or let it start them again. Running attempts are not touched."""
    changed = retry_on_conflict(lambda: _paused(runtime, get_or_create_queue(runtime, queue), paused))
    if not paused:
        for job in runtime.ports.jobs.find(Job, limit=1, state=S.QUEUED.value, queue=queue):
            wake(runtime, job)
    return changed


def job_of(ports: Ports, job_id: str, check: Check = unchecked) -> Job:
    """The job as it is now.

    Raises:
        Unknown: there is no such job.
    """
    job = ports.jobs.get(Job, job_id)
    if job is None:
        raise Unknown(f"there is no job {job_id}")
    check(job)
    return job


def _cancelling(runtime: Runtime, job: Job, person: str) -> Job:
    if job.state is S.CANCELLING:
        return job
    if job.state.terminal:
        raise Refused(f"job {job.job_id} has ended: it is {job.state}")
    return commit(runtime, job, S.CANCELLING, f"cancelled by {person}")


def _retried(runtime: Runtime, job: Job, person: str) -> Job:
    if job.state not in (S.FAILED, S.CANCELLED):
        raise Refused(f"only FAILED and CANCELLED jobs can be retried; job {job.job_id} is {job.state}")
    attempt = job.attempt + 1
    publish(runtime, JOB_FINISHED, job_finished(job))  # whoever ended it may have died before announcing it
    return commit(
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


def _replayed(runtime: Runtime, letter: DeadLetter) -> DeadLetter:
    now = runtime.ports.clock.now()
    replayed = letter.model_copy(update={"replayed_at": now, "expires": now + KEEP_ENDED})
    return runtime.ports.jobs.replace(replayed, letter.version)


def _paused(runtime: Runtime, queue: Queue, paused: bool) -> Queue:
    return runtime.ports.jobs.replace(queue.model_copy(update={"paused": paused}), queue.version)


def _last_whole_step(runtime: Runtime, job: Job) -> JobState:
    if runtime.ports.objects.stat(names.prepared(job.country, job.job_id)) and _validated(runtime, job):
        return S.QUEUED
    if runtime.ports.objects.stat(names.dataset(job.country, job.job_id)):
        return S.EXTRACTED
    if job.upload and not uploaded_file(runtime, job.upload):
        raise Refused(f"{job.upload.name} was deleted or replaced since; upload it again for a new job")
    return S.ACCEPTED


def _validated(runtime: Runtime, job: Job) -> bool:
    try:
        text = runtime.ports.objects.read(names.validation(job.country, job.job_id))
    except NotFound:
        return False
    return ValidationReport.model_validate_json(text).valid


def _letter(runtime: Runtime, letter_id: str) -> DeadLetter:
    letter = runtime.ports.jobs.get(DeadLetter, letter_id)
    if letter is None:
        raise Unknown(f"there is no dead letter {letter_id}")
    return letter
