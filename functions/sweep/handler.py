"""sweep: every minute and on request; no job waits for ever, no slot leaks, no upload is forgotten."""

from __future__ import annotations

from contracts.events import SweepRequest
from contracts.job import Job, JobState
from functions.message import Message
from functions.runtime import Runtime
from functions.steps import announce_attempt_end
from functions.sweep.alone import alone
from functions.sweep.batches import sweep_batches
from functions.sweep.cancelling import sweep_cancelling
from functions.sweep.checking import check_launcher
from functions.sweep.deleting import sweep_deletion
from functions.sweep.deletions import sweep_deletions
from functions.sweep.months import sweep_months
from functions.sweep.queues import sweep_queues
from functions.sweep.running import sweep_running
from functions.sweep.schedules import sweep_schedules
from functions.sweep.uploads import sweep_uploads
from functions.sweep.waiting import sweep_waiting

_WAITING = (JobState.ACCEPTED, JobState.EXTRACTED, JobState.QUEUED, JobState.TRAINED)


def handle(message: Message, runtime: Runtime) -> None:
    """Sweep the job that the message names, or everything that is due."""
    request = message.event(SweepRequest)
    if request.check_id is not None:
        check_launcher(runtime, request.check_id)
        return
    if request.job_id is not None:
        job = runtime.ports.jobs.get(Job, request.job_id)
        if job is not None:
            _sweep(runtime, job, asked=True)
        return
    jobs = runtime.ports.jobs
    for state in (JobState.CANCELLING, JobState.RUNNING):  # as many as there are slots
        for job in jobs.find(Job, state=state.value):
            with alone(runtime, job_id=job.job_id):
                _sweep(runtime, job)
    for state in (*_WAITING, JobState.SUCCEEDED):  # succeeded: the files of the result are to be deleted
        for job in jobs.due(Job, runtime.ports.clock.now(), state=state.value):
            with alone(runtime, job_id=job.job_id):
                _sweep(runtime, job)
    sweep_queues(runtime)
    sweep_uploads(runtime)
    sweep_batches(runtime)
    sweep_months(runtime)
    sweep_schedules(runtime)
    sweep_deletions(runtime)


def _sweep(runtime: Runtime, job: Job, asked: bool = False) -> None:
    if job.state is JobState.CANCELLING:
        sweep_cancelling(runtime, job)
    elif job.state is JobState.RUNNING:
        sweep_running(runtime, job, asked)
    elif job.state in _WAITING and job.deadline is not None and job.deadline <= runtime.ports.clock.now():
        sweep_waiting(runtime, job)
    elif job.deletion is not None and job.deletion.done_at is None:
        sweep_deletion(runtime, job, job.deletion)
    elif asked and job.state in (JobState.FAILED, JobState.REJECTED):
        announce_attempt_end(runtime, job, job.attempt)  # the sweep that ended it may have died before
