"""Schedules: requests that come again by themselves."""

from __future__ import annotations

from itertools import islice
from zoneinfo import ZoneInfo

from contracts.api import (
    ListQuery,
    NewSchedule,
    Occurrence,
    ScheduleAnswer,
    ScheduleList,
    SchedulePreview,
)
from contracts.problem import violations
from contracts.schedule import Schedule, ScheduleText
from functions.runtime import Runtime
from functions.schedules.check import as_schedule, schedule_problems
from functions.schedules.occurrences import NoSuchTime, occurrences
from functions.web import schedules
from functions.web.people import asking
from functions.web.routes import expected
from functions.web.v1.paging import page


def list_schedules(runtime: Runtime, query: ListQuery) -> ScheduleList:
    """Schedules, the newest first, each with its next and its last run."""
    found, token = page(runtime.ports.jobs, Schedule, query, state=schedules.KEPT)
    rows = [schedules.row(runtime.ports, one) for one in found]
    return ScheduleList(schedules=rows, next_page_token=token)


def get_schedule(runtime: Runtime, schedule: str) -> ScheduleAnswer:
    """One schedule: what it says, when it comes next, and what has come of it."""
    return schedules.answer(runtime.ports, schedules.schedule_of(runtime.ports, schedule))


def put_schedule(runtime: Runtime, schedule: str, body: NewSchedule) -> ScheduleAnswer:
    """Write a schedule over the version that was seen. It is refused if nothing could come of it."""
    saved = schedules.save(runtime, schedule, body.schedule, body.version, asking())
    return schedules.answer(runtime.ports, saved)


def preview_schedule(runtime: Runtime, body: ScheduleText) -> SchedulePreview:
    """When a schedule would come next, with which request, and what is wrong with it. Nothing is kept."""
    return preview(runtime, body)


def enable_schedule(runtime: Runtime, schedule: str) -> ScheduleAnswer:
    """Let a schedule come from now on."""
    return _answer(runtime, schedules.enable(runtime, schedule, True, asking(), expected))


def disable_schedule(runtime: Runtime, schedule: str) -> ScheduleAnswer:
    """Let a schedule come no more until it is enabled. What runs goes on."""
    return _answer(runtime, schedules.enable(runtime, schedule, False, asking(), expected))


def delete_schedule(runtime: Runtime, schedule: str) -> ScheduleAnswer:
    """Let a schedule come no more, and list it no more. Its jobs stay."""
    return _answer(runtime, schedules.delete(runtime, schedule, asking(), expected))


def run_schedule(runtime: Runtime, schedule: str) -> ScheduleAnswer:
    """Let a schedule come once, now, whether it is enabled or not."""
    return _answer(runtime, schedules.run_now(runtime, schedule, asking(), expected))


def preview(runtime: Runtime, text: ScheduleText, name: str = "preview") -> SchedulePreview:
    """When a schedule would come next, with which request, and what is wrong with it."""
    now = runtime.ports.clock.now()
    schedule = as_schedule(text, name, asking(), now)
    try:
        every = islice(occurrences(text.cron, text.time_zone, now), schedules.SHOWN)
        zone = ZoneInfo(text.time_zone)
        following = [Occurrence(at=at, local=at.astimezone(zone).isoformat()) for at in every]
    except (NoSuchTime, OSError, KeyError, ValueError):  # told among the problems
        following = []
    problems = schedule_problems(runtime, schedule)
    return SchedulePreview(next=following, violations=violations(problems))


def _answer(runtime: Runtime, schedule: Schedule) -> ScheduleAnswer:
    return schedules.answer(runtime.ports, schedule)
