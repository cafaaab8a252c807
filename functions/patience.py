"""A step that must be done again later says so on its job: waiting is no failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from contracts.job import Job
from functions.errors import Transient
from functions.ports import Conflict
from functions.runtime import Runtime
from functions.steps import HANDLER_DEADLINE


@contextmanager
def saying_what_is_awaited(runtime: Runtime, job: Job) -> Iterator[None]:
    """If the block raises `Transient`, say on the job what it waits for, and give it time."""
    try:
        yield
    except Transient as error:
        with suppress(Conflict, Transient):  # it is told at the next try
            _tell(runtime, job, error)
        raise


def _tell(runtime: Runtime, job: Job, error: Transient) -> None:
    present = runtime.ports.jobs.get(Job, job.job_id)
    if present is None or (present.state, present.attempt) != (job.state, job.attempt):
        return
    # a message comes again within ten minutes, and may be worked on for as long
    told = {
        "waits_for": error.problem.detail,
        "deadline": runtime.ports.clock.now() + 2 * HANDLER_DEADLINE,
    }
    runtime.ports.jobs.replace(present.model_copy(update=told), present.version)
