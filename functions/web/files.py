"""The files of a job. What a browser saves comes from the object store itself, where that gives links."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import PurePosixPath

from flask import Response, redirect, request
from werkzeug.wrappers import Response as Answer

from functions.ports import NotFound, ObjectInfo, ObjectStore
from functions.web.problems import Unknown

CHUNK = 256 * 1024
MAX_LENGTH = 32 << 20
"""Longest answer with a Content-Length, in bytes; Cloud Run refuses longer ones, but streams without."""
INLINE = {
    ".png": "image/png",
    ".json": "application/json",
    ".log": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
"""Types that a browser may show; all others are downloads, because HTML or SVG could run scripts here."""
LASTING = "private, max-age=31536000, immutable"
"""How long a browser may keep what never changes."""
LINK_MINUTES = 5
"""Lifetime of a download link. It serves one request; a download that has begun is not interrupted."""


def send(objects: ObjectStore, info: ObjectInfo, of_attempt: bool = False) -> Answer:
    """The object, read in pieces; or where the store itself lets it be downloaded, if it does.

    What is asked for as a file `of_attempt` never changes and may be kept, unless it still grows.

    Raises:
        Unknown: it was deleted or replaced meanwhile.
    """
    link = None if PurePosixPath(info.name).suffix in INLINE else objects.link(info.name, LINK_MINUTES)
    if link:
        return redirect(link)
    headers = {"ETag": f'"{info.generation}-{info.crc32c}"'}
    if of_attempt:
        grows = info.name.startswith("scratch/")
        headers["Cache-Control"] = "private, no-cache" if grows else LASTING
        if request.if_none_match.contains(f"{info.generation}-{info.crc32c}"):
            return Response(status=304, headers=headers)
    response = _passed_on(objects, info)
    response.headers.update(headers)
    return response


def _passed_on(objects: ObjectStore, info: ObjectInfo) -> Response:
    path = PurePosixPath(info.name)
    stack = ExitStack()
    try:
        stream = stack.enter_context(objects.reader(info.name, info.generation))
    except NotFound as error:
        raise Unknown(f"{path.name} was replaced in this moment; load the page again") from error
    response = Response(iter(lambda: stream.read(CHUNK), b""))
    response.call_on_close(stack.close)
    response.content_type = INLINE.get(path.suffix, "application/octet-stream")
    if info.size <= MAX_LENGTH:
        response.content_length = info.size
    how = "inline" if path.suffix in INLINE else "attachment"
    response.headers.set("Content-Disposition", how, filename=path.name)
    return response
