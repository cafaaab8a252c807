"""finalize: turns an outcome into the next state: TRAINED with a whole result, a new attempt, or the end."""

from __future__ import annotations

from contracts import names
from contracts.attempt import Manifest, Outcome
from contracts.job import Job, JobState
from contracts.names import Attempt
from contracts.problem import Problem
from functions.attempts import read_outcome, stop
from functions.errors import BadMessage, BrokenResult, NotYet
from functions.message import Message
from functions.notifications import object_event
from functions.ports import NotFound, Ports
from functions.runtime import Runtime
from functions.steps import MAX_ATTEMPTS, announce_attempt_end, commit, commit_end


def handle(message: Message, runtime: Runtime) -> None:
    """Act on the outcome that the message announces.

    Raises:
        BadMessage: the object is no outcome of ours.
        NotYet: the execution of a failed attempt is still ending.
    """
    try:
        attempt = Attempt.of_outcome(object_event(message.attributes, message.data).name)
    except ValueError as error:
        raise BadMessage(str(error)) from error
    job = runtime.ports.jobs.get(Job, attempt.job_id)
    outcome = read_outcome(runtime.ports, attempt) if job else None
    if job is None or outcome is None:
        raise BadMessage(f"there is no job, or no outcome, for {attempt.outcome}")
    if job.attempt == attempt.attempt:
        _act(runtime, job, outcome)
    elif (
        job.attempt == attempt.attempt + 1 and job.state is JobState.QUEUED
    ):  # committed, effects perhaps not done
        announce_attempt_end(runtime, job, attempt.attempt)
    else:
        runtime.log(
            "INFO", "stale: the job is in another attempt", job_id=job.job_id, attempt=attempt.attempt
        )


def _act(runtime: Runtime, job: Job, outcome: Outcome) -> None:
    if job.state is JobState.QUEUED:  # launch has not committed yet
        job = commit(runtime, job, JobState.RUNNING, "the outcome proves it")
    if job.state is JobState.RUNNING:
        job = _finish(runtime, job, outcome)
    elif job.state is JobState.CANCELLING:
        _stopped(runtime.ports, job)
        job = commit_end(runtime, job, JobState.CANCELLED)
    elif job.state not in (JobState.TRAINED, JobState.FAILED, JobState.CANCELLED):
        runtime.log("INFO", "stale: nothing to finalize", job_id=job.job_id, state=job.state)
        return
    announce_attempt_end(runtime, job, outcome.attempt)


def _finish(runtime: Runtime, job: Job, outcome: Outcome) -> Job:
    if outcome.status == "succeeded":
        try:
            check_manifest(runtime.ports, job)
            return commit(runtime, job, JobState.TRAINED, progress=outcome.progress or job.progress)
        except BrokenResult as error:
            outcome = outcome.model_copy(update={"status": "failed", "error": error.problem})
    return _next_attempt_or_end(runtime, job, outcome)


def _next_attempt_or_end(runtime: Runtime, job: Job, outcome: Outcome) -> Job:
    _stopped(runtime.ports, job)
    problem = outcome.error or Problem(type="attempt-ended", title=f"The attempt ended: {outcome.status}")
    if outcome.deterministic or job.attempt - job.first_attempt + 1 >= MAX_ATTEMPTS:
        used = outcome.progress or job.progress
        return commit_end(runtime, job, JobState.FAILED, problem.title, error=problem, progress=used)
    return commit(
        runtime,
        job,
        JobState.QUEUED,
        problem.title,
        attempt=job.attempt + 1,
        execution=None,
        progress=None,
    )


def _stopped(ports: Ports, job: Job) -> None:
    if not stop(ports, job):
        raise NotYet(f"the execution of {job.job_id}, attempt {job.attempt}, has not ended yet")


def check_manifest(ports: Ports, job: Job) -> Manifest:
    """Compare the manifest of a job's attempt with what the store knows; nothing is downloaded.

    Raises:
        BrokenResult: with every file that is missing or differs.
    """
    folder = names.results(job)
    try:
        manifest = Manifest.model_validate_json(ports.objects.read(f"{folder}manifest.json"))
    except NotFound as error:
        raise BrokenResult(f"{folder}manifest.json does not exist") from error
    there = {info.name.removeprefix(folder): info for info in ports.objects.list(folder)}
    errors = []
    for file in manifest.files:
        info = there.get(file.name)
        if info is None:
            errors.append(f"{file.name} is missing")
        elif (info.size, info.crc32c) != (file.size, file.crc32c):
            errors.append(
                f"{file.name} differs: {info.size} bytes, {info.crc32c}; expected {file.size}, {file.crc32c}"
            )
    if errors:
        raise BrokenResult(f"{len(errors)} file(s) of the result are not as the manifest says", errors)
    return manifest
