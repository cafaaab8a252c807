"""The pages of schedules: what comes when, what has come of it, and the text of each."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from pydantic import ValidationError
from werkzeug.wrappers import Response

from contracts.api import ListQuery, SchedulePreview
from contracts.base import error_lines
from contracts.problem import Violation, violations
from contracts.request import SettingsError, parse_settings
from contracts.schedule import Schedule, ScheduleText
from functions.runtime import Runtime
from functions.schedules.runs import GIVEN
from functions.web import schedules
from functions.web.actions import job_of
from functions.web.formats import as_yaml
from functions.web.people import asking
from functions.web.problems import BadBody, Changed
from functions.web.routes import PATH_PARAMETERS, read_query
from functions.web.v1.paging import page
from functions.web.v1.schedules import preview

EXAMPLE = """cron: 0 6 * * MON            # minute, hour, day of the month, month, day of the week
time_zone: Europe/Berlin
missed: last                 # after an outage: all, last or skip
request:                     # a request without request_id
  country: DE
  revision: weekly
  source: {kind: table, connection: demo, database: demo, schema: main, table: weekly_sales}
  columns:
    date: date
    dependent: revenue
    dependent_type: revenue
    paid_media: [tv_spend]
  window: {end: last full week}
"""


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes of these pages."""
    ports = runtime.ports
    pages = Blueprint("schedules", __name__)

    @pages.get("/schedules")
    def overview() -> str:
        query = read_query(ListQuery, request.args)
        found, token = page(ports.jobs, Schedule, query, state=schedules.KEPT)
        rows = [schedules.row(ports, one) for one in found]
        first = not query.page_token
        return render_template(
            "schedules.html", now=ports.clock.now(), schedules=rows, next=token, first=first
        )

    @pages.get("/new-schedule")
    def new() -> str:
        text, name = EXAMPLE, ""
        if job_id := request.args.get("from"):
            job = job_of(ports, job_id)
            text, name = as_yaml(_of_job(job.request)), f"{job.country}-{job.revision}".lower()
        return _form(name, text, 0, [])

    @pages.post("/new-schedule")
    def send() -> str | Response:
        name, text = (request.form.get(field, "") for field in ("name", "text"))
        seen = request.form.get("version", type=int, default=0)
        looks = request.form.get("do") == "look"
        wrong = [] if looks else _wrong_name(name)
        try:
            read = ScheduleText.model_validate(parse_settings(text.encode()))
        except SettingsError as error:
            return _form(name, text, seen, [*wrong, Violation(path="text", message=str(error))])
        except ValidationError as error:
            return _form(name, text, seen, [*wrong, *violations(error_lines(error))])
        if looks or wrong:
            return _form(name, text, seen, wrong, preview(runtime, read))
        try:
            schedules.save(runtime, name, read, seen, asking())
        except BadBody as error:
            return _form(name, text, seen, violations(error.problem.errors))
        except Changed as error:
            return _form(name, text, seen, [Violation(path="name", message=error.problem.detail)])
        return redirect(url_for("schedules.one", name=name), 303)

    @pages.get("/schedules/<schedule:name>")
    def one(name: str) -> str:
        found = schedules.answer(ports, schedules.schedule_of(ports, name))
        text = as_yaml(found.schedule.model_dump(mode="json", exclude_none=True))
        return render_template("schedule.html", now=ports.clock.now(), schedule=found, text=text)

    @pages.get("/schedules/<schedule:name>/edit")
    def edit(name: str) -> str:
        found = schedules.schedule_of(ports, name)
        text = as_yaml(found.text.model_dump(mode="json", exclude_none=True))
        return _form(name, text, found.version, [])

    @pages.post("/schedules/<schedule:name>/<any(enable, disable, run):verb>")
    def act(name: str, verb: str) -> Response:
        if verb == "run":
            schedules.run_now(runtime, name, asking())
        else:
            schedules.enable(runtime, name, verb == "enable", asking())
        return redirect(url_for("schedules.one", name=name), 303)

    @pages.post("/schedules/<schedule:name>/delete")
    def delete(name: str) -> Response:
        schedules.delete(runtime, name, asking())
        return redirect(url_for("schedules.overview"), 303)

    return pages


def _form(
    name: str, text: str, seen: int, wrong: list[Violation], found: SchedulePreview | None = None
) -> str:
    wrong = [*wrong, *(found.violations if found else [])]
    return render_template("schedule_form.html", name=name, text=text, version=seen, wrong=wrong, found=found)


def _wrong_name(name: str) -> list[Violation]:
    if re.fullmatch(PATH_PARAMETERS["schedule"].pattern, name):
        return []
    why = "must be 1 to 64 letters, digits, '_', '.' or '-', a letter or digit first"
    return [Violation(path="name", message=why)]


def _of_job(request: dict[str, Any]) -> dict[str, Any]:
    """The text of a schedule that asks each Monday for what a job was asked for."""
    kept = {name: value for name, value in request.items() if name not in GIVEN}
    return {"cron": "0 6 * * MON", "time_zone": "UTC", "missed": "last", "request": kept}
