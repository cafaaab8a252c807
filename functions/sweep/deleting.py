"""Results whose files a person has deleted: the page may not delete any."""

from __future__ import annotations

from contracts import names
from contracts.job import Deletion, Job, TimelineEntry
from functions.runtime import Runtime


def sweep_deletion(runtime: Runtime, job: Job, deletion: Deletion) -> None:
    """Delete what all attempts of a job left, then say so in its document."""
    objects = runtime.ports.objects
    count = size = 0
    for info in list(objects.list(names.all_results(job))):
        objects.delete(info.name, info.generation)
        count, size = count + 1, size + info.size
    now = runtime.ports.clock.now()
    done = {"done_at": now, "objects": deletion.objects + count, "bytes": deletion.bytes + size}
    entry = TimelineEntry(
        at=now,
        state=job.state,
        attempt=job.attempt,
        note=f"the files of the result were deleted by {deletion.by}",
    )
    changes = {
        "deletion": deletion.model_copy(update=done),
        "timeline": [*job.timeline, entry],
        "deadline": None,
    }
    runtime.ports.jobs.replace(job.model_copy(update=changes), job.version)
