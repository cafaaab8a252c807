"""Frees the slots of ended attempts, and wakes launch for queues with a free slot and a waiting job."""

from __future__ import annotations

from contracts.events import TRAINING_READY
from contracts.job import Job, JobState, Queue, Slot
from functions.runtime import Runtime
from functions.steps import announce_ready, get_or_create_queue

_HOLDING = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING})


def sweep_queues(runtime: Runtime) -> None:
    """Free leaked slots of every queue, then wake launch once per queue with room."""
    for name, limit in runtime.settings.queues.items():
        queue = _without_leaks(runtime, get_or_create_queue(runtime, name))
        if queue.paused or len(queue.slots) >= limit:
            continue
        waiting = runtime.ports.jobs.find(Job, limit=1, state=JobState.QUEUED.value, queue=name)
        if waiting and not runtime.ports.bus.on_its_way(TRAINING_READY, runtime.ports.clock.now()):
            announce_ready(runtime, waiting[0])


def _without_leaks(runtime: Runtime, queue: Queue) -> Queue:
    kept = [slot for slot in queue.slots if _holds(runtime, slot)]
    if len(kept) == len(queue.slots):
        return queue
    runtime.log("WARNING", "freed leaked slots", queue=queue.name, slots=len(queue.slots) - len(kept))
    return runtime.ports.jobs.replace(queue.model_copy(update={"slots": kept}), queue.version)


def _holds(runtime: Runtime, slot: Slot) -> bool:
    job = runtime.ports.jobs.get(Job, slot.job_id)
    return job is not None and job.attempt == slot.attempt and job.state in _HOLDING
