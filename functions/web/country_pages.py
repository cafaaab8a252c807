"""The pages of countries."""

from __future__ import annotations

from flask import Blueprint, Response, json, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from contracts.comparison import CountryQuery
from contracts.job import Document, ModelInUse
from contracts.old_system import OldRunDocument
from functions.runtime import Runtime
from functions.web import actions, countries
from functions.web.people import asking
from functions.web.problems import Changed, Unknown
from functions.web.routes import read_query


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes."""
    ports = runtime.ports
    pages = Blueprint("countries", __name__)

    @pages.get("/countries")
    def overview() -> str:
        known, old = countries.known_countries(ports), ports.jobs.find(OldRunDocument, limit=1)
        return render_template("countries.html", countries=known, old_runs=old)

    @pages.get("/countries/<country:country>")
    def country(country: str) -> str:
        view = countries.country_view(ports, country, read_query(CountryQuery, request.args))
        return render_template(
            "country.html",
            now=ports.clock.now(),
            view=view,
            drawn=countries.stability_chart(view) is not None,
            old_runs=ports.jobs.find(OldRunDocument, limit=1, country=country),
            WEIGHTS=countries.WEIGHTS,
        )

    @pages.get("/countries/<country:country>/stability.vl.json")
    def stability(country: str) -> Response:
        view = countries.country_view(ports, country, read_query(CountryQuery, request.args))
        spec = countries.stability_chart(view)
        if spec is None:
            raise Unknown(f"no run of {country} says what its channels earned")
        return Response(json.dumps(spec), content_type="application/json")

    @pages.post("/countries/<country:country>/use")
    def use(country: str) -> Answer:
        job_id, solution = request.form.get("job_id", ""), request.form.get("sol_id")
        actions.use_model(runtime, country, job_id, solution, asking(), _seen)
        return redirect(url_for("countries.country", country=country), 303)

    @pages.post("/countries/<country:country>/stop-using")
    def stop_using(country: str) -> Answer:
        actions.stop_using(runtime, country, asking(), _seen)
        return redirect(url_for("countries.country", country=country), 303)

    return pages


def _seen(mark: Document) -> None:
    """Refuse to change a mark that is not the one that the page showed.

    Raises:
        Changed: somebody has changed it since.
    """
    holds = isinstance(mark, ModelInUse) and mark.ended_at is None
    seen = request.form.get("seen", type=int)
    if seen is not None and holds and seen != mark.version:
        raise Changed("somebody has marked another model since you opened the page; look again, then decide")
