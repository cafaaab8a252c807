"""Batches, schedules and mappings in a simulation: what people ask for, and what must come of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from contracts.batch import Batch, BatchRequest, BatchState, requests_of
from contracts.events import BATCH_REQUESTS
from contracts.job import TERMINAL, Job
from contracts.mapping import MappingDocument, MappingVersion
from contracts.request import job_id_for
from contracts.schedule import BatchTemplate, Schedule, ScheduleText, run_id
from functions import mappings
from functions.acceptance.mapping import referred
from functions.errors import Unavailable
from functions.ports import Conflict
from functions.schedules.runs import asked_at
from functions.web import schedules
from functions.web.problems import Changed
from infra.local.demo_data import demo_request
from tests.property.faults import Crash
from tests.property.invariants import promise

if TYPE_CHECKING:
    from tests.property.simulation import Simulation

CRON = "15,45 6,7 16 11 *"
OCCURRENCES = [datetime(2026, 11, 16, hour, minute, tzinfo=UTC) for hour in (6, 7) for minute in (15, 45)]
"""When schedules come, in the first hours of a simulation."""
MAPPING = ("DE", "weekly")
ROWS: list[dict[str, Any]] = [
    {},
    {"search.trials": "many"},
    {"validate_only": True, "settings": "weekly"},
]
"""One row is trained, one is rejected, one only validated, with a mapping if there is one."""


def _base() -> dict[str, Any]:
    its = {"queue": "default", "size": "small", "revision": "r1"}
    body = {**demo_request("any", iterations=5, trials=1), **its}
    body["source"] = {**body["source"], "table": "rows"}
    return {name: value for name, value in body.items() if name != "request_id"}


class Recurring:
    """What was asked for of batches and schedules, and what was told of mappings."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self.coming: dict[str, str] = {}  # by job the request that a row or an occurrence may become
        self.batches: dict[str, bytes] = {}  # by batch its message
        self.told: dict[tuple[str, int], str] = {}  # by batch and round what upstream was told
        self.versions: dict[tuple[str, int], str] = {}  # of mappings

    # what people do

    def batch(self, number: int) -> None:
        """Publish a batch."""
        batch = BatchRequest(name=f"batch{number}", base=_base(), rows=ROWS)
        message = batch.model_dump_json().encode()
        self.batches[batch.batch_id] = message
        self._may_come(batch)
        self._sim.raw.bus.publish(BATCH_REQUESTS, message)

    def schedule(self, of_rows: bool) -> None:
        """Write a schedule that comes a few times, with one request or with a batch."""
        base = _base() | {"validate_only": True}
        rows = [{}, {"source.table": "short"}]
        text = ScheduleText(
            cron=CRON,
            missed="all",
            request=None if of_rows else base,
            batch=BatchTemplate(base=base, rows=rows) if of_rows else None,
        )
        name = "rows" if of_rows else "one"
        for at in OCCURRENCES:
            asked = asked_at(self._document(name, text), at, run_id(name, at))
            if of_rows:
                self._may_come(BatchRequest.model_validate(asked.body))
            else:
                self.coming[job_id_for(run_id(name, at))] = json.dumps(asked.body, sort_keys=True)
        self._as_web(lambda: schedules.save(self._sim.runtime, name, text, 0, "somebody"))

    def mapping(self, text: str) -> None:
        """Write the mapping with another text."""
        said = {"annotations": [{"date": "2023-01-02", "text": text}]}
        self._as_web(lambda: mappings.write(self._sim.runtime, MAPPING, said, "somebody"))
        self.check_mappings()

    def _document(self, name: str, text: ScheduleText) -> Schedule:
        now = self._sim.clock.now()
        said = {field: getattr(text, field) for field in ("cron", "time_zone", "missed", "request", "batch")}
        return Schedule(
            name=name, state="ENABLED", changed_by="somebody", changed_at=now, done_until=now, **said
        )

    def _may_come(self, batch: BatchRequest) -> None:
        for row in requests_of(batch):
            self.coming[job_id_for(row.derived_id)] = json.dumps(row.body, sort_keys=True)

    def _as_web(self, act: Callable[[], Any]) -> None:
        """A person's click, which the web process may not survive."""
        with (
            self._sim.faults.process(self._sim.frame_of_web()),
            suppress(Crash, Unavailable, Conflict, Changed),
        ):
            act()

    # what upstream is told

    def publishes(self, event: dict[str, Any]) -> None:
        """Somebody is about to tell upstream that a batch has ended."""
        batch = self._sim.raw.jobs.get(Batch, event["batch_id"])
        ended = batch and (batch.ended or batch.state is BatchState.FINISHING)
        again = batch and batch.round > event["round"]
        promise(ended or again, f"the end of a batch is told before it is committed: {event}")
        counted = sum(count for state, count in event["counts"].items() if state in TERMINAL)
        promise(counted == event["jobs"], f"a batch ended before its jobs: {event}")

    def told_upstream(self, event: dict[str, Any]) -> None:
        """Upstream was told that a batch has ended."""
        key, text = (event["batch_id"], event["round"]), json.dumps(event, sort_keys=True)
        promise(self.told.setdefault(key, text) == text, f"upstream was told two ends of {key}")

    # what must be true

    def at_rest(self) -> bool:
        """Whether every batch has ended and no occurrence is due; a sweep sees both."""
        now = self._sim.clock.now()
        due = any(one.deadline is not None and one.deadline <= now for one in self._sim.documents(Schedule))
        return not due and all(batch.ended for batch in self._sim.documents(Batch))

    def check_rest(self, jobs: Sequence[Job], buried: Sequence[str]) -> None:
        """Each row and each occurrence became what it should, once."""
        self.check_mappings()
        known = {batch.batch_id: batch for batch in self._sim.documents(Batch)}
        for batch_id, message in self.batches.items():
            promise(batch_id in known or message.decode() in buried, f"{batch_id} vanished")
        for batch in known.values():
            self._rows(batch, [job for job in jobs if job.batch_id == batch.batch_id])
        for schedule in self._sim.documents(Schedule):
            self._occurrences(schedule, jobs, known.values(), buried)
        for job in jobs:
            self._frozen(job)

    def _rows(self, batch: Batch, jobs: Sequence[Job]) -> None:
        promise(batch.ended, f"{batch.batch_id} is {batch.state}")
        rows = sorted(job.batch_row or 0 for job in jobs)
        every = list(range(1, batch.rows + 1))
        if batch.cancelled_by is None:
            promise(rows == every, f"rows {rows} of {batch.batch_id} are jobs")
            promise(batch.jobs == len(rows), f"{batch.batch_id} counts {batch.jobs} jobs of {len(rows)}")
        promise(rows == every[: len(rows)], f"a row is twice a job: {rows}")
        rounds = {(batch.batch_id, number + 1) for number in range(batch.round)}
        told = {key for key in self.told if key[0] == batch.batch_id}
        promise(told == rounds, f"upstream was told of {told}, but there were {rounds}")

    def _occurrences(
        self, schedule: Schedule, jobs: Sequence[Job], batches: Any, buried: Sequence[str]
    ) -> None:
        due = [at for at in OCCURRENCES if schedule.changed_at < at <= self._sim.clock.now()]
        promise(not due or schedule.done_until >= due[-1], f"{schedule.name} is done until {due[:1]} only")
        expected = {run_id(schedule.name, at) for at in OCCURRENCES if at <= schedule.done_until}
        expected &= {run_id(schedule.name, at) for at in OCCURRENCES if at > schedule.changed_at}
        prefix = f"{schedule.name}@"
        if schedule.batch is not None:
            came = [batch.name for batch in batches if batch.name.startswith(prefix)]
        else:
            came = [job.request_id for job in jobs if job.request_id.startswith(prefix)]
        lost = {one for one in expected - {*came} if not any(one in text for text in buried)}
        promise(not lost, f"nothing came of {lost}")
        # a clock may have been set back between the message of an occurrence and the note that it is done
        latest = self._sim.clock.latest
        past = {run_id(schedule.name, at) for at in OCCURRENCES if schedule.changed_at < at <= latest}
        promise(len(came) == len({*came}) and {*came} <= expected | past, f"{came} came of {expected}")

    def check_mappings(self) -> None:
        """No version of a mapping was lost or changed."""
        for kind in (MappingDocument, MappingVersion):
            for one in self._sim.documents(kind):
                key = (f"{one.country}/{one.name}", one.number)
                text = json.dumps(one.settings, sort_keys=True)
                promise(self.versions.setdefault(key, text) == text, f"{key} was changed")
        stored = {(one.mapping, one.number) for one in self._sim.documents(MappingVersion)}
        for newest in self._sim.documents(MappingDocument):
            former = {(newest.key, number) for number in range(1, newest.number)}
            promise(former <= stored, f"versions of {newest.key} are lost: {former - stored}")

    def _frozen(self, job: Job) -> None:
        """A job keeps the version that it was accepted with."""
        if job.settings is not None:
            key = (job.settings.key, job.settings.version)
            text = json.dumps(job.settings.settings, sort_keys=True)
            promise(self.versions.get(key) == text, f"{job.job_id} has another {key}")
        asked = job.request.get("settings") is not None and referred(job.request)
        refused = job.error is not None and job.error.type == "invalid-request"
        promise(job.settings or refused or not asked, f"{job.job_id} has forgotten its mapping")
