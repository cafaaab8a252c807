"""The reference of the API for people: every route, and every kind of problem."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from flask import Blueprint, render_template
from werkzeug.exceptions import default_exceptions

from functions.errors import Failure
from functions.web.problems import Unknown, WebProblem
from functions.web.v1.examples import EXAMPLES
from functions.web.v1.table import openapi


def blueprint() -> Blueprint:
    """The pages `/api` and `/problems/<kind>`."""
    reference = Blueprint("reference", __name__)

    @reference.get("/api")
    def api() -> str:
        return render_template("api.html", api=openapi(), EXAMPLES=EXAMPLES)

    @reference.get("/problems")
    def problems() -> str:
        return render_template("problems.html", kinds=kinds(), chosen=None)

    @reference.get("/problems/<kind>")
    def problem(kind: str) -> str:
        known = kinds()
        if kind not in known:
            raise Unknown(f"there is no kind of problem '{kind}'; there are: {', '.join(sorted(known))}")
        return render_template("problems.html", kinds={kind: known[kind]}, chosen=kind)

    return reference


def kinds() -> dict[str, tuple[str, str, int | None]]:
    """Each kind of problem: its title, what it means, and the status that goes with it where there is one."""
    known: dict[str, tuple[str, str, int | None]] = {}
    for error in default_exceptions.values():
        if error.code is not None:
            name = error().name
            known[name.lower().replace(" ", "-")] = (name, error.description or "", error.code)
    for failure in _below(Failure):
        status = failure.status if issubclass(failure, WebProblem) else None
        known[failure.type] = (failure.title, inspect.getdoc(failure) or "", status)
    return known


def _below(kind: type[Failure]) -> Iterator[type[Failure]]:
    for one in kind.__subclasses__():
        if "type" in vars(one):
            yield one
        yield from _below(one)
