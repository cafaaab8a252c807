# ruff: noqa: E501 (pieces of source stand as they are)
"""Faults of our own making: each breaks one promise in the production code while it is applied."""

from __future__ import annotations

from functions import attempts, entry, mappings, retrying, steps
from functions.acceptance import request as acceptance
from functions.adapters.embedded.bus import SqliteBus
from functions.adapters.embedded.jobs import SqliteJobStore
from functions.adapters.embedded.objects import FileObjectStore
from functions.extract import accept, dataset, uploads
from functions.extract import batches as unfolding
from functions.finalize import handler as finalize
from functions.launch import handler as launch
from functions.schedules import runs
from functions.summarize import handler as summarize
from functions.sweep import batches, cancelling, queues, running, waiting, wakeups
from functions.sweep import handler as sweep
from functions.validate import handler as validate
from tests.mutants import Edit
from trainer import transfer
from trainer.life import Life

_LOADED = (attempts, entry, steps, sweep, transfer, accept, dataset, uploads, finalize, launch, summarize, cancelling, queues, running,
           waiting, wakeups, validate, retrying)  # fmt: skip


RECURRING: dict[str, list[Edit]] = {
    "rows-counted-before-they-are-jobs": [
        Edit(unfolding._unfold, "    started = time.monotonic()\n",
             "    batch = changed(runtime, batch, unfolded=batch.rows)\n    started = time.monotonic()\n")
    ],
    "step-of-a-batch-not-sent-again": [Edit(batches._step_is_due, "    if known or (", "    return False\n    if known or (")],
    "end-of-a-batch-published-before-it-is-committed": [
        Edit(batches._finish, "    ending = changed(",
             "    from contracts.batch import BatchFinished\n    from functions.steps import publish\n"
             "    publish(runtime, 'job-finished', BatchFinished.of(batch))\n    ending = changed(")
    ],
    "end-of-a-batch-not-told-again": [Edit(batches._sweep, "if runtime.ports.clock.now() - batch.updated_at >= HANDLER_DEADLINE:", "if False:")],
    "batch-ended-before-its-jobs": [Edit(batches._have_ended, "not runtime.ports.jobs.count(", "True or runtime.ports.jobs.count(")],
    "rejection-of-a-cancelled-row-not-told": [Edit(unfolding._cancel, "        announce(runtime, job)\n", "        pass\n")],
    "occurrence-done-before-it-is-asked-for": [
        Edit(runs.run, "        runtime.ports.bus.publish(asked.topic, canonical_json(asked.body).encode())\n", ""),
        Edit(runs.run, "    return runtime.ports.jobs.replace(schedule.model_copy(update=changes), schedule.version)",
             "    stored = runtime.ports.jobs.replace(schedule.model_copy(update=changes), schedule.version)\n"
             "    runtime.ports.bus.publish(asked.topic, canonical_json(asked.body).encode())\n    return stored"),
    ],
    "occurrence-not-in-the-id": [
        Edit(runs.run, "request_id = run_id(schedule.name, at, asked_by is not None)", "request_id = run_id(schedule.name, runtime.ports.clock.now())")
    ],
    "missed-occurrences-passed-over": [Edit(runs.run_due, 'if schedule.missed != "all":', "if True:")],
    "version-of-a-mapping-not-kept": [Edit(mappings._stored, "    jobs.create(MappingVersion.model_validate(former))\n", "")],
    "mapping-not-kept-in-the-job": [Edit(acceptance.new_job, "settings=asked.mapping,", "settings=None,")],
}  # fmt: skip
"""Of batches, schedules and mappings, whose scripts are the last ones."""

