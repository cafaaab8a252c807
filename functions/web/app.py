"""The status page and its JSON twin: what runs, what failed and why, and what people can do about it."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Flask, Response, g, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from contracts.problem import Problem
from functions.errors import Transient, Unavailable
from functions.ports import Conflict
from functions.runtime import Runtime
from functions.trace import trace
from functions.web import (
    assets,
    batch_pages,
    compare_pages,
    country_pages,
    deletion_pages,
    formats,
    health_pages,
    mapping_pages,
    new_pages,
    old_run_pages,
    pages,
    plan_pages,
    queue_pages,
    reference,
    result_pages,
    routes,
    schedule_pages,
    upload_pages,
)
from functions.web.people import HEALTH, Identify, local_user, require
from functions.web.problems import WebProblem, body
from functions.web.queue_views import WaitingLetters
from functions.web.routes import BASE
from functions.web.security import check_origin, harden
from functions.web.v1.table import ROUTES

_BUSY = Unavailable("others are changing the same thing; try again")


def create_app(runtime: Runtime, identify: Identify = local_user) -> Flask:
    """The web application of one installation. It reads and requests; it starts and stops no compute.

    `identify` says who sent a request.
    """
    app = Flask(__name__, static_url_path="/assets")  # functions-framework has a /static of its own
    formats.register(app)
    assets.register(app)
    routes.add_converters(app)
    app.before_request(lambda: check_origin(request))
    app.before_request(lambda: require(request, identify))
    app.before_request(_short_address)
    letters = WaitingLetters(runtime.ports)
    app.before_request(lambda: letters.look(request.endpoint if request.method == "GET" else None))
    app.context_processor(lambda: {"waiting_letters": letters.known})
    app.after_request(assets.packed)  # the last one: answers are packed after all else
    app.after_request(harden)
    app.after_request(assets.cached)
    app.after_request(lambda response: _logged(runtime, response))
    app.register_blueprint(pages.blueprint(runtime))
    app.register_blueprint(result_pages.blueprint(runtime))
    app.register_blueprint(plan_pages.blueprint(runtime))
    app.register_blueprint(compare_pages.blueprint(runtime))
    app.register_blueprint(country_pages.blueprint(runtime))
    app.register_blueprint(deletion_pages.blueprint(runtime))
    app.register_blueprint(old_run_pages.blueprint(runtime))
    app.register_blueprint(new_pages.blueprint(runtime))
    app.register_blueprint(queue_pages.blueprint(runtime))
    app.register_blueprint(mapping_pages.blueprint(runtime))
    app.register_blueprint(schedule_pages.blueprint(runtime))
    app.register_blueprint(batch_pages.blueprint(runtime))
    app.register_blueprint(reference.blueprint())
    app.register_blueprint(upload_pages.blueprint(runtime))
    app.register_blueprint(health_pages.blueprint(runtime))
    routes.register(app, runtime, ROUTES)
    app.add_url_rule("/health", HEALTH, lambda: Response("ok\n", content_type="text/plain; charset=utf-8"))
    app.register_error_handler(WebProblem, _refused)
    app.register_error_handler(Transient, lambda error: _answer(error.problem, 503))
    app.register_error_handler(Conflict, lambda _: _answer(_BUSY.problem, 503))
    app.register_error_handler(HTTPException, _of_http)
    return app


def _short_address() -> BaseResponse | None:
    """Leave out of the address of a page what a form sent empty: who passes it on passes on what is asked."""
    given = list(request.args.items(multi=True))
    said = [(name, text) for name, text in given if text]
    if (
        len(said) == len(given)
        or request.method != "GET"
        or not request.endpoint
        or request.blueprint == "api"
    ):
        return None
    page = url_for(request.endpoint, **(request.view_args or {}))
    return redirect(f"{page}?{urlencode(said)}" if said else page, 303)


def _logged(runtime: Runtime, response: Response) -> Response:
    """Log what a person did or was refused."""
    person = g.get("person")
    if request.method in ("POST", "PUT") or response.status_code in (401, 403):
        runtime.log(
            "INFO" if response.status_code < 400 else "WARNING",
            f"{request.method} {request.path}",
            function="web",
            person=person and person.address,
            status=response.status_code,
            **trace(request.headers, runtime.settings),
        )
    return response


def _refused(error: WebProblem) -> Response:
    response = _answer(error.problem, error.status)
    response.headers.update(error.headers)
    return response


def _of_http(error: HTTPException) -> Response:
    kind = (error.name or "error").lower().replace(" ", "-")
    unknown = error.code == 404 and request.path.startswith("/api/")
    detail = f"there is no such address; {BASE}/openapi.json lists those there are" if unknown else ""
    problem = Problem(type=kind, title=error.name, detail=detail or error.description or "")
    response = _answer(problem, error.code or 500)
    response.headers.extend(item for item in error.get_headers(request.environ) if item[0] == "Allow")
    return response


def _answer(problem: Problem, status: int) -> Response:
    """A problem as a page for people, as problem+json under `/api`."""
    if request.path.startswith("/api/"):
        told = body(problem, status, request.path).model_dump_json()
        return Response(told, status, content_type="application/problem+json")
    return Response(render_template("problem.html", problem=problem, status=status), status)
