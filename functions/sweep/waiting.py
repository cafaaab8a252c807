"""Jobs that have waited for a handler longer than a handler takes."""

from __future__ import annotations

from contracts import names
from contracts.batch import Batch
from contracts.job import Job, JobState
from functions.attempts import seal
from functions.errors import BadRequest, BadSource
from functions.runtime import Runtime
from functions.steps import HANDLER_DEADLINE, commit, get_or_create_queue, refuse, uploaded_file
from functions.sweep.wakeups import MAX_WAKEUPS, ask_again, postpone, wake_or_fail


def sweep_waiting(runtime: Runtime, job: Job) -> None:
    """Send the message again that the job waits for, unless the job cannot go on."""
    if job.state is JobState.QUEUED:
        _queued(runtime, job)
    elif _has_lost_its_file(runtime, job):
        ask_again(runtime, job)
        refuse(runtime, job, BadSource("the uploaded file was removed or replaced before it was read"))
    else:
        wake_or_fail(runtime, job)


def _queued(runtime: Runtime, job: Job) -> None:
    """Postpone a job that rightly waits for a slot; wake launch if a slot is free or already its own.

    Between two trainings a slot is free for a moment, so a queue that gave out a slot lately counts as full.
    """
    limit = runtime.settings.queues.get(job.queue)
    if limit is None:
        if not _commit_if_training(runtime, job):
            ask_again(runtime, job)
            refuse(runtime, job, BadRequest(f"queue: there is no queue '{job.queue}' any more"))
        return
    queue = get_or_create_queue(runtime, job.queue)
    its_own = (job.job_id, job.attempt) in {(slot.job_id, slot.attempt) for slot in queue.slots}
    full = len(queue.slots) >= limit
    now = runtime.ports.clock.now()
    moves = any(now - slot.since < HANDLER_DEADLINE for slot in queue.slots)
    if queue.paused or _is_of_paused_batch(runtime, job) or ((full or moves) and not its_own):
        postpone(runtime, job, HANDLER_DEADLINE, wakeups=0)
    elif job.wakeups < MAX_WAKEUPS or not _commit_if_training(runtime, job):
        wake_or_fail(runtime, job)


def _is_of_paused_batch(runtime: Runtime, job: Job) -> bool:
    batch = runtime.ports.jobs.get(Batch, job.batch_id) if job.batch_id else None
    return batch is not None and batch.launching == "paused"


def _commit_if_training(runtime: Runtime, job: Job) -> bool:
    """Commit RUNNING if an execution trains the attempt; otherwise seal the attempt: none ever will."""
    holder = seal(runtime.ports, job)
    if holder is not None:
        commit(runtime, job, JobState.RUNNING, "the claim proves it", execution=holder, progress=None)
    return holder is not None


def _has_lost_its_file(runtime: Runtime, job: Job) -> bool:
    """Whether nothing is left of an upload: neither what was extracted nor the file itself."""
    if job.state is JobState.TRAINED or job.upload is None:
        return False
    dataset = names.dataset(job.country, job.job_id)
    return runtime.ports.objects.stat(dataset) is None and uploaded_file(runtime.ports, job.upload) is None
