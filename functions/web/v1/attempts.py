"""Attempts: what each try of a job to train did, said and left."""

from __future__ import annotations

from typing import TypeVar

from flask import request, url_for
from pydantic import BaseModel
from werkzeug.wrappers import Response

from contracts.api import (
    AttemptAnswer,
    AttemptList,
    AttemptRow,
    DeletedResults,
    DeleteQuery,
    File,
    FileList,
    LogQuery,
)
from contracts.job import Job, JobState
from contracts.names import Attempt, results
from contracts.result import Timings
from functions.attempts import read_claim, read_outcome
from functions.ports import NotFound, ObjectInfo, ObjectStore, Ports
from functions.runtime import Runtime
from functions.web import actions, files, views
from functions.web.people import asking
from functions.web.problems import BadRange, Unknown
from functions.web.routes import expected

M = TypeVar("M", bound=BaseModel)
_TRAINED = (JobState.TRAINED, JobState.SUCCEEDED)


def list_attempts(runtime: Runtime, job_id: str) -> AttemptList:
    """The attempts of a job, oldest first."""
    job = actions.job_of(runtime.ports, job_id)
    return AttemptList(attempts=[_row(job, attempt) for attempt in range(1, job.attempt + 1)])


def get_attempt(runtime: Runtime, job_id: str, attempt: int) -> AttemptAnswer:
    """One attempt: its steps, how its training ended and why, and what each step of it used."""
    job = in_attempt(runtime.ports, job_id, attempt)
    claim = read_claim(runtime.ports, Attempt(job_id, attempt))
    outcome = read_outcome(runtime.ports, Attempt(job_id, attempt))
    return AttemptAnswer(
        **dict(_row(job, attempt)),
        timeline=[entry for entry in job.timeline if entry.attempt == attempt],
        execution=claim.execution if claim else None,
        status=outcome.status if outcome else None,
        error=(outcome and outcome.error) or job.error,
        timings=_document(runtime.ports, Timings, f"{results(job)}timings.json") if outcome else None,
    )


def get_attempt_log(runtime: Runtime, job_id: str, attempt: int, query: LogQuery) -> Response:
    """What a task of an attempt has said so far.

    The log only grows: ask for `Range: bytes=N-` with the length that is known, and get what is new (206), or
    416 if nothing is. `X-Log-Done: true` says that nothing more will come.
    """
    job = in_attempt(runtime.ports, job_id, attempt)
    done = _row(job, attempt).done  # asked before the log is read: what is said last is said before the end
    pieces = list(runtime.ports.objects.list(f"{Attempt(job_id, attempt).logs}{query.task:04}-"))
    length = sum(piece.size for piece in pieces)
    headers = {"Accept-Ranges": "bytes", "X-Log-Done": "true" if done else "false"}
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        begin, end, status = 0, length, 200
    else:
        found = asked.range_for_length(length)
        if found is None:
            raise BadRange(
                f"the log has {length} bytes so far",
                headers={**headers, "Content-Range": f"bytes */{length}"},
            )
        (begin, end), status = found, 206
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{length}"
    text = _read(runtime.ports.objects, pieces, begin, end)
    response = Response(text, status, headers, content_type="text/plain; charset=utf-8")
    response.content_length = end - begin
    return response


def list_attempt_files(runtime: Runtime, job_id: str, attempt: int) -> FileList:
    """The files of an attempt: reports and logs, then the files of its result."""
    found = views.files(runtime.ports, in_attempt(runtime.ports, job_id, attempt))
    return FileList(files=[_file(job_id, attempt, file) for file in found])


def get_attempt_file(runtime: Runtime, job_id: str, attempt: int, file: str) -> Response:
    """The content of a file, or a redirection to where the object store lets it be downloaded."""
    job = in_attempt(runtime.ports, job_id, attempt)
    return files.send(runtime.ports.objects, views.file_of(runtime.ports, job, file), of_attempt=True)


def delete_results(runtime: Runtime, job_id: str, query: DeleteQuery) -> DeletedResults:
    """Delete the files of a job's result; the job stays, and says who had them deleted.

    With `dry_run=true` nothing is deleted. A model that its country uses is kept: mark another one first, or
    none.
    """
    job = actions.deletable(runtime.ports, job_id, expected)
    own = [file for file in views.files(runtime.ports, job) if file.object_name.startswith(results(job))]
    if not query.dry_run:
        actions.delete_results(runtime, job_id, asking(), expected)
    return DeletedResults(
        job_id=job_id,
        asked=not query.dry_run,
        files=[file.name for file in own],
        bytes=sum(file.size for file in own),
    )


def in_attempt(ports: Ports, job_id: str, attempt: int) -> Job:
    """A job as far as one of its attempts is concerned.

    Raises:
        Unknown: there is no such job, or it has no such attempt.
    """
    job = actions.job_of(ports, job_id)
    if attempt > job.attempt:
        raise Unknown(f"job {job_id} has no attempt {attempt}; the last one is {job.attempt}")
    own = {"attempt": attempt, "error": None}  # the error is that of the last one
    return job if attempt == job.attempt else job.model_copy(update=own)


def _row(job: Job, attempt: int) -> AttemptRow:
    """An attempt of a job, which is the job's last one unless its timeline has later ones."""
    steps = [entry for entry in job.timeline if entry.attempt == attempt]
    is_last = attempt == max(entry.attempt for entry in job.timeline)
    return AttemptRow(
        attempt=attempt,
        state=steps[-1].state if steps else JobState.FAILED,
        done=not is_last or job.state in _TRAINED or job.state.terminal,
        begun_at=steps[0].at,
        updated_at=steps[-1].at,
    )


def _file(job_id: str, attempt: int, file: views.JobFile) -> File:
    address = url_for("api.get_attempt_file", job_id=job_id, attempt=attempt, file=file.name)
    return File(name=file.name, size=file.size, object=file.object_name, url=address)


def _document(ports: Ports, model: type[M], name: str) -> M | None:
    try:
        return model.model_validate_json(ports.objects.read(name))
    except NotFound:
        return None


def _read(objects: ObjectStore, pieces: list[ObjectInfo], begin: int, end: int) -> bytes:
    """The bytes from `begin` to `end` of pieces in a row. A piece may have grown since."""
    read, at = b"", 0
    for piece in pieces:
        first, last = max(begin - at, 0), min(end - at, piece.size)
        if first < last:
            with objects.reader(piece.name) as stream:
                stream.seek(first)
                read += stream.read(last - first)
        at += piece.size
    return read
