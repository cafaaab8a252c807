"""Schedules that have come."""

from __future__ import annotations

from contracts.schedule import Schedule
from functions.errors import Permanent
from functions.runtime import Runtime
from functions.schedules.occurrences import NoSuchTime
from functions.schedules.runs import run_due
from functions.sweep.alone import alone


def sweep_schedules(runtime: Runtime) -> None:
    """Run every schedule that is due; an error of one must not stop the others."""
    for schedule in runtime.ports.jobs.due(Schedule, runtime.ports.clock.now(), state="ENABLED"):
        with alone(runtime, schedule=schedule.name):
            try:
                run_due(runtime, schedule)
            except NoSuchTime as error:  # its time zone was removed from the data base of zones
                raise Permanent(str(error)) from error
