"""The JSON twin of every page. Times are ISO-8601 UTC, ages are seconds, sizes are bytes.

- `GET /api/jobs?state=&country=&before=` → `jobs` (job documents), `next_before` (the paging token),
  `uploads` (upload documents that wait for settings), `ignored` (files of the drop-zone that are no
  uploads: name, reason), `queues` (name, running, limit, paused)
- `GET /api/jobs/<id>` → `job`, `done`, `progress`, `heartbeat` (execution, age, stale), `files`, `summary`,
  `budget` (its allocator.json), `budget_refusal` (why the budget question has no answer);
  a file's `url` answers with its content, or with 302 to where the object store lets it be downloaded
- `GET /api/dead-letters?before=` → `dead_letters`, `next_before`
- `POST /api/jobs/<id>:cancel`, `:retry` → the job document
- `POST /api/dead-letters/<id>:replay` → the dead letter
- `POST /api/queues/<name>:pause`, `:resume` → the queue document

Every error is a problem+json document (RFC 9457).
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request, url_for

from functions.runtime import Runtime
from functions.web import actions, views
from functions.web.people import asking
from functions.web.v1.queues import known_queue

Json = dict[str, Any]


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes under `/api`."""
    ports, settings = runtime.ports, runtime.settings
    api = Blueprint("old_api", __name__, url_prefix="/api")

    @api.get("/jobs")
    def jobs() -> Json:
        query = request.args
        page = views.jobs(
            ports, views.state_of(query.get("state")), query.get("country"), query.get("before")
        )
        return {
            "jobs": [job.model_dump(mode="json") for job in page.items],
            "next_before": page.next_before,
            "uploads": [upload.model_dump(mode="json") for upload in views.waiting_uploads(ports)],
            "ignored": [file.model_dump(mode="json") for file in views.ignored_files(ports).files],
            "queues": [dict(queue) for queue in views.queues(ports, settings)],
        }

    @api.get("/jobs/<job_id>")
    def job(job_id: str) -> Json:
        return _job(views.job_view(ports, job_id))

    @api.get("/dead-letters")
    def dead_letters() -> Json:
        page = views.dead_letters(ports, request.args.get("before"))
        letters = [letter.model_dump(mode="json") for letter in page.items]
        return {"dead_letters": letters, "next_before": page.next_before}

    @api.post("/jobs/<job_id>:cancel")
    def cancel(job_id: str) -> Json:
        return actions.cancel(runtime, job_id, asking()).model_dump(mode="json")

    @api.post("/jobs/<job_id>:retry")
    def retry(job_id: str) -> Json:
        return actions.retry(runtime, job_id, asking()).model_dump(mode="json")

    @api.post("/dead-letters/<letter_id>:replay")
    def replay(letter_id: str) -> Json:
        return actions.replay(runtime, letter_id, asking()).model_dump(mode="json")

    @api.post("/queues/<name>:pause")
    def pause(name: str) -> Json:
        return actions.pause(runtime, known_queue(settings, name), True, asking()).model_dump(mode="json")

    @api.post("/queues/<name>:resume")
    def resume(name: str) -> Json:
        return actions.pause(runtime, known_queue(settings, name), False, asking()).model_dump(mode="json")

    return api


def _job(view: views.JobView) -> Json:
    life = view.life
    return {
        "job": view.job.model_dump(mode="json"),
        "done": view.job.state.terminal,
        "progress": view.progress.model_dump(mode="json") if view.progress else None,
        "heartbeat": life
        and {"execution": life.execution, "age": life.age.total_seconds(), "stale": life.stale},
        "files": [_file(view, file) for file in view.files],
        "summary": view.summary and view.summary.model_dump(mode="json"),
        "budget": view.budget and view.budget.model_dump(mode="json", exclude_none=True),
        "budget_refusal": view.budget_refusal,
    }


def _file(view: views.JobView, file: views.JobFile) -> Json:
    address = url_for("pages.file", job_id=view.job.job_id, name=file.name)
    return {"name": file.name, "size": file.size, "object": file.object_name, "url": address}
