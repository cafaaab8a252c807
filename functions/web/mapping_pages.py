"""The pages of mappings: what each says, who changed what, and whether a source still fits."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from pydantic import TypeAdapter, ValidationError
from werkzeug.wrappers import Response

from contracts.api import ListQuery
from contracts.base import Country, Slug, error_lines
from contracts.job import Job, JobState
from contracts.mapping import MappingDocument, MappingsQuery
from contracts.preview import SourceQuestion
from contracts.problem import Problem, Violation, violations
from contracts.request import MAPPING_FIELDS, SettingsError, parse_settings
from functions import mappings
from functions.errors import BadRequest, Unavailable
from functions.retries import retry_on_conflict
from functions.runtime import Runtime
from functions.web import drafts, mapping_checks
from functions.web.actions import job_of
from functions.web.drafts import Draft
from functions.web.formats import as_yaml
from functions.web.new_pages import with_annotations
from functions.web.people import asking
from functions.web.problems import Changed, Refused
from functions.web.routes import read_query
from functions.web.security import unlimited_fields
from functions.web.v1.mappings import history, list_mappings

EXAMPLE = """columns:
  date: date
  dependent: revenue
  dependent_type: revenue
  paid_media: [tv_spend]
adstock: geometric
prophet: {components: [trend, season, holiday], holiday_country: DE}
"""
_SOURCE = "kind: table\nconnection: demo\ndatabase: demo\nschema: main\ntable: weekly_sales\n"
_KEY: TypeAdapter[tuple[Country, Slug]] = TypeAdapter(tuple[Country, Slug])


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes of these pages."""
    ports = runtime.ports
    pages = Blueprint("mappings", __name__)

    @pages.get("/mappings")
    def overview() -> str:
        query = read_query(MappingsQuery, request.args)
        found = list_mappings(runtime, query)
        return render_template(
            "mappings.html",
            now=ports.clock.now(),
            mappings=found.mappings,
            country=query.country,
            next=found.next_page_token,
            first=not query.page_token,
        )

    @pages.get("/mappings/new")
    def new() -> str:
        if job_id := request.args.get("from"):
            job = job_of(ports, job_id)
            shared = {name: value for name, value in job.asked.items() if name in MAPPING_FIELDS}
            return _form(job.country, "", _drafted(shared), 0)
        return _form("", "", _drafted(parse_settings(EXAMPLE.encode())), 0)

    @pages.post("/mappings/new")
    def send() -> str | Response:
        unlimited_fields(request)
        country, name, note = (request.form.get(field, "").strip() for field in ("country", "name", "note"))
        seen = request.form.get("version", type=int, default=0)
        draft = with_annotations(drafts.sent_draft(request.form, of=drafts.mapping_schema()))
        if draft.violations or request.form.get("do") != "save":
            return _form(country, name, draft, seen, note)

        def check(known: MappingDocument | None) -> None:
            there = known.version if known is not None and (seen or known.state == "ACTIVE") else 0
            if there != seen:
                raise Changed(f"{country} {name} is in version {there} now; read it again, then decide again")

        try:
            key = _KEY.validate_python((country, name))
            written = retry_on_conflict(
                lambda: mappings.write(runtime, key, draft.document, asking(), note[:500], check)
            )
            mappings.start_waiting(runtime, written)
        except ValidationError as error:
            lines = [
                line.replace("[0]", "country", 1).replace("[1]", "name", 1) for line in error_lines(error)
            ]
            return _form(country, name, draft.with_violations(violations(lines)), seen, note)
        except BadRequest as error:
            wrong = violations(error.problem.errors)
            return _form(country, name, draft.with_violations(wrong), seen, note)
        except Changed as error:
            told = [Violation(path="version", message=error.problem.detail)]
            return _form(country, name, draft.with_violations(told), seen, note)
        return redirect(url_for("mappings.one", country=country, name=name), 303)

    @pages.get("/mappings/<country:country>/<mapping:name>")
    def one(country: str, name: str) -> str:
        return shown(country, name)

    @pages.get("/mappings/<country:country>/<mapping:name>/edit")
    def edit(country: str, name: str) -> str:
        newest = mapping_checks.version_of(ports.jobs, country, name, None)
        mapping = mapping_checks.version_of(ports.jobs, country, name, _version())
        return _form(country, name, _drafted(mapping.settings), newest.version)

    @pages.post("/mappings/<country:country>/<mapping:name>/delete")
    def delete(country: str, name: str) -> Response:
        key = mapping_checks.version_of(ports.jobs, country, name, None).key
        try:
            retry_on_conflict(lambda: mappings.delete(runtime, key, asking()))
        except mappings.InUse as error:
            raise Refused(error.problem.detail) from error
        return redirect(url_for("mappings.overview"), 303)

    @pages.post("/mappings/<country:country>/<mapping:name>/check")
    def check(country: str, name: str) -> str:
        text = request.form.get("source", "").replace("\r\n", "\n")
        mapping = mapping_checks.version_of(ports.jobs, country, name, _version())
        try:
            said = parse_settings(text.encode())
            source = SourceQuestion.model_validate({"source": said.get("source", said)})
            asked = source.source.model_dump(mode="json", by_alias=True, exclude_none=True)
            found = mapping_checks.check(runtime, asking(), mapping, asked, None)
        except SettingsError as error:
            return shown(country, name, text, wrong=f"the source {error}")
        except ValidationError as error:
            return shown(country, name, text, wrong="; ".join(error_lines(error)))
        except Unavailable as error:
            return shown(country, name, text, wrong=error.problem.detail)
        if isinstance(found, Problem):
            return shown(country, name, text, wrong="; ".join([found.detail, *found.errors]))
        return shown(country, name, text, checked=found)

    def shown(country: str, name: str, source: str | None = None, **more: Any) -> str:
        newest = mapping_checks.version_of(ports.jobs, country, name, None)
        mapping = mapping_checks.version_of(ports.jobs, country, name, _version())
        query = ListQuery(page_token=request.args.get("page_token", ""))
        versions = history(runtime, newest, query)
        return render_template(
            "mapping.html",
            now=ports.clock.now(),
            mapping=mapping,
            newest=newest,
            versions=versions.versions,
            next=versions.next_page_token,
            source=_last_source(runtime, mapping.key) if source is None else source,
            **more,
        )

    return pages


def _version() -> int | None:
    return request.args.get("version", type=int)


def _last_source(runtime: Runtime, key: str) -> str:
    """The source of the last job that succeeded with a mapping, as YAML; an example if there is none."""
    for job in runtime.ports.jobs.find(Job, limit=1, mapping=key, state=JobState.SUCCEEDED.value):
        source = job.asked.get("source")
        if isinstance(source, dict):
            return as_yaml({name: value for name, value in source.items() if name != "generation"})
    return _SOURCE


def _drafted(settings: dict[str, Any]) -> Draft:
    return drafts.draft(drafts.ordered(settings), drafts.mapping_schema())


def _form(country: str, name: str, draft: Draft, seen: int, note: str = "") -> str:
    return render_template(
        "mapping_form.html", country=country, name=name, draft=draft, version=seen, note=note
    )
