"""The page on which a request is written. It needs no scripts: every button sends the whole form."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from contracts.problem import Problem, Violation, violations
from functions.errors import Unavailable
from functions.runtime import Runtime
from functions.web import drafts, looking, parts, starts
from functions.web.drafts import Draft
from functions.web.people import asking
from functions.web.security import unlimited_fields


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes of the page."""
    new = Blueprint("new", __name__)

    @new.get("/new")
    def page() -> str:
        query, person = request.args, asking()
        if job_id := query.get("from"):
            return show(drafts.draft(starts.copied(runtime, job_id, person)))
        if job_id := query.get("refresh"):
            return show(drafts.draft(starts.continued(runtime, job_id, person)))
        if country := query.get("settings"):
            return show(drafts.draft(starts.from_settings(runtime, country, person)))
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
        return show(draft)

    def show(draft: Draft, *notices: str) -> str:
        known = {
            "columns": [column.name for column in draft.preview.columns] if draft.preview else [],
            "connections": list(runtime.ports.warehouses),
            "queues": list(runtime.settings.queues),
        }
        return render_template("new.html", draft=draft, notices=notices, known=known)

    return new


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
    changed = drafts.draft({**draft.document, "annotations": told} if notes else draft.document)
    return replace(changed, violations=[*draft.violations, *violations(problems)], preview=draft.preview)


def _told(problem: Problem) -> list[Violation]:
    """Why a source cannot be looked into, at its fields where they are to blame."""
    found = violations(problem.errors) if problem.type == "invalid-request" else []
    placed = [one.model_copy(update={"path": f"source.{one.path}"}) for one in found]
    return placed or [Violation(path="source", message=problem.detail or problem.title)]
