"""Uploads: straight into the store where it gives forms for that, otherwise through this page."""

from __future__ import annotations

import shutil

from flask import Request, url_for
from werkzeug.datastructures import FileStorage

from contracts.api import NewUpload, UploadTarget
from functions.ports import AlreadyExists, ObjectInfo
from functions.runtime import Runtime
from functions.steps import existing
from functions.web.problems import BadQuery, Refused

MAX_BYTES = 5 << 30
"""Largest file."""
FORM_MINUTES = 60
"""How long a form of the store can be sent; an upload that has begun is not interrupted."""
CHUNK = 1 << 20


def object_name(upload: NewUpload) -> str:
    """The object that an upload makes."""
    return f"{upload.place}/{upload.country}/{upload.name}"


def target(runtime: Runtime, request: Request, upload: NewUpload) -> UploadTarget:
    """Where the file goes.

    Raises:
        Refused: there is such an object: uploads replace nothing.
    """
    name = object_name(upload)
    _refuse_if_there(runtime, name)
    then = f"{_site(request)}{url_for('uploads.done', name=name)}"
    form = runtime.ports.objects.upload_form(name, MAX_BYTES, FORM_MINUTES, then)
    if form is None:
        return UploadTarget(object=name, url=url_for("uploads.receive", name=name), fields={})
    return UploadTarget(object=name, url=form.url, fields=dict(form.fields))


def receive(runtime: Runtime, upload: NewUpload, file: FileStorage | None) -> ObjectInfo:
    """Write a file that came to this page.

    Raises:
        BadQuery: there is no file.
        Refused: there is such an object.
    """
    if file is None or not file.filename:
        raise BadQuery("no file came along; choose one")
    name = object_name(upload)
    _refuse_if_there(runtime, name)
    try:
        with runtime.ports.objects.writer(name) as out:
            shutil.copyfileobj(file.stream, out, CHUNK)
    except AlreadyExists as error:
        raise _there(name) from error
    return existing(runtime, name)


def _refuse_if_there(runtime: Runtime, name: str) -> None:
    if runtime.ports.objects.stat(name) is not None:
        raise _there(name)


def _there(name: str) -> Refused:
    return Refused(f"{name} is there already, and uploads replace nothing; give the file another name")


def _site(request: Request) -> str:
    """The address of this page as the browser has it: the platform ends TLS before us."""
    return f"{request.headers.get('X-Forwarded-Proto', request.scheme)}://{request.host}"
