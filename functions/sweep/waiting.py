"""Jobs that wait for a handler longer than a handler takes."""

from __future__ import annotations

from contracts import names
from contracts.base import canonical_json
from contracts.events import TRAIN_REQUESTS, TRAINING_FINISHED, TrainingFinished
from contracts.job import Job, JobState
from functions.attempts import trains_already
from functions.errors import BadRequest, BadSource
from functions.runtime import Runtime
from functions.steps import HANDLER_DEADLINE, announce_ready, commit, publish, queue_of, refuse
from functions.sweep.wakeups import MAX_WAKEUPS, announce_object, ask_again, postpone, wake


def sweep_waiting(runtime: Runtime, job: Job) -> None:
    """Send the event again that the job waits for."""
    if job.state is JobState.QUEUED:
        _queued(runtime, job)
    elif job.state is JobState.TRAINED:
        event = TrainingFinished(job_id=job.job_id, attempt=job.attempt, state=job.state)
        wake(runtime, job, lambda: publish(runtime.ports, TRAINING_FINISHED, event))
    else:
        _before_validation(runtime, job)


def _queued(runtime: Runtime, job: Job) -> None:
    """Waiting for a slot is no fault; waiting although one is free, or one's own, is.

    Between two trainings a slot is free for a moment: where others were given slots lately, that is no fault.
    """
    limit = runtime.settings.queues.get(job.queue)
    if limit is None:
        if not _trains(runtime, job):
            ask_again(runtime, job)
            refuse(runtime, job, BadRequest(f"queue: there is no queue '{job.queue}' any more"))
        return
    queue = queue_of(runtime.ports, job.queue)
    its_own = (job.job_id, job.attempt) in {(slot.job_id, slot.attempt) for slot in queue.slots}
    full = len(queue.slots) >= limit
    now = runtime.ports.clock.now()
    moves = any(now - slot.since < HANDLER_DEADLINE for slot in queue.slots)
    if queue.paused or ((full or moves) and not its_own):
        postpone(runtime, job, HANDLER_DEADLINE, wakeups=0)
    elif job.wakeups < MAX_WAKEUPS or not _trains(runtime, job):
        wake(runtime, job, lambda: announce_ready(runtime, job))


def _trains(runtime: Runtime, job: Job) -> bool:
    """Whether the attempt trains, which is committed then; if it does not, it never will."""
    holder = trains_already(runtime.ports, job)
    if holder is not None:
        commit(runtime.ports, job, JobState.RUNNING, "the claim proves it", execution=holder, progress=None)
    return holder is not None


def _before_validation(runtime: Runtime, job: Job) -> None:
    dataset = runtime.ports.objects.stat(names.dataset(job.country, job.job_id))
    if dataset is not None:
        wake(runtime, job, lambda: announce_object(runtime, dataset))
    elif job.upload is None:
        wake(runtime, job, lambda: _publish_request(runtime, job))
    else:
        _upload(runtime, job)


def _publish_request(runtime: Runtime, job: Job) -> None:
    runtime.ports.bus.publish(TRAIN_REQUESTS, canonical_json(job.request).encode())


def _upload(runtime: Runtime, job: Job) -> None:
    source = job.upload and runtime.ports.objects.stat(job.upload.name)
    if not source or (job.upload and source.generation != job.upload.generation):
        ask_again(runtime, job)
        refuse(runtime, job, BadSource("the uploaded file was removed or replaced before it was read"))
    else:
        wake(runtime, job, lambda: announce_object(runtime, source))
