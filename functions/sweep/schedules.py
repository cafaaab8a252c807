"""Schedules that have come."""

from __future__ import annotations

from contracts.schedule import Schedule
from functions.errors import Failure
from functions.ports import Conflict
from functions.runtime import Runtime
from functions.schedules.occurrences import NoSuchTime
from functions.schedules.runs import run_due


def sweep_schedules(runtime: Runtime) -> None:
    """Run every schedule that is due; an error of one must not stop the others."""
    for schedule in runtime.ports.jobs.due(Schedule, runtime.ports.clock.now(), state="ENABLED"):
        try:
            run_due(runtime, schedule)
        except Conflict:
            runtime.log("INFO", "the schedule was changed meanwhile", schedule=schedule.name)
        except Failure as error:
            runtime.log("ERROR", f"nothing changed: {error.problem.detail}", schedule=schedule.name)
        except NoSuchTime as error:  # its time zone was removed from the data base of zones
            runtime.log("ERROR", f"nothing changed: {error}", schedule=schedule.name)
