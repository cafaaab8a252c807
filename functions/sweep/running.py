"""Attempts that should be training: alive, ended without an outcome, or never started."""

from __future__ import annotations

import re

from contracts import names
from contracts.job import Job
from contracts.problem import Problem
from functions.attempts import OUT_OF_MEMORY, Beat, claim, end_attempt, read_claim, read_heartbeats
from functions.ports import ExecutionState
from functions.runtime import Runtime
from functions.steps import HEARTBEAT_DEADLINE, announce_object
from functions.sweep.wakeups import postpone, wake_or_fail


def sweep_running(runtime: Runtime, job: Job, asked: bool) -> None:
    """Copy the progress of a live attempt to its job, and end an attempt that is dead.

    One recent heartbeat of any task proves that the attempt is alive. If this sweep was `asked` for by job
    id, the platform is asked as well. Finished tasks write no more heartbeats, so an attempt ends for lost
    heartbeats only if those of all tasks are old.
    """
    attempt = names.attempt_of(job)
    now = runtime.ports.clock.now()
    late = job.deadline is not None and job.deadline <= now
    outcome = runtime.ports.objects.stat(attempt.outcome)
    if outcome is not None:
        if late:
            wake_or_fail(runtime, job, lambda runtime, _: announce_object(runtime, outcome), outcome.updated)
        return
    beat = read_heartbeats(runtime.ports, attempt)
    young = beat is not None and now - beat.updated < HEARTBEAT_DEADLINE
    ended, waits, detail = _platform_says(runtime, job) if late or asked else (False, False, "")
    if ended:
        _end(runtime, job, "crashed", _crashed(detail))
    elif beat is not None and young:
        _alive(runtime, job, beat)
    elif beat is not None and beat.whole and late and not waits:
        _end(runtime, job, "timed-out", HEARTBEAT_LOST)
    elif late:  # a task is pending, or has not written its first heartbeat yet
        postpone(runtime, job, HEARTBEAT_DEADLINE)


def _alive(runtime: Runtime, job: Job, beat: Beat) -> None:
    deadline = beat.updated + HEARTBEAT_DEADLINE
    if beat.progress != job.progress or deadline != job.deadline:
        changed = job.model_copy(update={"deadline": deadline, "progress": beat.progress, "wakeups": 0})
        runtime.ports.jobs.replace(changed, job.version)


def _platform_says(runtime: Runtime, job: Job) -> tuple[bool, bool, str]:
    """Of the execution that claim or job name, or else of all: whether it ended or waits, and the detail."""
    held = read_claim(runtime.ports, names.attempt_of(job))
    name = (held and held.execution) or job.execution
    if name is not None:
        execution = runtime.ports.launcher.get(name)
        if execution is None:
            return True, False, "it is unknown"
        return execution.state.ended, execution.state is ExecutionState.PENDING, execution.detail
    executions = runtime.ports.launcher.find(job.job_id, job.attempt)
    ended = all(execution.state.ended for execution in executions)
    waits = any(execution.state is ExecutionState.PENDING for execution in executions)
    return ended, waits, executions[-1].detail if executions else "no execution was started"


def _end(runtime: Runtime, job: Job, status: str, problem: Problem) -> None:
    """End the attempt; a claim that nobody has made yet is made a tombstone first."""
    claim(runtime.ports, names.attempt_of(job), None)
    end_attempt(runtime, job, status, problem, "sweep")


HEARTBEAT_LOST = Problem(
    type="heartbeat-lost",
    title=f"The training sent no heartbeat for {HEARTBEAT_DEADLINE.total_seconds() / 60:.0f} minutes",
)


_TOO_LARGE = re.compile(
    r"exit code:? 137\b|signal:? 9\b|out.of.memory|allocate memory|memory limit|bad_alloc"
    r"|failed to map segment",
    re.IGNORECASE,
)
"""How platforms and libraries say that memory was short; who takes too much is killed by signal 9."""


def _crashed(detail: str) -> Problem:
    """Why an execution ended without an outcome, although the platform repeated it."""
    detail = f"{detail}; see its log so far"
    if _TOO_LARGE.search(detail):
        title = "The training died, also when it was repeated: it needs more memory than it may have"
        advice = "choose a larger size, or fewer candidates"
        return Problem(type=OUT_OF_MEMORY, title=f"{title}; {advice}", detail=detail)
    return Problem(type="training-crashed", title="The training ended without an outcome", detail=detail)
