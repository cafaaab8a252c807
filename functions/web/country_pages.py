"""The pages of countries."""

from __future__ import annotations

from flask import Blueprint, Response, json, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from contracts.comparison import WeightsQuery
from functions.runtime import Runtime
from functions.web import actions, countries
from functions.web.people import asking
from functions.web.problems import Unknown
from functions.web.routes import read_query


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes."""
    ports = runtime.ports
    pages = Blueprint("countries", __name__)

    @pages.get("/countries")
    def overview() -> str:
        return render_template("countries.html", countries=countries.known_countries(ports))

    @pages.get("/countries/<country:country>")
    def country(country: str) -> str:
        view = countries.country_view(ports, country, read_query(WeightsQuery, request.args).model_dump())
        return render_template(
            "country.html",
            now=ports.clock.now(),
            view=view,
            drawn=countries.stability_chart(view) is not None,
            WEIGHTS=countries.WEIGHTS,
        )

    @pages.get("/countries/<country:country>/stability.vl.json")
    def stability(country: str) -> Response:
        spec = countries.stability_chart(countries.country_view(ports, country, countries.WEIGHTS))
        if spec is None:
            raise Unknown(f"no run of {country} says what its channels earned")
        return Response(json.dumps(spec), content_type="application/json")

    @pages.post("/countries/<country:country>/use")
    def use(country: str) -> Answer:
        actions.use_model(
            runtime, country, request.form.get("job_id", ""), request.form.get("sol_id"), asking()
        )
        return redirect(url_for("countries.country", country=country), 303)

    return pages
