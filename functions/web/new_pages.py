"""The page on which a request is written. It needs no scripts: every button sends the whole form."""

from __future__ import annotations

from dataclasses import dataclass, field

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from functions.runtime import Runtime
from functions.web import drafts
from functions.web.drafts import Draft
from functions.web.security import unlimited_fields


@dataclass
class Known:
    """What the page proposes while somebody types."""

    columns: list[str] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes of the page."""
    new = Blueprint("new", __name__)

    @new.get("/new")
    def page() -> str:
        return show(drafts.draft({}))

    @new.post("/new")
    def send() -> str | Response:
        unlimited_fields(request)
        draft = drafts.sent_draft(request.form)
        return show(draft)

    def show(draft: Draft, *notices: str) -> str:
        known = Known([], list(runtime.ports.warehouses), list(runtime.settings.queues))
        return render_template("new.html", draft=draft, notices=notices, known=known)

    return new
