"""Deletions of old results that people have asked for: each tick lets a few go."""

from __future__ import annotations

from datetime import timedelta

from contracts.deletion import MAX_LISTED, KeptResult, ResultsDeletion
from contracts.job import Deletion, Job
from functions.deletions import Needed, TooManyOpen, has_old_result, old_jobs
from functions.runtime import Runtime
from functions.sweep.alone import alone

AT_ONCE = 20
"""Results that one tick lets go, so that it ends in time."""
KEEP_DELETION = timedelta(days=365)
"""How long the document of a deletion that has ended is kept."""


def sweep_deletions(runtime: Runtime) -> None:
    """Go on with the oldest deletion that has not ended."""
    running = runtime.ports.jobs.find(ResultsDeletion, state="RUNNING")
    if not running:
        return
    with alone(runtime, deletion=running[-1].key):
        _go_on(runtime, running[-1])


def _go_on(runtime: Runtime, deletion: ResultsDeletion) -> None:
    """Ask for the deletion of the next results, then commit how far this is.

    Whoever dies in between is followed by the same again: a job says by which deletion its result goes.
    """
    jobs, now = runtime.ports.jobs, runtime.ports.clock.now()
    try:
        needed = Needed.now(jobs)
    except TooManyOpen as error:
        if deletion.waits_for != str(error):
            jobs.replace(deletion.model_copy(update={"waits_for": str(error)}), deletion.version)
        return
    found = old_jobs(jobs, deletion, deletion.looked_at, AT_ONCE)
    gone, kept = 0, list(deletion.kept)
    for job in found:
        if job.deletion is not None and job.deletion.request == deletion.key:
            gone += 1
        elif has_old_result(job, deletion):
            if reason := needed.by(job):
                kept.append(KeptResult(job_id=job.job_id, reason=reason))
            else:
                _let_go(runtime, job, deletion)
                gone += 1
    done = len(found) < AT_ONCE
    changes = {
        "looked_at": found[-1].job_id if found else deletion.looked_at,
        "deleted": deletion.deleted + gone,
        "kept": kept[:MAX_LISTED],
        "more_kept": deletion.more_kept + max(0, len(kept) - MAX_LISTED),
        "waits_for": "",
        **({"state": "DONE", "ended_at": now, "expires": now + KEEP_DELETION} if done else {}),
    }
    jobs.replace(deletion.model_copy(update=changes), deletion.version)


def _let_go(runtime: Runtime, job: Job, deletion: ResultsDeletion) -> None:
    """Commit that a result goes; the next tick deletes its files."""
    now = runtime.ports.clock.now()
    asked = Deletion(by=deletion.by, at=now, request=deletion.key)
    changes = {"deletion": asked, "deadline": now}
    runtime.ports.jobs.replace(job.model_copy(update=changes), job.version)
