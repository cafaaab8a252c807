"""The routes of the JSON API. Each is one row; `functions.web.routes` says what its columns mean."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Response, json

from contracts.api import (
    DeadLetterList,
    FileList,
    JobAnswer,
    JobList,
    JobsQuery,
    ListQuery,
    QueueList,
    UploadList,
)
from contracts.job import DeadLetter, Queue
from contracts.preview import Preview, SourceQuestion
from functions.runtime import Runtime
from functions.web.openapi import document
from functions.web.problems import Changed, Refused, TooMany, Unreadable
from functions.web.routes import Route
from functions.web.v1 import jobs, queues, sources

ANY_FILE = "application/octet-stream"


def get_openapi(runtime: Runtime) -> Response:
    """This description of the API."""
    del runtime
    return Response(json.dumps(openapi()), content_type="application/json")


@cache
def openapi() -> dict[str, Any]:
    """The OpenAPI document of all routes."""
    return document(ROUTES)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/jobs", jobs.list_jobs, JobList, query=JobsQuery),
    Route("GET", "/jobs/{job_id}", jobs.get_job, JobAnswer),
    Route(
        "POST", "/jobs/{job_id}:cancel", jobs.cancel_job, JobAnswer, problems=(Refused, Changed), role="act"
    ),
    Route("POST", "/jobs/{job_id}:retry", jobs.retry_job, JobAnswer, problems=(Refused, Changed), role="act"),
    Route("GET", "/jobs/{job_id}/files", jobs.list_job_files, FileList),
    Route("GET", "/jobs/{job_id}/files/{file}", jobs.get_job_file, ANY_FILE, statuses=(200, 302)),
    Route("GET", "/queues", queues.list_queues, QueueList),
    Route("POST", "/queues/{queue}:pause", queues.pause_queue, Queue, role="act"),
    Route("POST", "/queues/{queue}:resume", queues.resume_queue, Queue, role="act"),
    Route("GET", "/dead-letters", queues.list_dead_letters, DeadLetterList, query=ListQuery),
    Route(
        "POST",
        "/dead-letters/{letter_id}:replay",
        queues.replay_dead_letter,
        DeadLetter,
        problems=(Refused,),
        role="act",
    ),
    Route("GET", "/uploads", queues.list_uploads, UploadList),
    Route(
        "POST",
        "/sources:preview",
        sources.preview_source,
        Preview,
        body=SourceQuestion,
        problems=(TooMany, Unreadable),
        role="act",
    ),
    Route("GET", "/openapi.json", get_openapi, "application/json"),
)
