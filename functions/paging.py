"""Reading many documents a page at a time."""

from __future__ import annotations

from collections.abc import Iterator

from functions.ports import D, Equal, JobStore

_PAGE = 200


def every(jobs: JobStore, kind: type[D], **equals: Equal) -> Iterator[D]:
    """All documents whose fields equal the given values, newest first; no more are read than are taken."""
    before: str | None = None
    while page := jobs.find(kind, limit=_PAGE, before=before, starting="", until=None, **equals):
        yield from page
        before = page[-1].key
