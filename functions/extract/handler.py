"""extract: a train request or an upload becomes a job, and the job's source a dataset."""

from __future__ import annotations

import re
from typing import Any

from contracts.base import canonical_json
from contracts.request import job_id_for
from functions.errors import BadMessage
from functions.extract.accept import MAX_REQUEST_BYTES, accept
from functions.extract.dataset import extract
from functions.extract.uploads import handle_upload
from functions.message import Message, json_object
from functions.runtime import Runtime


def handle(message: Message, runtime: Runtime) -> None:
    """Accept what the message asks for, and extract it.

    Raises:
        BadMessage: the message is no request, or is an object event that can never start a job.
    """
    if message.is_object_event:
        handle_upload(message, runtime)
        return
    body = json_object(message.data)
    request_id = _request_id(body)
    job = accept(runtime, job_id_for(request_id), request_id, body)
    if job is not None:
        extract(runtime, job)


def _request_id(body: dict[str, Any]) -> str:
    request_id = body.get("request_id")
    if not isinstance(request_id, str) or not re.fullmatch(r"[!-~]{1,200}", request_id):
        raise BadMessage("request_id must be 1 to 200 printable ASCII characters without spaces")
    if len(canonical_json(body).encode()) > MAX_REQUEST_BYTES:
        raise BadMessage(f"the request is larger than {MAX_REQUEST_BYTES // 1024} KiB")
    return request_id
