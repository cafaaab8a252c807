"""Batches: how one begins, how its jobs are counted, and how its end is told."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from contracts import names
from contracts.base import error_lines, storable
from contracts.batch import (
    MAX_BATCH_BYTES,
    Batch,
    BatchFinished,
    BatchRequest,
    BatchState,
    BatchStep,
    FrozenBatch,
)
from contracts.events import BATCH_STEPS, JOB_FINISHED
from contracts.job import TERMINAL, FileVersion, Job, JobState
from contracts.problem import Problem
from contracts.request import job_id_for
from functions.errors import BadRequest
from functions.message import json_object
from functions.ports import Conflict, Ports
from functions.runtime import Runtime
from functions.steps import create_once, publish

OPEN = tuple(state.value for state in JobState if state not in TERMINAL)
AHEAD = 50
"""Accepted rows whose data are not extracted yet; more of them would stand before other people's requests."""


def read_batch(data: bytes) -> BatchRequest:
    """The batch in a message or a body. A row that cannot be stored is replaced by the reasons.

    Raises:
        BadMessage: it is no JSON object.
        BadRequest: it is no batch; with every problem.
    """
    if len(data) > MAX_BATCH_BYTES:
        limit = f"{MAX_BATCH_BYTES >> 10} KiB"
        raise BadRequest(f"a batch has at most {limit}; divide it, or put its table into the drop-zone")
    body = json_object(data)
    if isinstance(body.get("rows"), list):
        body["rows"] = [_kept(row) for row in body["rows"]]
    body, problems = storable(body)
    try:
        request = BatchRequest.model_validate(body)
    except ValidationError as error:
        problems += error_lines(error)
    if problems:
        raise BadRequest(f"{len(problems)} problem(s) in the batch", problems)
    return request


def _kept(row: Any) -> Any:
    kept, problems = storable(row)
    return problems or kept


def open_batch(
    runtime: Runtime,
    request: BatchRequest,
    country: str | None = None,
    upload: FileVersion | None = None,
    by: str | None = None,
) -> tuple[Batch, bool]:
    """The document of a batch, and whether it is new; extract is told to unfold it.

    Raises:
        Conflict: somebody else has just made it; look again.
    """
    batch_id = request.batch_id
    batch = runtime.ports.jobs.get(Batch, batch_id)
    is_new = batch is None
    if batch is None:
        frozen = FrozenBatch(batch_id=batch_id, batch=request, country=country)
        create_once(runtime, names.frozen_batch(batch_id), frozen.model_dump_json().encode())
        batch = _create(runtime, batch_id, request.name, rows=len(request.rows), upload=upload, by=by)
    if batch.state is BatchState.UNFOLDING:
        go_on(runtime, batch)
    return batch, is_new


def reject_batch(
    runtime: Runtime, name: str, content: str, problem: Problem, upload: FileVersion | None = None
) -> Batch:
    """The document of a batch that cannot be read; upstream is told."""
    batch_id = job_id_for(f"{name}#{content}")
    batch = runtime.ports.jobs.get(Batch, batch_id) or _create(
        runtime, batch_id, name, rows=0, upload=upload, state=BatchState.FINISHING, error=problem
    )
    return tell(runtime, batch) if batch.state is BatchState.FINISHING else batch


def _create(runtime: Runtime, batch_id: str, name: str, **fields: Any) -> Batch:
    now = runtime.ports.clock.now()
    new = Batch(batch_id=batch_id, name=name, accepted_at=now, updated_at=now, **fields)
    created = runtime.ports.jobs.create(new)
    if created is None:
        raise Conflict(f"batch {batch_id} was created by somebody else")
    return created


def go_on(runtime: Runtime, batch: Batch) -> None:
    """Tell extract to go on with a batch."""
    publish(runtime, BATCH_STEPS, BatchStep(batch_id=batch.batch_id))


def changed(runtime: Runtime, batch: Batch, **changes: Any) -> Batch:
    """Store a change of a batch.

    Raises:
        Conflict: somebody else changed it; read it again.
    """
    changes["updated_at"] = runtime.ports.clock.now()
    return runtime.ports.jobs.replace(batch.model_copy(update=changes), batch.version)


def tell(runtime: Runtime, batch: Batch) -> Batch:
    """Publish that a batch has ended, then commit that it is told.

    Raises:
        Conflict: somebody else did so.
    """
    publish(runtime, JOB_FINISHED, BatchFinished.of(batch))
    state = BatchState.FINISHED if batch.rows else BatchState.REJECTED
    return changed(runtime, batch, state=state)


def count_jobs(ports: Ports, batch: Batch) -> dict[JobState, int]:
    """How many jobs of a batch are in each state that any is in."""
    counts = {state: ports.jobs.count(Job, batch_id=batch.batch_id, state=state.value) for state in JobState}
    return {state: count for state, count in counts.items() if count}
