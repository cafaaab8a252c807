"""The status page and its JSON twin: what runs, what failed and why, and what people can do about it."""

from __future__ import annotations

from flask import Flask, Response, json, render_template, request
from werkzeug.exceptions import HTTPException

from contracts.problem import Problem
from functions.errors import Transient
from functions.ports import Ports
from functions.settings import Settings
from functions.web import api, formats, pages
from functions.web.problems import WebProblem, body
from functions.web.security import check_origin, harden


def create_app(ports: Ports, settings: Settings) -> Flask:
    """The web application of one installation. It only reads and asks; it starts and stops no compute."""
    app = Flask(__name__, static_url_path="/assets")  # functions-framework has a /static of its own
    formats.register(app)
    app.before_request(lambda: check_origin(request))
    app.after_request(harden)
    app.register_blueprint(pages.blueprint(ports, settings))
    app.register_blueprint(api.blueprint(ports, settings))
    app.add_url_rule("/health", "healthz", lambda: Response("ok\n", content_type="text/plain; charset=utf-8"))
    app.register_error_handler(WebProblem, lambda error: _answer(error.problem, error.status))
    app.register_error_handler(Transient, lambda error: _answer(error.problem, 503))
    app.register_error_handler(HTTPException, _of_http)
    return app


def _of_http(error: HTTPException) -> Response:
    kind = (error.name or "error").lower().replace(" ", "-")
    problem = Problem(type=kind, title=error.name, detail=error.description or "")
    response = _answer(problem, error.code or 500)
    response.headers.extend(item for item in error.get_headers(request.environ) if item[0] == "Allow")
    return response


def _answer(problem: Problem, status: int) -> Response:
    """A problem as a page for people, as problem+json under `/api`."""
    if request.path.startswith("/api/"):
        return Response(json.dumps(body(problem, status)), status, content_type="application/problem+json")
    return Response(render_template("problem.html", problem=problem, status=status), status)
