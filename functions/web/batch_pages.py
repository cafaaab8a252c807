"""The pages of batches: all of them, and one."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from contracts.api import ListQuery
from contracts.job import Job
from contracts.mapping import MappingDocument
from functions.batches import open_batch
from functions.retries import retry_on_conflict
from functions.runtime import Runtime
from functions.web import batch_actions, batch_views
from functions.web.batch_form import BatchForm, read_form
from functions.web.people import asking
from functions.web.routes import read_query
from functions.web.security import unlimited_fields
from functions.web.v1.batches import list_batches

MAPPINGS = 200
"""Mappings that the form of a batch offers, the newest of many."""
LISTED = 100
"""Jobs of a batch that its page shows; the list of jobs has all."""


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes of these pages."""
    ports = runtime.ports
    pages = Blueprint("batches", __name__)

    @pages.get("/batches")
    def overview() -> str:
        query = read_query(ListQuery, request.args)
        return render_template(
            "batches.html",
            now=ports.clock.now(),
            page=list_batches(runtime, query),
            first=not query.page_token,
        )

    @pages.get("/new-batch")
    def form() -> str:
        return shown(BatchForm())

    @pages.post("/new-batch")
    def send() -> str | Response:
        unlimited_fields(request)
        name, base, mapping, rows = (
            request.form.get(field, "") for field in ("name", "base", "mapping", "rows")
        )
        found = read_form(runtime, name, base, mapping, rows, request.files.get("file"))
        if found.batch is None or request.form.get("do") != "send":
            return shown(found)
        wanted = found.batch
        batch, _ = retry_on_conflict(lambda: open_batch(runtime, wanted, by=asking()))
        return redirect(url_for("batches.batch", batch_id=batch.batch_id), 303)

    def shown(found: BatchForm) -> str:
        known = ports.jobs.find(MappingDocument, limit=MAPPINGS, state="ACTIVE")
        mappings = sorted(one.key for one in known)
        mapping = request.form.get("mapping", "")
        return render_template("batch_form.html", form=found, mappings=mappings, mapping=mapping)

    @pages.get("/batches/<batch_id:batch_id>")
    def batch(batch_id: str) -> str:
        batch = batch_actions.batch_of(ports, batch_id)
        found = ports.jobs.find(Job, limit=LISTED, batch_id=batch_id)
        return render_template(
            "batch.html",
            now=ports.clock.now(),
            batch=batch_views.answer_of(ports, batch),
            jobs=sorted(found, key=lambda job: job.batch_row or 0),
        )

    @pages.post("/batches/<batch_id:batch_id>/<any(cancel, retry, pause, resume):verb>")
    def act(batch_id: str, verb: str) -> Response:
        if verb == "cancel":
            batch_actions.cancel(runtime, batch_id, asking())
        elif verb == "retry":
            batch_actions.retry(runtime, batch_id, asking())
        else:
            batch_actions.pause(runtime, batch_id, verb == "pause", asking())
        return redirect(url_for("batches.batch", batch_id=batch_id), 303)

    return pages
