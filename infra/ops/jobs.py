"""Jobs of the last days, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from contracts.job import Job
from infra.ops.place import Place

_PAGE = 200


def recent(place: Place, days: int) -> Iterator[Job]:
    """Jobs that were accepted in the last days; no more are read than are needed."""
    since = place.ports.clock.now() - timedelta(days=days)
    before: str | None = None
    while page := place.ports.jobs.find(Job, limit=_PAGE, before=before):
        for job in page:
            if job.accepted_at < since:
                return
            yield job
        before = page[-1].key
