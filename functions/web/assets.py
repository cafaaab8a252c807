"""What pages load beside themselves: style, scripts, and the library of the charts; cached for ever."""

from __future__ import annotations

import gzip
import zlib
from functools import cache
from pathlib import Path

from flask import Flask, Response, request, url_for

STATIC = Path(__file__).with_name("static")
LIBRARY = STATIC / "vendor" / "vega.js.gz"
FOR_EVER = "public, max-age=31536000, immutable"
_SMALLEST = 1000
_TEXTS = ("text/", "application/json", "application/problem+json", "application/openapi+json")


def register(app: Flask) -> None:
    """Let templates name assets by `asset('style.css')` and `library()`, and answer for the library."""
    app.add_url_rule("/assets/library-<digest>.js", "library", _library)
    app.jinja_env.globals.update(
        asset=lambda name: url_for("static", filename=name, v=_digest(STATIC / name)),
        library=lambda: url_for("library", digest=_digest(LIBRARY)),
    )


@cache
def _digest(path: Path) -> str:
    return f"{zlib.crc32(path.read_bytes()):08x}"


def _library(digest: str) -> Response:
    """The library of the charts, stored as it is sent."""
    data = LIBRARY.read_bytes()
    packed = request.accept_encodings.quality("gzip") > 0
    response = Response(
        data if packed else gzip.decompress(data), content_type="text/javascript; charset=utf-8"
    )
    if packed:
        response.content_encoding = "gzip"
    response.vary.add("Accept-Encoding")
    if digest == _digest(LIBRARY):
        response.headers["Cache-Control"] = FOR_EVER
    return response


def cached(response: Response) -> Response:
    """Let browsers keep an asset whose address names its content."""
    if request.endpoint == "static" and "v" in request.args:
        response.headers["Cache-Control"] = FOR_EVER
    return response


def packed(response: Response) -> Response:
    """A text of some length, compressed for those who take it so."""
    if (
        response.status_code != 200
        or response.is_streamed
        or response.content_encoding
        or not (response.content_type or "").startswith(_TEXTS)
    ):
        return response
    response.vary.add("Accept-Encoding")
    data = response.get_data()
    if len(data) >= _SMALLEST and request.accept_encodings.quality("gzip") > 0:
        response.set_data(gzip.compress(data, 5, mtime=0))
        response.content_encoding = "gzip"
    return response
