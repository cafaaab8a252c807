"""The pages on which a file is uploaded: where to and its name first, then the file itself."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from pydantic import ValidationError
from werkzeug.wrappers import Response

from contracts.api import NewUpload
from contracts.base import error_lines
from contracts.problem import Violation, violations
from functions.runtime import Runtime
from functions.web import receiving
from functions.web.problems import BadQuery
from functions.web.security import allow_form_to

FIELDS = ("country", "name", "place")


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes of these pages."""
    pages = Blueprint("uploads", __name__)

    @pages.get("/uploads/new")
    def page() -> str:
        return _page({name: request.args.get(name, "") for name in FIELDS}, [])

    @pages.post("/uploads/new")
    def where() -> str | Response:
        given = {name: request.form.get(name, "") for name in FIELDS}
        try:
            upload = NewUpload.model_validate(given)
        except ValidationError as error:
            return _page(given, violations(error_lines(error)))
        target = receiving.target(runtime, request, upload)
        answer = make_response(render_template("upload_file.html", upload=upload, target=target))
        allow_form_to(answer, target.url)
        return answer

    @pages.post("/uploads/files/<path:name>")
    def receive(name: str) -> Response:
        place, _, rest = name.partition("/")
        country, _, file = rest.partition("/")
        request.max_content_length = receiving.MAX_BYTES
        try:
            upload = NewUpload.model_validate({"place": place, "country": country, "name": file})
        except ValidationError as error:
            raise BadQuery("the address names no upload", error_lines(error)) from error
        receiving.receive(runtime, upload, request.files.get("file"))
        return redirect(url_for("uploads.done", name=name), 303)

    @pages.get("/uploads/done/<path:name>")
    def done(name: str) -> str:
        there = runtime.ports.objects.stat(name) if name.startswith(("sources/", "drop-zone/")) else None
        return render_template("upload_done.html", name=name, there=there)

    return pages


def _page(given: dict[str, str], wrong: list[Violation]) -> str:
    return render_template("upload.html", given=given, wrong={one.path: one for one in wrong})
