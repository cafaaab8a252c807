"""Jobs of the last days, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import takewhile

from contracts.job import Job
from functions.paging import every
from infra.ops.place import Place


def recent(place: Place, days: int) -> Iterator[Job]:
    """Jobs that were accepted in the last days; no more are read than are needed."""
    since = place.ports.clock.now() - timedelta(days=days)
    return takewhile(lambda job: job.accepted_at >= since, every(place.ports.jobs, Job))
