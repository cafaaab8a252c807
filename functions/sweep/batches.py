"""Batches that have not ended: each goes on, and its end is seen and told."""

from __future__ import annotations

from datetime import timedelta

from contracts.batch import Batch, BatchState
from contracts.events import BATCH_STEPS
from contracts.job import Job, JobState
from functions.batches import AHEAD, OPEN, changed, count_jobs, go_on, tell
from functions.runtime import Runtime
from functions.steps import HANDLER_DEADLINE
from functions.sweep.alone import alone

KEEP_BATCH = timedelta(days=365)
"""How long the document of a batch that has ended is kept. Its jobs stay."""
_STEP_DUE = timedelta(minutes=1)
_GOING_ON = (BatchState.UNFOLDING.value, BatchState.RUNNING.value, BatchState.FINISHING.value)


def sweep_batches(runtime: Runtime) -> None:
    """Look after every batch that has not ended; an error of one does not stop the others."""
    for batch in runtime.ports.jobs.find(Batch, state=_GOING_ON):
        with alone(runtime, batch_id=batch.batch_id):
            _sweep(runtime, batch)


def _sweep(runtime: Runtime, batch: Batch) -> None:
    if batch.state is BatchState.FINISHING:
        if runtime.ports.clock.now() - batch.updated_at >= HANDLER_DEADLINE:  # whoever began to tell it died
            tell(runtime, batch)
    elif batch.task is not None or batch.state is BatchState.UNFOLDING:
        if _step_is_due(runtime, batch):
            go_on(runtime, batch)
    elif _have_ended(runtime, batch):
        _finish(runtime, batch)


def _step_is_due(runtime: Runtime, batch: Batch) -> bool:
    """Whether no message goes on with a batch, although something can be done."""
    now, ports = runtime.ports.clock.now(), runtime.ports
    known = ports.bus.on_its_way(BATCH_STEPS, now)
    if known or (known is None and now - batch.updated_at < _STEP_DUE):
        return False
    accepted = JobState.ACCEPTED.value
    return (
        batch.task is not None
        or ports.jobs.count(Job, most=AHEAD, batch_id=batch.batch_id, state=accepted) < AHEAD
    )


def _have_ended(runtime: Runtime, batch: Batch) -> bool:
    """Whether all jobs of a batch are in a terminal state, which only a person lets them leave."""
    return not runtime.ports.jobs.count(Job, most=1, batch_id=batch.batch_id, state=OPEN)


def _finish(runtime: Runtime, batch: Batch) -> None:
    """Commit the end, which only one can do, and tell upstream."""
    counts = count_jobs(runtime.ports, batch)
    ending = changed(
        runtime,
        batch,
        state=BatchState.FINISHING,
        counts=counts,
        jobs=sum(counts.values()),
        launching="on",
        paused_by=None,
        expires=runtime.ports.clock.now() + KEEP_BATCH,
    )
    tell(runtime, ending)
