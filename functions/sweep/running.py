"""Attempts that should be training: alive, ended without a word, or never started."""

from __future__ import annotations

from contracts import names
from contracts.job import Job
from contracts.problem import Problem
from functions.attempts import Beat, claim, end_attempt, read_claim, read_heartbeats
from functions.runtime import Runtime
from functions.steps import HEARTBEAT_DEADLINE, announce_object
from functions.sweep.wakeups import postpone, wake_or_fail


def sweep_running(runtime: Runtime, job: Job, asked: bool) -> None:
    """Copy the progress of a live attempt to its job, and end an attempt that is dead.

    A young heartbeat of one task is life enough, unless somebody `asked` about this very job: then the
    platform is, too. Tasks that are done write no more, so old heartbeats end the attempt only together.
    """
    attempt = names.attempt_of(job)
    now = runtime.ports.clock.now()
    late = job.deadline is not None and job.deadline <= now
    outcome = runtime.ports.objects.stat(attempt.outcome)
    if outcome is not None:
        if late:
            wake_or_fail(runtime, job, lambda runtime, _: announce_object(runtime, outcome))
        return
    beat = read_heartbeats(runtime.ports, attempt)
    young = beat is not None and now - beat.updated < HEARTBEAT_DEADLINE
    ended, detail = _platform_says(runtime, job) if late or asked else (False, "")
    if ended:
        _end(runtime, job, "crashed", _crashed(detail))
    elif beat is not None and young:
        _alive(runtime, job, beat)
    elif beat is not None and beat.whole and late:
        _end(runtime, job, "timed-out", HEARTBEAT_LOST)
    elif late:  # a task is pending, or not yet at its first heartbeat
        postpone(runtime, job, HEARTBEAT_DEADLINE)


def _alive(runtime: Runtime, job: Job, beat: Beat) -> None:
    deadline = beat.updated + HEARTBEAT_DEADLINE
    if beat.progress != job.progress or deadline != job.deadline:
        changed = job.model_copy(update={"deadline": deadline, "progress": beat.progress, "wakeups": 0})
        runtime.ports.jobs.replace(changed, job.version)


def _platform_says(runtime: Runtime, job: Job) -> tuple[bool, str]:
    """Whether the claimed execution, or every one that was started, has ended, and what is known of it."""
    held = read_claim(runtime.ports, names.attempt_of(job))
    if held is not None and held.execution is not None:
        execution = runtime.ports.launcher.get(held.execution)
        return execution is None or execution.state.ended, execution.detail if execution else "it is unknown"
    executions = runtime.ports.launcher.find(job.job_id, job.attempt)
    ended = all(execution.state.ended for execution in executions)
    return ended, executions[-1].detail if executions else "no execution was started"


def _end(runtime: Runtime, job: Job, status: str, problem: Problem) -> None:
    """End the attempt; a claim that nobody has made yet is made a tombstone first."""
    claim(runtime.ports, names.attempt_of(job), None)
    end_attempt(runtime, job, status, problem, "sweep")


HEARTBEAT_LOST = Problem(
    type="heartbeat-lost",
    title=f"The training gave no sign of life for {HEARTBEAT_DEADLINE.total_seconds() / 60:.0f} minutes",
)


def _crashed(detail: str) -> Problem:
    why = f"{detail}; its log so far may tell why; with exit code 137 the memory often did not suffice"
    return Problem(type="training-crashed", title="The training ended without a word", detail=why)
