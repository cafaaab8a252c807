"""The jobs of a series: those of one country and revision, or of one schedule's runs among them."""

from __future__ import annotations

from collections.abc import Iterator

from contracts.job import Job, JobState
from functions.ports import JobStore

_AT_ONCE, _MOST = 5, 100
"""Succeeded jobs of a series that are looked at together, and at most."""


def results_of_series(
    jobs: JobStore, country: str, revision: str, schedule: str | None = None, before: str | None = None
) -> Iterator[Job]:
    """The jobs of a series that succeeded with a result, the newest first; its files may be deleted.

    `schedule`: only its runs. `before`: only jobs that were accepted before this one.
    """
    equals = {"country": country, "revision": revision, "state": JobState.SUCCEEDED.value}
    if schedule:
        equals["schedule"] = schedule
    for _ in range(_MOST // _AT_ONCE):
        found = jobs.find(Job, limit=_AT_ONCE, before=before, starting="", until=None, **equals)
        yield from (job for job in found if job.asked.get("validate_only") is not True)
        if len(found) < _AT_ONCE:
            return
        before = found[-1].key
