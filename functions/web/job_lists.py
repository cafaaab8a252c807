"""The list of jobs as people see it: what is asked stands in the address, counts by state beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from werkzeug.datastructures import MultiDict

from contracts.api import JobsQuery
from contracts.job import Job, JobState, ListedJob, label
from functions.ports import Ports
from functions.runtime import Runtime
from functions.web import views
from functions.web.problems import BadQuery
from functions.web.routes import read_query
from functions.web.v1.jobs import find_jobs

RECENT = timedelta(days=30)
"""Jobs that have ended are counted if they were accepted within this time."""
COUNTED = 1000
"""How far jobs that have ended are counted."""
KEPT = timedelta(minutes=1)
"""For how long jobs that have ended are not counted again."""
MORE_FILTERS = ("revision", "queue", "requested_by", "schedule", "label", "request_id")
"""Filters that are shown when they are asked for."""

FORMER = {
    "train": "POST /api/v1/jobs",
    "status": "GET /api/v1/jobs/{job_id}",
    "metadata": "GET /api/v1/countries/{country}/settings",
}
"""What to call instead of `?api=…`, which the system before this one answered at this address."""


@dataclass(frozen=True)
class StateCount:
    """How many jobs are in a state."""

    state: JobState
    count: int
    more: bool
    """Whether counting ended before the end."""


@dataclass(frozen=True)
class JobsPage:
    """One page of the list."""

    query: JobsQuery
    jobs: list[ListedJob]
    next_page_token: str

    @property
    def first(self) -> bool:
        """Whether this is the beginning of the list."""
        return not self.query.page_token

    @property
    def filters(self) -> Mapping[str, object]:
        """What was asked for, as it stands in addresses."""
        asked = self.query.model_dump(mode="json", exclude_defaults=True, exclude={"page_token", "view"})
        labels = asked.pop("label", {})
        return {**asked, **{f"label.{name}": value for name, value in labels.items()}}

    @property
    def asked(self) -> Mapping[str, str]:
        """What the fields of the form of further filters hold."""
        texts = {name: getattr(self.query, name) or "" for name in MORE_FILTERS if name != "label"}
        return {**texts, "label": "".join(label(*one) for one in self.query.label.items())}

    @property
    def kept(self) -> Mapping[str, object]:
        """What was asked for and has no field in the form."""
        fields = ("state", "country", *MORE_FILTERS)
        return {name: value for name, value in self.filters.items() if name.partition(".")[0] not in fields}

    @property
    def filtered(self) -> bool:
        """Whether not all jobs are shown."""
        return bool(self.filters.keys() - {"page_size"})

    @property
    def moving(self) -> bool:
        """Whether a job of the page has not ended."""
        return any(not job.state.terminal for job in self.jobs)


def jobs_page(runtime: Runtime, given: MultiDict[str, str]) -> JobsPage:
    """The page that an address asks for; what a form leaves empty is not asked.

    A form has one field for a label, `name=value`.

    Raises:
        BadQuery: with every problem.
    """
    if "api" in given:
        instead = FORMER.get(given["api"], "the addresses that /api lists")
        line = f"api: the former API is not answered any more; call {instead}, which /api describes"
        raise BadQuery("this is an address of the former API", [line])
    said = MultiDict((name, value) for name, value in given.items(multi=True) if value)
    if "=" in (written := said.get("label", "")):
        del said["label"]
        name, _, value = written.partition("=")
        said.add(f"label.{name.strip()}", value.strip())
    query = read_query(JobsQuery, said)
    jobs, token = find_jobs(runtime, query, ListedJob)
    return JobsPage(query, jobs, token)


class Counts:
    """How many jobs each state has: exactly, or of those that have ended the recent ones, up to a bound.

    Ended ones are counted once a minute, as their number says little.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._ended: list[StateCount] = []
        self._counted_at: datetime | None = None

    def now(self) -> list[StateCount]:
        """A count for each state."""
        now = self._ports.clock.now()
        old = self._counted_at is None or now - self._counted_at > KEPT
        asked = [state for state in JobState if old or not state.terminal]
        found = views.together(self._count, asked)
        if old:
            self._ended = [one for one in found if one.state.terminal]
            self._counted_at = now
        return [one for one in found if not one.state.terminal] + self._ended

    def _count(self, state: JobState) -> StateCount:
        if not state.terminal:
            return StateCount(state, self._ports.jobs.count(Job, state=state.value), more=False)
        since = self._ports.clock.now() - RECENT
        count = self._ports.jobs.count(Job, since=since, most=COUNTED, state=state.value)
        return StateCount(state, count, more=count == COUNTED)
