"""Pages of one job beside its own: charts, attempts, data, and everything as one ZIP."""

from __future__ import annotations

from flask import Blueprint, Response, json, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from contracts import names
from contracts.names import Attempt
from contracts.summary import ModelSummary
from contracts.validation import ValidationReport
from functions.attempts import read_outcome
from functions.ports import NotFound
from functions.runtime import Runtime
from functions.web import actions, archive, charts, files, logs, results, views
from functions.web.actions import job_of
from functions.web.people import asking
from functions.web.problems import Unknown
from functions.web.tables import csv_text
from functions.web.v1.attempts import in_attempt

DATA = {"extracted": names.dataset, "prepared": names.prepared}
"""The data of a job before and after preparation."""


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes."""
    ports = runtime.ports
    pages = Blueprint("results", __name__)

    @pages.get("/jobs/<job_id:job_id>/attempts/<attempt:attempt>")
    def attempt_page(job_id: str, attempt: int) -> str:
        job = job_of(ports, job_id)
        own = in_attempt(ports, job_id, attempt)
        outcome = read_outcome(ports, Attempt(job_id, attempt))
        only_errors = request.args.get("log") == "errors"
        return render_template(
            "attempt.html",
            now=ports.clock.now(),
            job=job,
            attempt=attempt,
            steps=[entry for entry in job.timeline if entry.attempt == attempt],
            outcome=outcome,
            log=logs.tail(ports, own, only_errors=only_errors),
            only_errors=only_errors,
            files=views.files(ports, own),
        )

    @pages.get("/jobs/<job_id:job_id>/attempts/<attempt:attempt>/files/<file:file>")
    def file(job_id: str, attempt: int, file: str) -> Answer:
        info = views.file_of(ports, in_attempt(ports, job_id, attempt), file)
        return files.send(ports.objects, info, of_attempt=True)

    @pages.post("/jobs/<job_id:job_id>/delete-results")
    def delete(job_id: str) -> Answer:
        actions.delete_results(runtime, job_id, asking())
        return redirect(url_for("pages.job", job_id=job_id), 303)

    @pages.get("/jobs/<job_id:job_id>/attempts/<attempt:attempt>/all.zip")
    def everything(job_id: str, attempt: int) -> Response:
        found = views.files(ports, in_attempt(ports, job_id, attempt))
        pieces = archive.stream(ports.objects, [(file.name, file.object_name) for file in found])
        response = Response(pieces, content_type="application/zip")
        response.headers.set("Content-Disposition", "attachment", filename=f"{job_id}-attempt-{attempt}.zip")
        return response

    @pages.get("/jobs/<job_id:job_id>/attempts/<attempt:attempt>/charts/<name>.<any(vl.json, csv):kind>")
    def chart(job_id: str, attempt: int, name: str, kind: str) -> Response:
        job = in_attempt(ports, job_id, attempt)
        try:
            summary = ModelSummary.model_validate_json(ports.objects.read(names.model_summary(job)))
        except NotFound as error:
            raise Unknown(f"attempt {attempt} of job {job_id} has no result") from error
        figures = results.figures_of(ports, job, summary, request.args.get("model"))
        known = charts.CHARTS.get(name)
        spec = known.spec(figures) if known and figures else None
        if known is None or figures is None or spec is None:
            raise Unknown(f"there is no chart '{name}' of this result")
        if kind == "csv":
            response = _csv(known.table(figures), f"{job_id}-{name}.csv")
        else:
            response = Response(json.dumps(spec), content_type="application/json")
        response.headers["Cache-Control"] = files.LASTING
        return response

    @pages.get("/jobs/<job_id:job_id>/data")
    def data(job_id: str) -> str:
        job = job_of(ports, job_id)
        try:
            text = ports.objects.read(names.validation(job.country, job.job_id))
        except NotFound:
            text = None
        report = ValidationReport.model_validate_json(text) if text else None
        return render_template("data.html", now=ports.clock.now(), job=job, report=report)

    @pages.get("/jobs/<job_id:job_id>/data/<any(extracted, prepared):which>.parquet")
    def data_file(job_id: str, which: str) -> Answer:
        job = job_of(ports, job_id)
        info = ports.objects.stat(DATA[which](job.country, job.job_id))
        if info is None:
            raise Unknown(f"job {job_id} has no {which} data, or they have been deleted")
        return files.send(ports.objects, info)

    return pages


def _csv(table: charts.Table, name: str) -> Response:
    text = csv_text([table.columns, *table.rows])
    response = Response(text, content_type="text/csv; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response
