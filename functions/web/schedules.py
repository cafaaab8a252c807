"""What people do with schedules, and how they see them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from contracts.api import RunAnswer, ScheduleAnswer, ScheduleRow
from contracts.batch import Batch
from contracts.job import KEEP_ENDED, Job
from contracts.schedule import Run, Schedule, ScheduleText
from functions.ports import Conflict, Ports
from functions.retries import retry_on_conflict
from functions.runtime import Runtime
from functions.schedules.check import as_schedule, schedule_problems
from functions.schedules.occurrences import occurrences
from functions.schedules.runs import next_of, run
from functions.web.actions import Check, unchecked
from functions.web.problems import BadBody, Changed, Unknown

KEPT = ("ENABLED", "DISABLED")
SHOWN = 5
"""Next occurrences that are shown."""


def schedule_of(ports: Ports, name: str, check: Check = unchecked) -> Schedule:
    """A schedule as it is now.

    Raises:
        Unknown: there is none of that name, or not any more.
    """
    found = ports.jobs.get(Schedule, name)
    if found is None or found.state == "DELETED":
        raise Unknown(f"there is no schedule '{name}'")
    check(found)
    return found


def checked(runtime: Runtime, name: str, text: ScheduleText, person: str) -> Schedule:
    """The document of a schedule that somebody wrote, not stored yet.

    Raises:
        BadBody: something is wrong with it; with every problem.
    """
    schedule = as_schedule(text, name, person, runtime.ports.clock.now())
    problems = schedule_problems(runtime, schedule)
    if problems:
        raise BadBody(f"{len(problems)} problem(s) in the schedule", problems)
    return schedule


def save(runtime: Runtime, name: str, text: ScheduleText, seen: int, person: str) -> Schedule:
    """Write a schedule over the version that somebody has seen (0: there is none yet).

    What has come of it is kept. It comes from now on; what was due and had not come yet is not made up for,
    unless its times are those that it had.

    Raises:
        BadBody: something is wrong with it; with every problem.
        Changed: it is not in the version that was seen.
    """
    jobs = runtime.ports.jobs
    new = checked(runtime, name, text, person)
    known = jobs.get(Schedule, name)
    version = known.version if known and known.state != "DELETED" else 0
    if version != seen:
        there = f"is in version {version} now" if version else "does not exist any more"
        raise Changed(f"the schedule '{name}' {there}; read it again, then decide again")
    if known is not None:
        times = (known.state, known.cron, known.time_zone)
        goes_on = times == (new.state, new.cron, new.time_zone)
        kept: dict[str, Any] = {"runs": known.runs, "passed_over": known.passed_over}
        new = new.model_copy(update=kept | ({"done_until": known.done_until} if goes_on else {}))
    new = new.model_copy(update={"deadline": next_of(new, new.done_until)})
    try:
        stored = jobs.replace(new, known.version) if known else jobs.create(new)
    except Conflict:
        stored = None
    if stored is None:
        raise Changed(f"the schedule '{name}' was changed by somebody else; read it again")
    return stored


def enable(runtime: Runtime, name: str, enabled: bool, person: str, check: Check = unchecked) -> Schedule:
    """Let a schedule come from now on, or not any more. What has come goes on.

    Raises:
        Unknown: there is no such schedule.
        BadBody: it cannot be enabled, because something is wrong with it.
    """
    state = "ENABLED" if enabled else "DISABLED"

    def changed(schedule: Schedule) -> dict[str, Any]:
        if schedule.state == state:
            return {}
        if enabled and (problems := schedule_problems(runtime, schedule)):
            raise BadBody(f"{len(problems)} problem(s) in the schedule", problems)
        now = runtime.ports.clock.now()
        other = schedule.model_copy(update={"state": state})
        return {"state": state, "done_until": now, "deadline": next_of(other, now)}

    return _change(runtime, name, person, check, changed)


def delete(runtime: Runtime, name: str, person: str, check: Check = unchecked) -> Schedule:
    """Let a schedule come no more, and show it no more. Its jobs stay.

    Raises:
        Unknown: there is no such schedule.
    """
    expires = runtime.ports.clock.now() + KEEP_ENDED
    gone = {"state": "DELETED", "deadline": None, "expires": expires}
    return _change(runtime, name, person, check, lambda _: gone)


def run_now(runtime: Runtime, name: str, person: str, check: Check = unchecked) -> Schedule:
    """Let a schedule come once, now, enabled or not. Asked for twice within a second it comes once.

    Raises:
        Unknown: there is no such schedule.
        BadBody: nothing would come of it, because something is wrong with it.
    """
    at = runtime.ports.clock.now().replace(microsecond=0)

    def once() -> Schedule:
        schedule = schedule_of(runtime.ports, name, check)
        if problems := schedule_problems(runtime, schedule.model_copy(update={"done_until": at})):
            raise BadBody(f"{len(problems)} problem(s) in the schedule", problems)
        return run(runtime, schedule, at, asked_by=person)

    return retry_on_conflict(once)


def _change(
    runtime: Runtime, name: str, person: str, check: Check, changed: Callable[[Schedule], dict[str, Any]]
) -> Schedule:
    def once() -> Schedule:
        schedule = schedule_of(runtime.ports, name, check)
        changes = changed(schedule)
        if not changes:
            return schedule
        who = {"changed_by": person, "changed_at": runtime.ports.clock.now()}
        return runtime.ports.jobs.replace(schedule.model_copy(update=changes | who), schedule.version)

    return retry_on_conflict(once)


def answer(ports: Ports, schedule: Schedule) -> ScheduleAnswer:
    """A schedule with what came of its runs, and when it comes next."""
    following = []
    if schedule.state == "ENABLED":
        every = occurrences(schedule.cron, schedule.time_zone, schedule.done_until)
        following = list(islice(every, SHOWN))
    fields = {name: getattr(schedule, name) for name in Schedule.model_fields}
    fields["runs"] = [told(ports, one) for one in schedule.runs]
    return ScheduleAnswer(**fields, schedule=schedule.text, next=following)


def row(ports: Ports, schedule: Schedule) -> ScheduleRow:
    """A schedule in a list, with what came of its last run."""
    return ScheduleRow(
        name=schedule.name,
        state=schedule.state,
        cron=schedule.cron,
        time_zone=schedule.time_zone,
        next=schedule.deadline,
        last=told(ports, schedule.runs[0]) if schedule.runs else None,
        changed_by=schedule.changed_by,
        changed_at=schedule.changed_at,
    )


def told(ports: Ports, one: Run) -> RunAnswer:
    """A run with the state of its job or batch, and why that did not succeed."""
    came: Job | Batch | None = None
    if one.job_id:
        came = ports.jobs.get(Job, one.job_id)
    elif one.batch_id:
        came = ports.jobs.get(Batch, one.batch_id)
    found = {"state": came.state, "problem": came.error} if came else {}
    return RunAnswer(**(dict(one) | found))
