"""Batches: lists, one batch, and what people do with it."""

from __future__ import annotations

from flask import url_for

from contracts.api import BatchAnswer, BatchList, ListQuery
from contracts.base import WHOLE
from contracts.batch import Batch
from functions.batches import open_batch, read_batch
from functions.errors import BadMessage, BadRequest
from functions.retries import retry_on_conflict
from functions.runtime import Runtime
from functions.web import batch_actions, batch_views
from functions.web.people import asking
from functions.web.problems import BadBody
from functions.web.routes import Answered, expected
from functions.web.v1.paging import page


def list_batches(runtime: Runtime, query: ListQuery) -> BatchList:
    """Batches, newest first."""
    found, token = page(runtime.ports.jobs, Batch, query)
    return BatchList(
        batches=[batch_views.row_of(runtime.ports, batch) for batch in found], next_page_token=token
    )


def get_batch(runtime: Runtime, batch_id: str) -> BatchAnswer:
    """One batch, with its jobs counted by state; they are listed by `/jobs?batch_id=…`."""
    return _answer(runtime, batch_actions.batch_of(runtime.ports, batch_id))


def create_batch(runtime: Runtime, body: bytes) -> Answered:
    """Accept many train requests over one base; each of their rows becomes a job.

    Sent twice, it is still one batch (200). A row that cannot be a request holds up no other.
    """
    try:
        request = read_batch(body)
    except BadMessage as error:
        raise BadBody(error.problem.detail, [f"{WHOLE}: {error.problem.detail}"]) from error
    except BadRequest as error:
        raise BadBody(error.problem.detail, error.problem.errors) from error
    batch, is_new = retry_on_conflict(lambda: open_batch(runtime, request, by=asking()))
    location = url_for("api.get_batch", batch_id=batch.batch_id)
    headers = {"Location": location} if is_new else {}
    return Answered(_answer(runtime, batch), 201 if is_new else 200, headers)


def cancel_batch(runtime: Runtime, batch_id: str) -> BatchAnswer:
    """Stop every job of a batch that has not ended; rows that are no jobs yet become none."""
    return _answer(runtime, batch_actions.cancel(runtime, batch_id, asking(), expected))


def retry_batch(runtime: Runtime, batch_id: str) -> BatchAnswer:
    """Start the failed jobs of a batch again; of a cancelled batch everything that was not done."""
    return _answer(runtime, batch_actions.retry(runtime, batch_id, asking(), expected))


def pause_batch(runtime: Runtime, batch_id: str) -> BatchAnswer:
    """Let no job of a batch be started. What runs goes on."""
    return _answer(runtime, batch_actions.pause(runtime, batch_id, True, asking(), expected))


def resume_batch(runtime: Runtime, batch_id: str) -> BatchAnswer:
    """Let the jobs of a batch be started again."""
    return _answer(runtime, batch_actions.pause(runtime, batch_id, False, asking(), expected))


def _answer(runtime: Runtime, batch: Batch) -> BatchAnswer:
    return batch_views.answer_of(runtime.ports, batch)
