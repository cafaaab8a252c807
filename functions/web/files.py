"""The files of a job, streamed out of the object store."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import PurePosixPath

from flask import Response

from functions.ports import NotFound, ObjectInfo, ObjectStore
from functions.web.problems import Unknown

CHUNK = 256 * 1024
INLINE = {
    ".png": "image/png",
    ".json": "application/json",
    ".log": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
"""What a browser may show itself. Anything else is only saved: a page or an SVG could run scripts here."""


def send(objects: ObjectStore, info: ObjectInfo) -> Response:
    """The object as a download, read in pieces.

    Raises:
        Unknown: it was deleted or replaced in this moment.
    """
    path = PurePosixPath(info.name)
    stack = ExitStack()
    try:
        stream = stack.enter_context(objects.reader(info.name, info.generation))
    except NotFound as error:
        raise Unknown(f"{path.name} was replaced in this moment; load the page again") from error
    response = Response(iter(lambda: stream.read(CHUNK), b""))
    response.call_on_close(stack.close)
    response.content_type = INLINE.get(path.suffix, "application/octet-stream")
    response.content_length = info.size
    how = "inline" if path.suffix in INLINE else "attachment"
    response.headers.set("Content-Disposition", how, filename=path.name)
    return response
