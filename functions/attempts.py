"""How an attempt is claimed and ended: the objects in the bucket are the truth, not the job document."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from contracts.attempt import Claim, Heartbeat, Outcome, Progress
from contracts.job import Job
from contracts.names import Attempt, attempt_of
from contracts.problem import Problem
from functions.ports import AlreadyExists, NotFound, Ports, TrainerPorts
from functions.runtime import Runtime
from functions.steps import create_once

OUT_OF_MEMORY = "out-of-memory"
"""The type of the problem that an attempt needs more memory than it may have. Another would need as much."""


def read_claim(ports: TrainerPorts, attempt: Attempt) -> Claim | None:
    """The claim of an attempt; None if there is none."""
    try:
        return Claim.model_validate_json(ports.objects.read(attempt.claim))
    except NotFound:
        return None


def claim(ports: TrainerPorts, attempt: Attempt, execution: str | None) -> Claim:
    """Claim an attempt for an execution, or make a tombstone with None; return the claim that won."""
    wanted = Claim(job_id=attempt.job_id, attempt=attempt.attempt, execution=execution)
    try:
        ports.objects.create(attempt.claim, wanted.model_dump_json().encode())
    except AlreadyExists:
        return Claim.model_validate_json(ports.objects.read(attempt.claim))
    return wanted


def read_outcome(ports: TrainerPorts, attempt: Attempt) -> Outcome | None:
    """The outcome of an attempt; None if it has not ended."""
    try:
        return Outcome.model_validate_json(ports.objects.read(attempt.outcome))
    except NotFound:
        return None


@dataclass(frozen=True)
class Beat:
    """The heartbeats of all tasks of an attempt, taken together."""

    updated: datetime  # when the newest was written, by the store's clock
    execution: str
    whole: bool  # every task has written one
    progress: Progress


def read_heartbeats(ports: Ports, attempt: Attempt) -> Beat | None:
    """The heartbeats of all tasks, finished ones included; None if there is none."""
    infos = sorted(ports.objects.list(attempt.heartbeats), key=lambda info: info.updated)
    beats = [Heartbeat.model_validate_json(ports.objects.read(info.name)) for info in infos]
    if not beats:
        return None
    progress = Progress.of([beat.progress for beat in beats], beats[-1].tasks)
    return Beat(infos[-1].updated, beats[-1].execution, len(beats) >= beats[-1].tasks, progress)


def seal(ports: Ports, job: Job) -> str | None:
    """Make sure that nothing can start to train a waiting job any more.

    Whoever ends a job that waits seals its attempt first: a launch that was thought dead may still start a
    training, which then finds the tombstone and exits.

    Returns:
        The execution that had claimed the attempt before and trains it; None if it is sealed now.
    """
    return claim(ports, attempt_of(job), None).execution


def stop(ports: Ports, job: Job) -> bool:
    """Make sure that nothing of a job's attempt runs or will ever run; False while something still ends.

    An attempt without a claim gets a tombstone, so that a late start exits. The executions that claim and job
    name are cancelled; the platform is asked for a list of them only if neither names one. Another one, which
    lost the race for the claim, exits by itself.
    """
    holder = claim(ports, attempt_of(job), None).execution
    named = {name for name in (holder, job.execution) if name is not None}
    for name in named or {one.name for one in ports.launcher.find(job.job_id, job.attempt)}:
        ports.launcher.cancel(name)
    if holder is None:
        return True
    held = ports.launcher.get(holder)
    return held is None or held.state.ended


def end_attempt(runtime: Runtime, job: Job, status: str, problem: Problem, ended_by: str) -> None:
    """Create the outcome of a job's attempt unless there is one; finalize acts on the first."""
    outcome = Outcome.model_validate(
        {
            "job_id": job.job_id,
            "attempt": job.attempt,
            "status": status,
            "error": problem,
            "deterministic": problem.type == OUT_OF_MEMORY,
            "ended_by": ended_by,
            "at": runtime.ports.clock.now(),
        }
    )
    name = attempt_of(job).outcome
    create_once(runtime, name, outcome.model_dump_json(indent=2).encode())
