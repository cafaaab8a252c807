"""What is wrong with a schedule, told when it is saved and not when it comes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from contracts.base import WHOLE
from contracts.batch import BatchRequest, requests_of
from contracts.schedule import Schedule, ScheduleText, run_id
from functions.acceptance.mapping import asked_for
from functions.acceptance.request import problems_of
from functions.runtime import Runtime
from functions.schedules.occurrences import NoSuchTime, occurrences, zone
from functions.schedules.runs import GIVEN, asked_at

_MOST = 100
"""Problems of a batch that are told."""


def as_schedule(text: ScheduleText, name: str, person: str, now: datetime) -> Schedule:
    """The document of a schedule that somebody writes; it comes from now on, and nothing has come of it."""
    return Schedule(
        name=name,
        state="ENABLED" if text.enabled else "DISABLED",
        cron=text.cron,
        time_zone=text.time_zone,
        missed=text.missed,
        request=text.request,
        batch=text.batch,
        changed_by=person,
        changed_at=now,
        done_until=now,
    )


def schedule_problems(runtime: Runtime, schedule: Schedule) -> list[str]:
    """Everything that is wrong with a schedule, its request at its next run included, as `path: why`."""
    problems: list[str] = []
    at = schedule.done_until
    try:
        zone(schedule.time_zone)
    except NoSuchTime as error:
        problems.append(f"time_zone: {error}")
        schedule = schedule.model_copy(update={"time_zone": "UTC"})
    try:
        following = next(occurrences(schedule.cron, schedule.time_zone, at), None)
        if following is None:
            problems.append(f"cron: '{schedule.cron}' never comes")
        at = following or at
    except NoSuchTime as error:
        problems.append(f"cron: {error}")
    return problems + _request_problems(runtime, schedule, at)


def _request_problems(runtime: Runtime, schedule: Schedule, at: datetime) -> list[str]:
    asked = asked_at(schedule, at, run_id(schedule.name, at))
    if not asked.is_batch:
        return _placed("request", _given(schedule.request or {}) + asked.problems, runtime, asked.body)
    said = schedule.batch.base if schedule.batch else {}
    told = [f"batch.{line}" for line in [*(f"base.{one}" for one in _given(said)), *asked.problems]]
    for row in requests_of(BatchRequest.model_validate(asked.body)):
        told += _placed(f"batch.rows[{row.row - 1}]", row.problems, runtime, row.body)
        if len(told) >= _MOST:
            return [*told[:_MOST], "batch: there are more problems"]
    return told


def _given(said: dict[str, Any]) -> list[str]:
    return [f"{name}: the schedule gives it; leave it out" for name in GIVEN if name in said]


def _placed(where: str, told: list[str], runtime: Runtime, body: dict[str, Any]) -> list[str]:
    places = {line.partition(": ")[0] for line in told}
    found = [
        line
        for line in problems_of(runtime, asked_for(runtime, body), [])
        if line.partition(": ")[0] not in places
    ]
    return [f"{where}.{line}".replace(f"{where}.{WHOLE}", where) for line in (*told, *found)]