MUTATIONS: dict[str, list[Edit]] = {
    **RECURRING,
    "compare-and-set-dropped": [
        Edit(SqliteJobStore.replace, " AND version = ?", " AND ? IS NOT NULL", SqliteJobStore)
    ],
    "end-published-before-it-is-committed": [
        Edit(
            steps.end,
            "job = commit_end(runtime, job, state,",
            "announce(runtime, job.moved(state, job.updated_at, None))\n    job = commit_end(runtime, job, state,",
        )
    ],
    "success-published-before-it-is-committed": [
        Edit(
            summarize.handle,
            "            best, summary = write_summary(runtime, job)\n",
            "            best, summary = write_summary(runtime, job)\n"
            "            announce(runtime, job.moved(JobState.SUCCEEDED, job.updated_at, None))\n",
        )
    ],
    "attempt-of-an-outcome-ignored": [
        Edit(finalize.handle, "if job.attempt == attempt.attempt:", "if True:")
    ],
    "slot-never-freed": [
        Edit(steps.free_slot, "if len(kept) < len(queue.slots):", "if False:"),
        Edit(queues._without_leaks, "if len(kept) == len(queue.slots):", "if True:"),
    ],
    "limit-of-a-queue-ignored": [Edit(launch._free, " and len(queue.slots) < limit", "")],
    "slot-taken-without-looking-who-has-one": [
        Edit(launch._candidates, "taken = {(slot.job_id, slot.attempt) for slot in queue.slots}", "taken = set()"),
        Edit(launch._free, " and len(queue.slots) < limit", " and len(queue.slots) < limit + 1"),
    ],
    "end-not-announced-again": [
        Edit(summarize.handle, "        announce(runtime, job)\n", ""),
        Edit(
            summarize.handle,
            "job = _succeed(runtime, job, best, summary)",
            "job = _succeed(runtime, job, best, summary)\n        announce(runtime, job)",
        ),
    ],
    "rejection-not-announced-again": [
        Edit(accept.accept, "if job.state.terminal:", "if False:"),
        Edit(validate.handle, "elif job.state is JobState.REJECTED or _only_validated(job):", "elif False:"),
    ],
    "claim-not-created-if-absent": [
        Edit(attempts.claim, "ports.objects.create(attempt.claim, wanted.model_dump_json().encode())",
             "ports.objects.replace(attempt.claim, wanted.model_dump_json().encode(), None)")
    ],
    "claim-not-looked-at": [
        Edit(Life.live, "if holder != self.task.cloud_run_execution:", "if not holder:", Life)
    ],
    "manifest-not-checked": [Edit(finalize._finish, "check_manifest(runtime.ports, job)", "pass")],
    "end-of-an-execution-not-awaited": [
        Edit(finalize._stopped, "if not stop(ports, job):", "if False:")
    ],
    "no-deadline": [Edit(steps.commit, "now + patience", "None")],
    "heartbeat-ignored": [
        Edit(running.sweep_running, "young = beat is not None and now - beat.updated < HEARTBEAT_DEADLINE", "young = False")
    ],
    "wakeups-not-counted": [Edit(wakeups.wake_or_fail, "wakeups=job.wakeups + 1, woken_at", "wakeups=0, woken_at")],
    "dataset-not-looked-for": [Edit(dataset.extract, "runtime.ports.objects.stat(name) or ", "")],
    "other-body-accepted": [
        Edit(acceptance.is_same, "job.request_id == key and canonical_json(job.request) == canonical_json(body)", "True")
    ],
    "cancel-without-stopping": [Edit(cancelling.sweep_cancelling, "if not stop(runtime.ports, job):", "if False:"),
                                Edit(finalize._stopped, "if not stop(ports, job):", "if False:")],
    "validated-only-not-told-again": [Edit(validate.handle, " or _only_validated(job)", "")],
    "outcome-overwritten": [
        Edit(steps.create_once, "runtime.ports.objects.create(name, data, metadata)", "runtime.ports.objects.replace(name, data, None)")
    ],
    "success-told-before-its-manifest": [
        Edit(Life._succeed, "    manifest_json =", "    self._end(status='succeeded')\n    manifest_json =", Life)
    ],
    "cancelled-without-a-tombstone": [
        Edit(attempts.stop, "holder = claim(ports, attempt_of(job), None).execution",
             "held = read_claim(ports, attempt_of(job))\n    holder = held.execution if held else None")
    ],
    "ended-without-a-tombstone": [
        Edit(running._end, "claim(runtime.ports, names.attempt_of(job), None)", "pass")
    ],
    "settings-looked-for-before-the-upload-is-recorded": [
        Edit(uploads.handle_upload, "_begin(runtime, record(runtime, country, info))",
             "before = settings_for(runtime.ports.objects, country, info.name)\n        upload = record(runtime, country, info)\n        if before or upload.state != 'WAITING':\n            _begin(runtime, upload)"),
    ],
    "failure-by-a-sweep-not-announced": [
        Edit(wakeups.wake_or_fail, "announce_attempt_end(runtime, failed, failed.attempt)", "pass"),
        Edit(sweep._sweep, "elif asked and job.state in", "elif False and job.state in"),
    ],
    "failure-by-a-sweep-not-announced-again": [Edit(wakeups.wake_or_fail, "ask_again(runtime, job)", "pass")],
    "end-not-announced-before-a-retry": [Edit(retrying.retry_job, "publish(runtime, JOB_FINISHED, job_finished(job))", "pass")],
    "abandoned-slot-not-resumed": [Edit(launch._resume, "for slot in queue.slots:", "for slot in []:")],
    "own-slot-not-asked-for": [Edit(waiting._queued, "((full or moves) and not its_own)", "full or moves")],
    "dead-letter-swallowed": [Edit(entry.deliver, '_to_dead_letters(message, runtime, "; ".join(lines))', "pass")],
    "given-up-message-swallowed": [
        Edit(SqliteBus._give_up, "self.enqueue(connection, DEAD_LETTERS,", "self.enqueue(connection, '',", SqliteBus)
    ],
    "oldest-heartbeat-of-all-tasks-counts": [
        Edit(attempts.read_heartbeats, "Beat(infos[-1].updated,", "Beat(infos[0].updated,")
    ],
    "merge-by-whoever-sees-all-shares": [Edit(Life._merges, "return merger == ours", "return True", Life)],
    "merge-before-all-shares-are-there": [
        Edit(Life._merges, "if missing := len(set(shares) - there):", "if missing := 0:", Life)
    ],
    "merge-not-gone-on-with": [
        Edit(Life._merges, "    ours = Merge(", "    if self.objects.stat(self.attempt.merge):\n        return False\n    ours = Merge(", Life)
    ],
    "share-overwritten": [
        Edit(transfer.upload, "with suppress(AlreadyExists), runtime.ports.objects.writer(name) as target, path.open(\"rb\") as source:\n        shutil.copyfileobj(source, target, _PIECE)",
             "runtime.ports.objects.replace(name, path.read_bytes(), None)")
    ],
    "file-that-the-index-does-not-know-is-being-changed": [
        Edit(FileObjectStore._open, "generation is None and watched and self._mark", "generation is None and self._mark", FileObjectStore)
    ],
    "beginning-of-a-file-not-replaced": [Edit(uploads._start, "replace_beginning(runtime, upload, job_id)", "pass")],
    "what-a-newer-version-said-is-dropped": [
        Edit(SqliteJobStore.replace, "stored.version, stored.model_dump_json()",
             "stored.version, stored.model_dump_json(include=set(type(stored).model_fields))", SqliteJobStore)
    ],
    "message-that-is-on-its-way-taken-for-lost": [Edit(wakeups.wake_or_fail, "if any(known):", "if False:")],
    "begun-uploads-not-finished": [
        Edit(uploads._finish_begun, "if reference in upload.begun", "if False"),
        Edit(uploads._finish_begun, "if begun is not None", "if False"),
    ],
}  # fmt: skip
