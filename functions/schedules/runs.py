"""What a schedule asks for, and what comes of it.

A run is published before the schedule tells of it. Its request_id holds the occurrence, so whoever finds it
undone may publish it again: it stays one job.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from contracts.base import canonical_json
from contracts.batch import BatchRequest
from contracts.events import BATCH_REQUESTS, TRAIN_REQUESTS
from contracts.request import job_id_for
from contracts.schedule import MAX_RUNS, PassedOver, Run, Schedule, run_id
from functions.errors import BadRequest
from functions.runtime import Runtime
from functions.schedules.dates import with_days
from functions.schedules.occurrences import IN_TIME, last_until, occurrences, zone

GIVEN = ("request_id", "schedule")
"""Fields of a request that a schedule gives itself."""
AT_ONCE = 20
"""Occurrences of one schedule that are made up for in one tick."""


@dataclass(frozen=True)
class Asked:
    """What a run asks for: a request, or a batch of them."""

    body: dict[str, Any]
    problems: list[str]
    """What is wrong with its days, as `path: why`."""
    is_batch: bool

    @property
    def topic(self) -> str:
        """Where it is published."""
        return BATCH_REQUESTS if self.is_batch else TRAIN_REQUESTS

    def became(self) -> dict[str, str]:
        """The id of the job or the batch that it becomes."""
        if self.is_batch:
            return {"batch_id": BatchRequest.model_validate(self.body).batch_id}
        return {"job_id": job_id_for(self.body["request_id"])}


def asked_at(schedule: Schedule, at: datetime, request_id: str) -> Asked:
    """What a schedule asks for at a time."""
    today = at.astimezone(zone(schedule.time_zone)).date()
    if schedule.batch is None:
        body, problems = with_days(schedule.request, today)
        return Asked({**body, "request_id": request_id, "schedule": schedule.name}, problems, False)
    batch, problems = with_days(schedule.batch.model_dump(mode="json"), today)
    base = {**batch["base"], "schedule": schedule.name}
    return Asked({"name": request_id, "base": base, "rows": batch["rows"]}, problems, True)


def run(runtime: Runtime, schedule: Schedule, at: datetime, asked_by: str | None = None) -> Schedule:
    """Publish what a schedule asks for, and then tell of it.

    Raises:
        functions.ports.Conflict: the schedule was changed meanwhile; the run is published.
    """
    request_id = run_id(schedule.name, at, asked_by is not None)
    asked = asked_at(schedule, at, request_id)
    if asked.problems:  # of a version that took what this one does not
        problem = BadRequest("a date of the schedule is none", asked.problems).problem
        told = Run(at=at, request_id=request_id, asked_by=asked_by, problem=problem)
        runtime.log("ERROR", f"nothing came of a schedule: {asked.problems[0]}", schedule=schedule.name)
    else:
        runtime.ports.bus.publish(asked.topic, canonical_json(asked.body).encode())
        became = asked.became()
        told = Run(at=at, request_id=request_id, asked_by=asked_by, **became)
        runtime.log("INFO", "a schedule has come", schedule=schedule.name, **became)
    runs = [told, *(one for one in schedule.runs if one.request_id != request_id)][:MAX_RUNS]
    changes: dict[str, Any] = {"runs": runs}
    if asked_by is None:
        changes |= until(schedule, at)
    return runtime.ports.jobs.replace(schedule.model_copy(update=changes), schedule.version)


def until(schedule: Schedule, at: datetime) -> dict[str, Any]:
    """What changes when every occurrence up to a time is done with."""
    return {"done_until": at, "deadline": next_of(schedule, at)}


def next_of(schedule: Schedule, after: datetime) -> datetime | None:
    """The next occurrence after a time; None if nothing comes."""
    if schedule.state != "ENABLED":
        return None
    return next(occurrences(schedule.cron, schedule.time_zone, after), None)


def run_due(runtime: Runtime, schedule: Schedule) -> None:
    """Run what is due of a schedule, as it says; the rest, if there is much, with the next tick.

    Raises:
        functions.ports.Conflict: the schedule was changed meanwhile.
    """
    now = runtime.ports.clock.now()
    if schedule.missed != "all":
        schedule = _pass_over(runtime, schedule, now)
    due = takewhile(lambda at: at <= now, occurrences(schedule.cron, schedule.time_zone, schedule.done_until))
    occurred = [at for at, _ in zip(due, range(AT_ONCE), strict=False)]
    for at in occurred:
        schedule = run(runtime, schedule, at)
    if not occurred and schedule.deadline is not None and schedule.deadline <= now:  # a zone has other rules
        later = schedule.model_copy(update=until(schedule, schedule.done_until))
        runtime.ports.jobs.replace(later, schedule.version)


def _pass_over(runtime: Runtime, schedule: Schedule, now: datetime) -> Schedule:
    """Be done with the occurrences that are not made up for."""
    cron, time_zone, after = schedule.cron, schedule.time_zone, schedule.done_until
    missed = last_until(cron, time_zone, after, now - IN_TIME)
    if missed is None:
        return schedule
    following = next(occurrences(cron, time_zone, missed), None)
    if schedule.missed == "last" and (following is None or following > now):
        last = last_until(cron, time_zone, after, missed - timedelta(seconds=1))
    else:
        last = missed
    if last is None:
        return schedule
    first = next(occurrences(cron, time_zone, after))
    runtime.log("WARNING", "a schedule was missed", schedule=schedule.name, first=str(first), last=str(last))
    changes = {"passed_over": PassedOver(first=first, last=last), **until(schedule, last)}
    return runtime.ports.jobs.replace(schedule.model_copy(update=changes), schedule.version)
