"""The page on which results of old jobs are looked at and deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from flask import Blueprint, redirect, render_template, request, url_for
from pydantic import Field
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from contracts.api import ListQuery
from contracts.base import Country, Slug
from contracts.deletion import OldResults
from functions.runtime import Runtime
from functions.web import old_results
from functions.web.people import asking
from functions.web.routes import read_query
from functions.web.v1.deletions import list_deletions


class _Asked(ListQuery):
    """What the form asks for."""

    days: Annotated[int, Field(ge=1, le=10_000)] | None = Field(None, description="least age in days")
    country: Country | None = Field(None, description="of this country; left out: of all")
    revision: Slug | None = Field(None, description="of this series of models; left out: of all")


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes."""
    ports = runtime.ports
    pages = Blueprint("deletions", __name__)

    @pages.get("/deletions")
    def overview() -> str:
        said = MultiDict((name, value) for name, value in request.args.items(multi=True) if value)
        asked = read_query(_Asked, said)
        which = None
        if asked.days is not None:
            day = ports.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
            before = day - timedelta(days=asked.days)
            which = OldResults(accepted_before=before, country=asked.country, revision=asked.revision)
        query = ListQuery(page_size=asked.page_size, page_token=asked.page_token)
        return render_template(
            "deletions.html",
            now=ports.clock.now(),
            asked=asked,
            which=which,
            found=old_results.preview(ports, which) if which else None,
            page=list_deletions(runtime, query),
            first=not asked.page_token,
        )

    @pages.post("/deletions")
    def delete() -> Response:
        said = MultiDict((name, value) for name, value in request.form.items(multi=True) if value)
        old_results.ask(runtime, read_query(OldResults, said), asking())
        return redirect(url_for("deletions.overview"), 303)

    @pages.post("/deletions/<deletion_id:deletion_id>/stop")
    def stop(deletion_id: str) -> Response:
        old_results.stop(runtime, deletion_id, asking())
        return redirect(url_for("deletions.overview"), 303)

    return pages
