"""The pages. They need no scripts: links, forms, and a reload while a job is moving."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from functions.runtime import Runtime
from functions.web import actions, files, views
from functions.web.people import asking


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes that people use."""
    ports, settings = runtime.ports, runtime.settings
    pages = Blueprint("pages", __name__)

    @pages.get("/")
    def jobs() -> str:
        query = request.args
        state = views.state_of(query.get("state"))
        page = views.jobs(ports, state, query.get("country"), query.get("before"))
        return render_template(
            "jobs.html",
            now=ports.clock.now(),
            page=page,
            state=state,
            country=query.get("country", ""),
            first=not query.get("before"),
            uploads=views.waiting_uploads(ports),
            ignored=views.ignored_files(ports),
            queues=views.queues(ports, settings),
        )

    @pages.get("/jobs/<job_id>")
    def job(job_id: str) -> str:
        view = views.job_view(ports, job_id)
        return render_template("job.html", now=ports.clock.now(), view=view, job=view.job)

    @pages.get("/jobs/<job_id>/files/<path:name>")
    def file(job_id: str, name: str) -> Response:
        return files.send(ports.objects, views.file_of(ports, actions.job_of(ports, job_id), name))

    @pages.post("/jobs/<job_id>/cancel")
    def cancel(job_id: str) -> Response:
        actions.cancel(runtime, job_id, asking())
        return redirect(url_for("pages.job", job_id=job_id), 303)

    @pages.post("/jobs/<job_id>/retry")
    def retry(job_id: str) -> Response:
        actions.retry(runtime, job_id, asking())
        return redirect(url_for("pages.job", job_id=job_id), 303)

    return pages
