"""Batches: rows become jobs a few at a time, and what people ask for is done to jobs a few at a time.

Each step goes on with a message of its own, so that none takes long, and whoever dies in one is followed by
the same message again. What a row becomes depends on its content only: done twice, it is the same job.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

from pydantic import ValidationError

from contracts import names
from contracts.base import WHOLE, canonical_json, error_lines
from contracts.batch import (
    ANY_COUNTRY,
    Batch,
    BatchRequest,
    BatchState,
    BatchStep,
    BatchTask,
    FrozenBatch,
    KnownRow,
    RefusedRow,
    RowRequest,
    request_of_row,
    table_name,
)
from contracts.events import SWEEP_REQUESTS, SweepRequest
from contracts.job import FileVersion, Job, JobState, Upload
from contracts.mapping import DEFAULT
from contracts.problem import Problem
from contracts.request import SettingsError, job_id_for, parse_settings
from contracts.tables import MAX_TABLE_BYTES, TableError, read_rows
from functions.acceptance.readable import kept
from functions.acceptance.request import BatchRow, RequestIdReused, is_request_id, is_same
from functions.batches import AHEAD, OPEN, changed, go_on, open_batch, read_batch, reject_batch
from functions.errors import BadMessage, BadRequest
from functions.extract.accept import accept
from functions.extract.mapping import is_mapping
from functions.message import Message, json_object
from functions.paging import every
from functions.ports import NotFound
from functions.retrying import NotRetriable, retry_job
from functions.runtime import Runtime
from functions.steps import announce, commit, publish, wake

CHUNK = 50
"""Rows, or jobs, of one step."""
STEP_S = 120.0
"""After this time a step ends with the row or job that it is at, however slow the store is."""


def handle_batch(message: Message, runtime: Runtime) -> None:
    """Begin the batch that a message is; of one that is not valid upstream is told why.

    Raises:
        BadMessage: it is no JSON object, or has no name by which its sender could know it.
    """
    try:
        open_batch(runtime, read_batch(message.data))
    except BadRequest as error:
        body = json_object(message.data)
        name = body.get("name")
        if not isinstance(name, str) or not name or not name.isprintable():
            raise BadMessage(error.problem.detail, error.problem.errors) from error
        digest = hashlib.sha256(message.data).hexdigest()
        reject_batch(runtime, name[:150].replace("#", "-"), digest, error.problem)


def open_table(runtime: Runtime, upload: Upload, settings: FileVersion) -> None:
    """Begin the batch that an uploaded table is, over the base that lies beside it.

    If one of the two was replaced meanwhile, its newer version begins a batch, and nothing is left to do.
    """
    data = FileVersion(name=upload.name, generation=upload.generation)
    name = table_name(upload.name)
    try:
        table, base = _content(runtime, data), _base(runtime, settings)
    except NotFound as error:
        runtime.log("INFO", f"stale: {error} was replaced before it was read", object=upload.name)
        return
    problems, values = [], {}
    rows: list[Any] = []
    try:
        rows = list(read_rows(upload.name, table))
    except TableError as error:
        problems.append(f"{WHOLE}: {upload.name} {error}")
    try:
        values = parse_settings(base)
    except SettingsError as error:
        problems.append(f"{WHOLE}: {settings.name} {error}")
    if not problems:
        try:
            request = BatchRequest.model_validate({"name": name, "base": values, "rows": rows})
        except ValidationError as error:
            problems = error_lines(error)
    if problems:
        refusal = BadRequest(f"{len(problems)} problem(s) in the batch", problems)
        digest = hashlib.sha256(table + base).hexdigest()
        reject_batch(runtime, name, digest, refusal.problem, data)
        return
    country = None if upload.country == ANY_COUNTRY else upload.country
    open_batch(runtime, request, country, data)


def _base(runtime: Runtime, settings: FileVersion) -> bytes:
    if is_mapping(settings):
        return canonical_json({"settings": {"name": DEFAULT, "version": settings.generation}}).encode()
    return _content(runtime, settings)


def _content(runtime: Runtime, file: FileVersion) -> bytes:
    with runtime.ports.objects.reader(file.name, file.generation) as stream:
        return stream.read(MAX_TABLE_BYTES + 1)


def step(message: Message, runtime: Runtime) -> None:
    """Go on with a batch, and send the message that goes on from there.

    Raises:
        BadMessage: the message is no step.
        Conflict: somebody else went on with it; look again.
    """
    event = message.event(BatchStep)
    batch = runtime.ports.jobs.get(Batch, event.batch_id)
    if batch is None:
        runtime.log("INFO", "stale: there is no such batch", batch_id=event.batch_id)
        return
    if batch.cancelled_by is not None:
        more = _cancel(runtime, batch, batch.cancelled_by)
    elif batch.task is not None:
        more = _retry(runtime, batch, batch.task)
    elif batch.state is BatchState.UNFOLDING:
        more = _unfold(runtime, batch)
    else:
        runtime.log("INFO", "stale: nothing to do for the batch", batch_id=batch.batch_id, state=batch.state)
        return
    if more:
        go_on(runtime, batch)


def _unfold(runtime: Runtime, batch: Batch) -> bool:
    """Let the next rows become jobs; whether that can go on at once.

    It waits, until sweep wakes it, while enough of them wait for extract: others have their turn between.
    """
    ports = runtime.ports
    if ports.jobs.count(Job, most=AHEAD, batch_id=batch.batch_id, state=JobState.ACCEPTED.value) >= AHEAD:
        return False
    try:
        frozen = FrozenBatch.model_validate_json(ports.objects.read(names.frozen_batch(batch.batch_id)))
    except NotFound:
        problem = Problem(
            type="batch-not-kept",
            title="The rest of the batch is not kept any more",
            detail=f"Its rows from {batch.unfolded + 1} on became no jobs; send the batch again.",
        )
        changed(runtime, batch, state=BatchState.RUNNING, error=problem)
        return False
    rows, known, refused = batch.unfolded, [*batch.known], [*batch.refused]
    started = time.monotonic()
    while rows < min(batch.rows, batch.unfolded + CHUNK) and time.monotonic() - started < STEP_S:
        rows += 1
        became = _accept(runtime, batch, request_of_row(frozen.batch, rows, frozen.country))
        known += [became] if isinstance(became, KnownRow) else []
        refused += [became] if isinstance(became, RefusedRow) else []
    done = rows == batch.rows
    state = BatchState.RUNNING if done else BatchState.UNFOLDING
    jobs = ports.jobs.count(Job, batch_id=batch.batch_id)  # those too that a step made which died
    changed(runtime, batch, state=state, unfolded=rows, known=known, refused=refused, jobs=jobs)
    return not done


def _accept(runtime: Runtime, batch: Batch, row: RowRequest) -> KnownRow | RefusedRow | None:
    """Make the job of a row, valid or not; or say whose job it is, or why it can have none."""
    body, problems = kept(row.body)
    said = body.get("request_id")
    key = str(said) if is_request_id(said) else row.derived_id
    job_id = job_id_for(key)
    job = runtime.ports.jobs.get(Job, job_id)
    if job is not None and not is_same(job, key, body):
        reason = f"request_id: {RequestIdReused.title}; {RequestIdReused.of(job).problem.detail}"
        return RefusedRow(row=row.row, request_id=key, problems=[reason])
    if job is not None and (job.batch_id, job.batch_row) != (batch.batch_id, row.row):
        return KnownRow(row=row.row, job_id=job_id)
    made = accept(
        runtime,
        job_id,
        key,
        body,
        more_errors=[*row.problems, *problems],
        row=BatchRow(batch.batch_id, row.row),
    )
    if made is not None:
        wake(runtime, made)
    return None


def _cancel(runtime: Runtime, batch: Batch, person: str) -> bool:
    """Stop the next jobs of a cancelled batch, those included that a step made which did not know of it."""
    done = 0
    for job in every(runtime.ports.jobs, Job, batch_id=batch.batch_id, state=OPEN):
        if job.state is not JobState.CANCELLING:
            if done == CHUNK:
                return True
            _cancel_job(runtime, job, person)
            done += 1
    for job in every(runtime.ports.jobs, Job, batch_id=batch.batch_id, state=JobState.REJECTED.value):
        if (job.batch_row or 0) <= batch.unfolded:
            break  # the newest come first: of those before, their step has told
        announce(runtime, job)
    if batch.task is not None:
        jobs = runtime.ports.jobs.count(Job, batch_id=batch.batch_id)
        changed(runtime, batch, state=BatchState.RUNNING, task=None, jobs=jobs)
    return False


def _cancel_job(runtime: Runtime, job: Job, person: str) -> None:
    commit(runtime, job, JobState.CANCELLING, f"cancelled by {person}, with its batch")
    publish(runtime, SWEEP_REQUESTS, SweepRequest(job_id=job.job_id))


def _retry(runtime: Runtime, batch: Batch, task: BatchTask) -> bool:
    """Start the next jobs again that a person wants to be; those that cannot be stay as they are."""
    done = 0
    states = tuple(state.value for state in task.states)
    for job in every(runtime.ports.jobs, Job, batch_id=batch.batch_id, state=states):
        if job.updated_at <= task.at:
            if done == CHUNK:
                return True
            try:
                retry_job(runtime, job, task.by)
                done += 1
            except NotRetriable as error:
                runtime.log("WARNING", f"not retried: {error.problem.detail}", job_id=job.job_id)
    rest = batch.unfolded < batch.rows and batch.error is None
    state = BatchState.UNFOLDING if rest else BatchState.RUNNING
    changed(runtime, batch, state=state, task=None)
    return rest
