"""Results that may go, and what needs those that may not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from contracts.deletion import OldResults
from contracts.job import Job, JobState, ModelInUse
from functions.acceptance.former import latest_of_series
from functions.ports import JobStore

MOST_OPEN = 1000
"""Jobs that have not ended, of which each is asked what it continues; with more, nothing goes."""
_OPEN = tuple(state.value for state in JobState if not state.terminal)


def in_use(jobs: JobStore, country: str) -> ModelInUse | None:
    """The model that a country uses; None if none is marked."""
    mark = jobs.get(ModelInUse, country)
    return mark if mark and mark.ended_at is None else None


def old_jobs(jobs: JobStore, which: OldResults, before: str | None, limit: int) -> list[Job]:
    """The next succeeded jobs of about that age, newest first; some may be up to a minute too young."""
    state, until = JobState.SUCCEEDED.value, which.accepted_before
    return jobs.find(Job, limit=limit, before=before, until=until, state=state, **which.equals)


def has_old_result(job: Job, which: OldResults) -> bool:
    """Whether a succeeded job has a result that is as old as is asked."""
    trained = job.asked.get("validate_only") is not True
    return trained and job.deletion is None and job.accepted_at < which.accepted_before


class TooManyOpen(Exception):
    """So many jobs have not ended that what they continue is not looked up now."""


@dataclass
class Needed:
    """Which results something needs, looked up once for many."""

    jobs: JobStore
    continued: frozenset[str]
    """Results that jobs continue which have not ended."""
    _used: dict[str, str | None] = field(default_factory=dict)
    _latest: dict[tuple[str, ...], str | None] = field(default_factory=dict)

    @classmethod
    def now(cls, jobs: JobStore) -> Needed:
        """As it is now.

        Raises:
            TooManyOpen: more jobs than `MOST_OPEN` have not ended.
        """
        found = jobs.find(Job, limit=MOST_OPEN + 1, state=_OPEN)
        if len(found) > MOST_OPEN:
            raise TooManyOpen(f"more than {MOST_OPEN:,} jobs have not ended")
        return cls(jobs, frozenset(former for job in found for former in _continues(job)))

    def by(self, job: Job) -> str | None:
        """What needs the result of a job; None: nothing."""
        if self._in_use(job.country) == job.job_id:
            return f"{job.country} uses its model"
        if job.job_id in self.continued:
            return "a job that has not ended continues it"
        series = {"country": job.country, "revision": job.revision}
        if self._newest("latest", series) == job.job_id:
            return f"it is the newest model of {job.country} {job.revision}, which a refresh continues"
        if (
            job.schedule
            and self._newest("latest-of-schedule", series | {"schedule": job.schedule}) == job.job_id
        ):
            return f"it is the newest model of the schedule {job.schedule}, which a refresh continues"
        return None

    def _in_use(self, country: str) -> str | None:
        if country not in self._used:
            mark = in_use(self.jobs, country)
            self._used[country] = mark.job_id if mark else None
        return self._used[country]

    def _newest(self, refresh: str, series: dict[str, str]) -> str | None:
        key = (refresh, *series.values())
        if key not in self._latest:
            self._latest[key] = latest_of_series(self.jobs, {"refresh": refresh, **series})
        return self._latest[key]


def _continues(job: Job) -> Iterator[str]:
    """The former jobs that a job names, whether its request is valid or not."""
    asked = job.asked
    former: list[Any] = [asked.get("refresh_of"), job.refreshes]
    search = asked.get("search")
    former.append(search.get("start_from") if isinstance(search, dict) else None)
    for one in former:
        name = one.get("job") if isinstance(one, dict) else one
        if isinstance(name, str):
            yield name
