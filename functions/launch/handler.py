"""launch: admits waiting attempts while a slot is free, and starts one execution for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any

from pydantic_core import to_json

from contracts import names
from contracts.attempt import TrainingConfig
from contracts.batch import Batch
from contracts.changes import FormerFiles, Series
from contracts.job import Job, JobState, Queue, Slot, Waiting
from contracts.model import ModelConfig
from contracts.request import TrainRequest
from contracts.result import ResultWarning
from functions.attempts import read_claim, seal
from functions.errors import Permanent, Transient
from functions.launch.sizes import placement
from functions.message import Message
from functions.ports import AlreadyExists, Conflict
from functions.runtime import Runtime
from functions.series import results_of_series
from functions.steps import commit, free_slot, get_or_create_queue, refuse, request_of
from functions.turns import in_order
from functions.versions import read_ours

ORPHANED_AFTER = timedelta(seconds=30)
"""Age after which a slot whose job is still QUEUED counts as orphaned: its taker died before the start."""


def handle(message: Message, runtime: Runtime) -> None:
    """Fill the free slots of every queue; the event's own job is not special."""
    del message
    for name, limit in runtime.settings.queues.items():
        _resume(runtime, get_or_create_queue(runtime, name))
        while _admit(runtime, name, limit):
            pass


def _resume(runtime: Runtime, queue: Queue) -> None:
    """Start the attempts whose slots are orphaned; whoever takes one over starts its attempt alone."""
    now = runtime.ports.clock.now()
    for slot in queue.slots:
        if now - slot.since >= ORPHANED_AFTER:
            job = runtime.ports.jobs.get(Job, slot.job_id)
            if job is not None and (job.state, job.attempt) == (JobState.QUEUED, slot.attempt):
                taken = slot.model_copy(update={"since": now})
                slots = [taken if one == slot else one for one in queue.slots]
                queue = runtime.ports.jobs.replace(queue.model_copy(update={"slots": slots}), queue.version)
                _start_or_free(runtime, job)


def _admit(runtime: Runtime, name: str, limit: int) -> bool:
    """Take a slot for the attempt whose turn it is and start it; False if no slot is free or nobody waits."""
    queue = get_or_create_queue(runtime, name)
    turn = _next(runtime, queue) if _free(queue, limit) else None
    if turn is None:
        return False
    job = runtime.ports.jobs.get(Job, turn.job_id)
    if job is None or (job.state, job.attempt) != (JobState.QUEUED, turn.attempt):
        raise Conflict(f"job {turn.job_id} does not wait any more")
    slot = Slot(
        job_id=job.job_id,
        attempt=job.attempt,
        country=job.country,
        lane=job.lane,
        since=runtime.ports.clock.now(),
    )
    runtime.ports.jobs.replace(queue.model_copy(update={"slots": [*queue.slots, slot]}), queue.version)
    _start_or_free(runtime, job)
    return True


def _start_or_free(runtime: Runtime, job: Job) -> None:
    """Start the attempt that has taken a slot; if that cannot be now, free the slot for another try."""
    try:
        _start(runtime, job)
    except Transient:
        if runtime.ports.jobs.get(Job, job.job_id) == job:  # else somebody has resumed it: the slot is in use
            free_slot(runtime, job, job.attempt)
        raise


def _free(queue: Queue, limit: int) -> bool:
    return not queue.paused and len(queue.slots) < limit


def _candidates(runtime: Runtime, queue: Queue) -> Iterator[Waiting]:
    """Of each lane the waiting attempt whose turn it is, whatever the number that wait behind it.

    An attempt with a slot waits, too, until it has been started; a lane has no more of them than slots. The
    lanes of a paused batch are passed by.
    """
    taken = {(slot.job_id, slot.attempt) for slot in queue.slots}
    slots = Counter(slot.lane for slot in queue.slots)
    paused = {batch.batch_id for batch in runtime.ports.jobs.find(Batch, launching="paused")}
    turns = partial(runtime.ports.jobs.in_turn, Waiting, state=JobState.QUEUED.value, queue=queue.name)
    lane = ""
    while found := turns(lane, 1):
        before, lane = lane, found[0].lane
        if lane.partition("/")[2] in paused:
            continue
        if (found[0].job_id, found[0].attempt) in taken:
            found = turns(before, 1 + slots[lane])
        own = (one for one in found if one.lane == lane and (one.job_id, one.attempt) not in taken)
        yield from islice(own, 1)


