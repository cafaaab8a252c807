"""The page of trainings of the old system."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from contracts.old_system import OldRunsQuery
from functions.runtime import Runtime
from functions.web.routes import read_query
from functions.web.v1.old_runs import list_old_runs


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes."""
    pages = Blueprint("old_runs", __name__)

    @pages.get("/old-runs")
    def overview() -> str:
        query = read_query(OldRunsQuery, request.args)
        return render_template(
            "old_runs.html",
            page=list_old_runs(runtime, query),
            country=query.country,
            first=not query.page_token,
            asked={"country": query.country} if query.country else {},
        )

    return pages
