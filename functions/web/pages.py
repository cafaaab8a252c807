"""The pages. They need no scripts: links, forms, and a reload while a job is moving."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from contracts.job import IgnoredFiles, share_done
from functions.runtime import Runtime
from functions.web import actions, files, job_lists, logs, results, views
from functions.web.actions import job_of
from functions.web.effective import request_of
from functions.web.people import asking


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes that people use."""
    ports, settings = runtime.ports, runtime.settings
    pages = Blueprint("pages", __name__)
    counts = job_lists.Counts(ports)

    @pages.get("/")
    def jobs() -> str:
        page = job_lists.jobs_page(runtime, request.args)
        whole = page.first and request.headers.get("X-Fragment") != "live"
        return render_template(
            "jobs.html",
            now=ports.clock.now(),
            page=page,
            counts=counts.now() if whole else [],
            UPLOADS=views.UPLOADS,
            uploads=views.waiting_uploads(ports) if page.first else [],
            PAGE_SIZE=views.PAGE_SIZE,
            ignored=views.ignored_files(ports) if page.first else IgnoredFiles(),
            queues=views.queues(ports, settings),
        )

    @pages.get("/jobs/<job_id>")
    def job(job_id: str) -> str:
        job = job_of(ports, job_id)
        now = ports.clock.now()
        if view := results.result_of(ports, job, request.args.get("model")):
            names = results.grouped(view.summary.files)
            return render_template(
                "result.html", now=now, job=job, view=view, files=names, asked=request_of(job)
            )
        life = views.life(ports, job)
        progress = life.progress if life else job.progress
        only_errors = request.args.get("log") == "errors"
        return render_template(
            "job.html",
            now=now,
            job=job,
            asked=request_of(job),
            life=life,
            progress=progress,
            share=share_done(job.state, progress),
            log=logs.tail(ports, job, only_errors=only_errors),
            only_errors=only_errors,
        )

    @pages.get("/jobs/<job_id>/files/<path:name>")
    def file(job_id: str, name: str) -> Response:
        return files.send(ports.objects, views.file_of(ports, job_of(ports, job_id), name))

    @pages.post("/jobs/<job_id>/cancel")
    def cancel(job_id: str) -> Response:
        actions.cancel(runtime, job_id, asking())
        return redirect(url_for("pages.job", job_id=job_id), 303)

    @pages.post("/jobs/<job_id>/retry")
    def retry(job_id: str) -> Response:
        actions.retry(runtime, job_id, asking())
        return redirect(url_for("pages.job", job_id=job_id), 303)

    return pages
