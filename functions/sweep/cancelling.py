"""Jobs being cancelled: the compute stops first, then the attempt ends, then finalize commits CANCELLED."""

from __future__ import annotations

from contracts import names
from contracts.job import Job
from contracts.problem import Problem
from functions.attempts import end_attempt, stop
from functions.errors import NotYet
from functions.runtime import Runtime
from functions.steps import announce_object


def sweep_cancelling(runtime: Runtime, job: Job) -> None:
    """Stop the attempt and end it; announce the outcome again if it had ended before.

    Raises:
        NotYet: its execution has been told to stop, but has not ended.
    """
    attempt = names.attempt_of(job)
    if not stop(runtime.ports, job):
        raise NotYet(f"the execution of {job.job_id} has not ended yet")
    known = runtime.ports.objects.stat(attempt.outcome)
    if known is not None:
        announce_object(runtime, known)
    else:
        problem = Problem(type="cancelled", title="The job was cancelled")
        end_attempt(runtime, job, "cancelled", problem, "cancel")
