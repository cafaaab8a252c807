"""The entry points of the functions, for functions-framework. Handlers are imported when first called."""

from __future__ import annotations

from functools import cache

import functions_framework
from flask import Flask, Request, Response
from werkzeug.wrappers import Response as AnyResponse

from functions.entry import answer
from functions.runtime import current, identify


@functions_framework.http
def extract(request: Request) -> Response:
    """`train-requests` and objects under `drop-zone/`."""
    return answer("extract", request)


@functions_framework.http
def validate(request: Request) -> Response:
    """Objects under `datasets/`."""
    return answer("validate", request)


@functions_framework.http
def launch(request: Request) -> Response:
    """`training-ready` and `training-finished`."""
    return answer("launch", request)


@functions_framework.http
def finalize(request: Request) -> Response:
    """Objects under `outcomes/`."""
    return answer("finalize", request)


@functions_framework.http
def summarize(request: Request) -> Response:
    """`training-finished`."""
    return answer("summarize", request)


@functions_framework.http
def sweep(request: Request) -> Response:
    """Every minute, and `sweep-requests`."""
    return answer("sweep", request)


@functions_framework.http
def bury(request: Request) -> Response:
    """`dead-letters`."""
    return answer("bury", request)


@functions_framework.http
def web(request: Request) -> AnyResponse:
    """People, and programs in their name: the status page and its JSON twin."""
    return Response.from_app(_page(), request.environ)


@cache
def _page() -> Flask:
    from functions.web.app import create_app

    return create_app(current(), identify(current().settings))