def _next(runtime: Runtime, queue: Queue) -> Waiting | None:
    running = Counter(slot.country for slot in queue.slots)
    lanes = Counter(slot.lane for slot in queue.slots)
    return next(in_order(running, lanes, _candidates(runtime, queue)), None)


def _start(runtime: Runtime, job: Job) -> None:
    """Write the attempt's config, start one execution and commit RUNNING; FAILED if none can be started."""
    try:
        execution = _execution(runtime, job)
    except Permanent as error:
        holder = seal(runtime.ports, job)
        if holder is None:
            refuse(runtime, job, error)
            free_slot(runtime, job, job.attempt)
            return
        execution = holder
    commit(runtime, job, JobState.RUNNING, execution=execution, progress=None)
    runtime.log("INFO", "started", job_id=job.job_id, attempt=job.attempt, execution=execution)


def _execution(runtime: Runtime, job: Job) -> str:
    """The attempt's execution, started unless there is one; there is none before there is a config."""
    request = request_of(job)
    config, tried_before = _config(runtime, job, request)
    known = _started(runtime, job) if tried_before else None
    if known is not None:
        return known
    size, tasks = placement(config.engine, request.size, config.model.search)
    return runtime.ports.launcher.start(job.job_id, job.attempt, size, tasks)


def _started(runtime: Runtime, job: Job) -> str | None:
    """The execution of an attempt that somebody tried to start before: as the claim says, or the platform."""
    held = read_claim(runtime.ports, names.attempt_of(job))
    if held is not None and held.execution is not None:
        return held.execution
    known = runtime.ports.launcher.find(job.job_id, job.attempt)
    return known[0].name if known else None


def _series(runtime: Runtime, job: Job, request: TrainRequest, former: Job | None) -> Series:
    """The series of a job, and the job before it as it is now: each attempt is compared with that one.

    A refresh comes after the job that it continues, whatever succeeded since.
    """
    series = Series(country=job.country, revision=job.revision, schedule=job.schedule)
    if request.refresh_of:
        series, before = series.model_copy(update={"refreshes": True}), former
    else:
        jobs = runtime.ports.jobs
        results = results_of_series(jobs, job.country, job.revision, job.schedule, before=job.job_id)
        before = next(results, None)
    if before is None:
        return series
    predecessor = FormerFiles(
        job_id=before.job_id,
        attempt=before.attempt,
        request_id=before.request_id,
        accepted_at=before.accepted_at,
        prepared=names.prepared(before.country, before.job_id),
        validation=names.validation(before.country, before.job_id),
        results=names.results(before),
        deleted_by=before.deletion.by if before.deletion else None,
    )
    return series.model_copy(update={"predecessor": predecessor})


def _config(runtime: Runtime, job: Job, request: TrainRequest) -> tuple[TrainingConfig, bool]:
    """The attempt's config, and whether it was written before: then it is read back."""
    former = runtime.ports.jobs.get(Job, request.former) if request.former else None
    config = TrainingConfig(
        job_id=job.job_id,
        attempt=job.attempt,
        request_id=job.request_id,
        country=job.country,
        revision=job.revision,
        engine=request.engine or runtime.settings.engines[0],
        prepared=names.prepared(job.country, job.job_id),
        regions=names.prepared_regions(job.country, job.job_id) if request.columns.region else None,
        fingerprint=job.fingerprint or "",
        results=names.results(job),
        model=request.model_spec(),
        former=names.results(former) if former else None,
        series=_series(runtime, job, request, former),
        warnings=[
            ResultWarning(
                code=finding.code, column=finding.column, message=finding.message, advice=finding.advice
            )
            for finding in job.findings
            if finding.severity == "warning"
        ],
    )
    name = names.attempt_of(job).config
    try:
        runtime.ports.objects.create(name, to_json(_said(config, request), indent=2))
    except AlreadyExists:
        return read_ours(TrainingConfig, runtime.ports.objects.read(name)), True
    return config, False


def _said(config: TrainingConfig, request: TrainRequest) -> dict[str, Any]:
    """The config without defaults on which no number depends: a trainer need not know them."""
    model = request.model_dump(mode="json", include=set(ModelConfig.model_fields), exclude_unset=True)
    return {**config.model_dump(mode="json", exclude={"model"}), "model": model}
