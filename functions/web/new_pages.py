"""The page on which a request is written. It needs no scripts: every button sends the whole form."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from contracts.base import is_country
from contracts.mapping import DEFAULT, MappingDocument
from contracts.problem import Problem, Violation, violations
from functions.acceptance.mapping import asked_for
from functions.acceptance.readable import readable
from functions.acceptance.request import RequestIdReused, accept_from, problems_of
from functions.errors import BadRequest, Unavailable
from functions.retries import retry_on_conflict
from functions.runtime import Runtime
from functions.web import drafts, looking, parts, starts
from functions.web.country_settings import kept, save, settings_of
from functions.web.drafts import Draft
from functions.web.formats import as_yaml
from functions.web.people import asking
from functions.web.problems import Changed
from functions.web.security import unlimited_fields
from functions.web.v1.jobs import checking

_MAPPINGS = 200
"""How many mappings of a country are offered."""


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes of the page."""
    new = Blueprint("new", __name__)

    @new.after_request
    def keep(response: Response) -> Response:
        """Let the browser come back to what was typed; `no-store` would ask to send the form again."""
        response.headers["Cache-Control"] = "private, no-cache"
        return response

    @new.get("/new")
    def page() -> str:
        query, person = request.args, asking()
        if job_id := query.get("from"):
            return show(drafts.draft(starts.copied(runtime, job_id, person)))
        if job_id := query.get("refresh"):
            return show(drafts.draft(starts.continued(runtime, job_id, person)))
        if country := query.get("settings"):
            return show(drafts.draft(starts.from_settings(runtime, country, person)))
        if key := query.get("mapping"):
            return show(drafts.draft(starts.from_mapping(runtime, key, person)))
        if name := query.get("source"):
            return show(drafts.draft(starts.from_file(runtime, name, person)))
        return show(drafts.draft(starts.nothing(runtime, person)))

    @new.post("/new")
    def send() -> str | Response:
        unlimited_fields(request)
        seen = looking.answered(runtime, request.form.get("preview", ""))
        draft = with_annotations(drafts.sent_draft(request.form, seen))
        wish = request.form.get("do", "update")
        if wish == "look":
            return show(looked(runtime, draft))
        if wish == "save":
            return saved(draft)
        if wish in ("train", "check"):
            return submitted(draft, wish == "check")
        return show(draft)

    def submitted(draft: Draft, only_check: bool) -> str | Response:
        """Make the job of a request, or show everything that is wrong with it."""
        body, problems = readable(json.dumps(draft.document).encode())
        body = checking(body) if only_check else body
        if draft.violations:
            problems = problems_of(runtime, asked_for(runtime, body), problems)
            return show(draft.with_violations(violations(problems)))
        try:
            job, _ = retry_on_conflict(lambda: accept_from(runtime, asking(), body, problems))
        except BadRequest as error:
            return show(draft.with_violations(violations(error.problem.errors)))
        except RequestIdReused as error:
            free = starts.proposed_id(runtime, str(draft.document.get("country", "")))
            told = f"{error.problem.detail} {free} is free."
            return show(draft.with_violations([Violation(path="request_id", message=told)]))
        return redirect(url_for("pages.job", job_id=job.job_id), 303)

    def saved(draft: Draft) -> str | Response:
        """Save the settings of the country; those that are there are shown first."""
        country = str(draft.document.get("country", ""))
        if draft.violations or not is_country(country):
            no_country = [] if is_country(country) else ["country: say first which country"]
            return show(draft.with_violations(violations(no_country)))
        settings = kept(draft.document)
        seen = request.form.get("settings_seen", type=int, default=0)
        try:
            written = save(runtime, country, settings, seen, asking())
        except BadRequest as error:
            return show(draft.with_violations(violations(error.problem.errors)))
        except Changed:
            there = settings_of(runtime, country)
            return show(draft, replaces=Replaces(there.generation, differences(there.settings, settings)))
        return show(
            draft,
            f"Saved as version {written.generation} of the mapping {DEFAULT} of {country}. "
            f"Uploads of {country} that wait for settings start now.",
        )

    def show(draft: Draft, *notices: str, replaces: Replaces | None = None) -> str:
        known = {
            "columns": [column.name for column in draft.preview.columns] if draft.preview else [],
            "connections": list(runtime.ports.warehouses),
            "queues": list(runtime.settings.queues),
            "mappings": mapping_names(runtime, draft.document.get("country")),
        }
        return render_template("new.html", draft=draft, notices=notices, known=known, replaces=replaces)

    return new


def mapping_names(runtime: Runtime, country: Any) -> list[str]:
    """The names of the mappings that a request of a country can refer to, the newest of many."""
    if not isinstance(country, str):
        return []
    found = runtime.ports.jobs.find(MappingDocument, limit=_MAPPINGS, country=country, state="ACTIVE")
    return sorted(one.name for one in found)


@dataclass(frozen=True)
class Replaces:
    """The settings that saving would replace."""

    generation: int
    lines: list[str]
    """What would change, as lines that begin with `+` or `-`."""


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What differs between two documents, as lines of YAML that begin with `+` or `-`."""
    lines = difflib.ndiff(as_yaml(before).splitlines(), as_yaml(after).splitlines())
    return [line for line in lines if line[:1] in "+-"]


def looked(runtime: Runtime, draft: Draft) -> Draft:
    """The draft with what is in its source."""
    source, sheet = draft.document.get("source"), draft.document.get("sheet")
    if not isinstance(source, dict):
        return draft.with_violations([Violation(path="source", message="say first where the data are")])
    wanted = [name for name in parts.parts(draft.document.get("columns")) if isinstance(name, str)]
    try:
        found = looking.look(runtime, asking(), source, sheet if isinstance(sheet, str) else None, wanted)
    except Unavailable as error:
        return draft.with_violations([Violation(path="source", message=error.problem.detail)])
    if found.problem is not None:
        return draft.with_violations(_told(found.problem))
    return replace(draft, preview=found)


def with_annotations(draft: Draft) -> Draft:
    """The draft with the dated notes of a file that came along."""
    file = request.files.get("annotations_file")
    if not file:
        return draft
    notes, problems = starts.notes_of(file.read(starts.MAX_ANNOTATIONS_BYTES + 1))
    before = draft.document.get("annotations")
    told = [*(before if isinstance(before, list) else []), *notes]
    changed = drafts.draft({**draft.document, "annotations": told} if notes else draft.document, draft.schema)
    return replace(changed, violations=[*draft.violations, *violations(problems)], preview=draft.preview)


def _told(problem: Problem) -> list[Violation]:
    """Why a source cannot be looked into, at its fields where they are to blame."""
    found = violations(problem.errors) if problem.type == "invalid-request" else []
    placed = [one.model_copy(update={"path": f"source.{one.path}"}) for one in found]
    return placed or [Violation(path="source", message=problem.detail or problem.title)]
