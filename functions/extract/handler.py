"""extract: a train request or an upload becomes a job, and the job's source a dataset."""

from __future__ import annotations

from typing import Any

from contracts.events import BATCHES, CHECKS, STEPS
from contracts.request import job_id_for
from functions.acceptance.readable import readable
from functions.acceptance.request import REQUEST_ID, is_request_id
from functions.errors import BadMessage
from functions.extract.accept import accept
from functions.extract.dataset import extract
from functions.extract.uploads import handle_upload
from functions.message import Message
from functions.runtime import Runtime


def handle(message: Message, runtime: Runtime) -> None:
    """Accept what the message asks for, and extract it; go on with a batch; or only look into a source.

    Raises:
        BadMessage: the message is no request or batch, or is an object event that can never start a job.
    """
    if message.subscription == CHECKS:
        from functions.extract.previews import answer

        answer(message, runtime)
        return
    if message.subscription in (BATCHES, STEPS):
        from functions.extract.batches import handle_batch, step

        (step if message.subscription == STEPS else handle_batch)(message, runtime)
        return
    if message.is_object_event:
        handle_upload(message, runtime)
        return
    body, problems = readable(message.data)
    request_id = _request_id(body, problems)
    job = accept(runtime, job_id_for(request_id), request_id, body, more_errors=problems)
    if job is not None:
        extract(runtime, job)


def _request_id(body: dict[str, Any], problems: list[str]) -> str:
    request_id = body.get("request_id")
    if not is_request_id(request_id):
        why = [problem for problem in problems if problem.startswith("request_id: ")]
        raise BadMessage(f"request_id {REQUEST_ID}", why)
    return str(request_id)
