"""What people can do with a batch: cancel it, start its failed jobs again, pause it.

A compare-and-set, then a message to extract, which does it to a few jobs at a time.
"""

from __future__ import annotations

from typing import Any

from contracts.batch import Batch, BatchState, BatchTask
from contracts.job import Job, JobState
from functions.batches import changed, go_on
from functions.ports import Ports
from functions.retries import retry_on_conflict
from functions.runtime import Runtime
from functions.steps import wake
from functions.web.actions import Check, known, unchecked
from functions.web.problems import Refused


def batch_of(ports: Ports, batch_id: str, check: Check = unchecked) -> Batch:
    """The batch as it is now.

    Raises:
        Unknown: there is no such batch.
    """
    return known(ports, Batch, batch_id, "batch", check)


def cancel(runtime: Runtime, batch_id: str, person: str, check: Check = unchecked) -> Batch:
    """Ask for the end of every job of a batch; rows that are no jobs yet become none.

    Raises:
        Unknown: there is no such batch.
        Refused: it has ended already.
    """

    def cancelled() -> Batch:
        batch = batch_of(runtime.ports, batch_id, check)
        if batch.cancelled_by is not None:
            return batch
        if batch.ended or batch.state is BatchState.FINISHING:
            raise Refused(f"batch {batch_id} has ended: it is {batch.state}")
        task = BatchTask(what="cancel", by=person, at=runtime.ports.clock.now())
        return changed(runtime, batch, task=task, cancelled_by=person)

    batch = retry_on_conflict(cancelled)
    if batch.task is not None:
        go_on(runtime, batch)
    return batch


def retry(runtime: Runtime, batch_id: str, person: str, check: Check = unchecked) -> Batch:
    """Start the failed jobs of a batch again; of a cancelled one the cancelled jobs and the other rows, too.

    Raises:
        Unknown: there is no such batch.
        Refused: something is being done to it, or nothing of it has failed.
    """

    def retried() -> Batch:
        batch = batch_of(runtime.ports, batch_id, check)
        if batch.task is not None and batch.task.what == "retry":
            return batch
        if batch.task is not None or batch.state in (BatchState.UNFOLDING, BatchState.FINISHING):
            raise Refused(f"batch {batch_id} is changing; try again when it is RUNNING or FINISHED")
        states = [JobState.FAILED, *([JobState.CANCELLED] if batch.cancelled_by is not None else [])]
        rest = batch.cancelled_by is not None and batch.unfolded < batch.rows
        if not rest and not _any(runtime.ports, batch, states):
            raise Refused(f"no job of batch {batch_id} is {' or '.join(states)}")
        task = BatchTask(what="retry", states=states, by=person, at=runtime.ports.clock.now())
        changes: dict[str, Any] = {"task": task, "cancelled_by": None, "state": BatchState.RUNNING}
        if batch.ended:
            changes |= {"round": batch.round + 1, "expires": None}
        return changed(runtime, batch, **changes)

    batch = retry_on_conflict(retried)
    go_on(runtime, batch)
    return batch


def pause(runtime: Runtime, batch_id: str, paused: bool, person: str, check: Check = unchecked) -> Batch:
    """Let no job of a batch be started, or let them be started again. What runs goes on.

    Raises:
        Unknown: there is no such batch.
        Refused: it has ended already.
    """

    def switched() -> Batch:
        batch = batch_of(runtime.ports, batch_id, check)
        if batch.ended:
            raise Refused(f"batch {batch_id} has ended: it is {batch.state}")
        told = {"launching": "paused" if paused else "on", "paused_by": person if paused else None}
        return changed(runtime, batch, **told)

    batch = retry_on_conflict(switched)
    if not paused:
        for job in runtime.ports.jobs.find(Job, limit=1, batch_id=batch_id, state=JobState.QUEUED.value):
            wake(runtime, job)
    return batch


def _any(ports: Ports, batch: Batch, states: list[JobState]) -> bool:
    return any(ports.jobs.count(Job, most=1, batch_id=batch.batch_id, state=state.value) for state in states)
