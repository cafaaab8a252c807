"""What people can do: cancel, retry, replay, pause. A compare-and-set, then effects that may be repeated."""

from __future__ import annotations

import base64
from collections.abc import Callable

from contracts import names
from contracts.events import (
    SUBSCRIPTIONS,
    SWEEP_REQUESTS,
    SweepRequest,
)
from contracts.figures import figures_name
from contracts.job import (
    KEEP_ENDED,
    PRIORITIES,
    DeadLetter,
    Deletion,
    Document,
    Job,
    JobState,
    ModelInUse,
    Queue,
    TimelineEntry,
)
from functions.paging import every
from functions.ports import Conflict, D, Ports
from functions.retries import retry_on_conflict
from functions.retrying import NotRetriable, retry_job
from functions.runtime import Runtime
from functions.steps import HANDLER_DEADLINE, commit, get_or_create_queue, publish, wake
from functions.web import views
from functions.web.problems import Refused, Unknown

S = JobState
LETTERS = 100
"""Dead letters that are read together."""
Check = Callable[[Document], None]
"""Raises Refused if the state is not the one that the person saw."""


def unchecked(document: Document) -> None:
    """Expect nothing."""
    del document


def cancel(runtime: Runtime, job_id: str, person: str, check: Check = unchecked) -> Job:
    """Ask for the end of a job; sweep stops the compute and then commits CANCELLED.

    Raises:
        Unknown: there is no such job.
        Refused: it has ended already.
    """
    job = retry_on_conflict(lambda: _cancelling(runtime, job_of(runtime.ports, job_id, check), person))
    publish(runtime, SWEEP_REQUESTS, SweepRequest(job_id=job_id))
    return job


def retry(runtime: Runtime, job_id: str, person: str, check: Check = unchecked) -> Job:
    """Start a failed or cancelled job again, as a new attempt, from the last step whose objects exist.

    Raises:
        Unknown: there is no such job.
        Refused: it is not FAILED or CANCELLED, or its uploaded file is gone.
    """
    try:
        return retry_on_conflict(lambda: retry_job(runtime, job_of(runtime.ports, job_id, check), person))
    except NotRetriable as error:
        raise Refused(error.problem.detail) from error


def replay(runtime: Runtime, letter_id: str, person: str, check: Check = unchecked) -> DeadLetter:
    """Publish a dead letter's message to its topic again; all subscriptions get it, handlers are idempotent.

    Raises:
        Unknown: there is no such dead letter.
        Refused: its subscription is none of ours.
    """
    letter = letter_of(runtime.ports, letter_id)
    check(letter)
    if letter.subscription not in SUBSCRIPTIONS:
        raise Refused(
            f"the dead letter came from '{letter.subscription}', which is not a subscription of the system"
        )
    topic, _ = SUBSCRIPTIONS[letter.subscription]
    attributes = {**letter.attributes, "replay_of": letter_id}
    runtime.ports.bus.publish(topic, base64.b64decode(letter.data), attributes)
    return retry_on_conflict(lambda: _replayed(runtime, letter_of(runtime.ports, letter_id), person))


def replay_reason(runtime: Runtime, subscription: str, reason: str, person: str) -> list[DeadLetter]:
    """Replay every dead letter that has one reason and was not replayed before.

    Raises:
        Refused: their subscription is none of ours.
    """
    same = [
        letter.letter_id
        for letter in every(runtime.ports.jobs, DeadLetter)
        if letter.replayed_at is None and (letter.subscription, letter.reason) == (subscription, reason)
    ]
    return [replay(runtime, letter_id, person) for letter_id in same]


def pause(runtime: Runtime, queue: str, paused: bool, person: str, check: Check = unchecked) -> Queue:
    """Stop a queue from starting attempts, or let it start them again. Running attempts are not touched."""

    def change() -> Queue:
        known = get_or_create_queue(runtime, queue)
        check(known)
        return _paused(runtime, known, paused, person)

    changed = retry_on_conflict(change)
    if not paused:
        for job in runtime.ports.jobs.find(Job, limit=1, state=S.QUEUED.value, queue=queue):
            wake(runtime, job)
    return changed


def move(
    runtime: Runtime, job_id: str, queue: str, priority: int, person: str, check: Check = unchecked
) -> Job:
    """Let a job that has not begun wait in another queue, or with another priority.

    Raises:
        Unknown: there is no such job.
        Refused: it has begun, or the priority is none.
    """
    if priority not in PRIORITIES:
        raise Refused(f"priority {priority} is none; it is from {PRIORITIES[0]} to {PRIORITIES[-1]}")
    place = (queue, priority)
    job = retry_on_conflict(lambda: _moved(runtime, job_of(runtime.ports, job_id, check), place, person))
    if job.state is S.QUEUED:
        wake(runtime, job)
    return job


def use_model(
    runtime: Runtime,
    country: str,
    job_id: str,
    solution: str | None,
    person: str,
    check: Check = unchecked,
) -> ModelInUse:
    """Mark a model as the one that a country uses, the best one of a job unless another is named.

    The mark before it is replaced; `check` gets it.

    Raises:
        Unknown: there is no such job, or it has no such model.
        Refused: it is another country's, or has no result.
    """
    job = job_of(runtime.ports, job_id)
    if job.country != country:
        raise Refused(f"job {job_id} is of {job.country}, not of {country}")
    if job.state is not S.SUCCEEDED or job.result is None:
        raise Refused(f"job {job_id} has no model: it is {job.state}")
    if job.deletion is not None:
        raise Refused(f"job {job_id} has no model any more: {job.deletion.by} had its files deleted")
    best = job.result.sol_id
    solution = solution or best
    figures = f"{names.results(job)}{figures_name(solution, best)}"
    if solution != best and runtime.ports.objects.stat(figures) is None:
        raise Unknown(f"job {job_id} has no model '{solution}' to choose")
    mark = ModelInUse(
        country=country,
        job_id=job_id,
        attempt=job.attempt,
        sol_id=solution,
        by=person,
        at=runtime.ports.clock.now(),
    )
    return retry_on_conflict(lambda: _marked(runtime.ports, mark, check))


def stop_using(runtime: Runtime, country: str, person: str, check: Check = unchecked) -> ModelInUse:
    """Take back the mark of the model that a country uses; then it uses none.

    Raises:
        Refused: no model is marked.
    """

    def change() -> ModelInUse:
        mark = views.in_use(runtime.ports, country)
        if mark is None:
            raise Refused(f"no model of {country} is marked as in use")
        check(mark)
        ended = {"ended_by": person, "ended_at": runtime.ports.clock.now()}
        return runtime.ports.jobs.replace(mark.model_copy(update=ended), mark.version)

    return retry_on_conflict(change)


def _marked(ports: Ports, mark: ModelInUse, check: Check) -> ModelInUse:
    known = ports.jobs.get(ModelInUse, mark.key)
    if known:
        check(known)
        return ports.jobs.replace(mark, known.version)
    created = ports.jobs.create(mark)
    if created is None:
        raise Conflict("somebody else marked a model at the same time")
    return created


def delete_results(runtime: Runtime, job_id: str, person: str, check: Check = unchecked) -> Job:
    """Ask for the deletion of the files that a job's attempts left; sweep deletes them. The job stays.

    Raises:
        Unknown: there is no such job.
        Refused: it has no result, or the country uses its model.
    """
    job = retry_on_conflict(lambda: _deleting(runtime, deletable(runtime.ports, job_id, check), person))
    publish(runtime, SWEEP_REQUESTS, SweepRequest(job_id=job_id))
    return job


def deletable(ports: Ports, job_id: str, check: Check = unchecked) -> Job:
    """A job whose result may be deleted.

    Raises:
        Unknown: there is no such job.
        Refused: it has no result, or the country uses its model.
    """
    job = job_of(ports, job_id, check)
    if job.state is not S.SUCCEEDED:
        raise Refused(f"job {job_id} has no result to delete: it is {job.state}")
    used = views.in_use(ports, job.country)
    if used is not None and used.job_id == job_id:
        mark = f"model {used.sol_id} of job {job_id}"
        raise Refused(f"{job.country} uses {mark}; mark another one first, or none")
    return job


def _deleting(runtime: Runtime, job: Job, person: str) -> Job:
    if job.deletion is not None:
        return job
    now = runtime.ports.clock.now()
    changes = {"deletion": Deletion(by=person, at=now), "deadline": now + HANDLER_DEADLINE}
    return runtime.ports.jobs.replace(job.model_copy(update=changes), job.version)


def job_of(ports: Ports, job_id: str, check: Check = unchecked) -> Job:
    """The job as it is now.

    Raises:
        Unknown: there is no such job.
    """
    return known(ports, Job, job_id, "job", check)


def known(ports: Ports, kind: type[D], key: str, called: str, check: Check = unchecked) -> D:
    """A document as it is now; `called` is what people call its kind.

    Raises:
        Unknown: there is no such document.
    """
    found = ports.jobs.get(kind, key)
    if found is None:
        raise Unknown(f"there is no {called} {key}")
    check(found)
    return found


def _cancelling(runtime: Runtime, job: Job, person: str) -> Job:
    if job.state is S.CANCELLING:
        return job
    if job.state.terminal:
        raise Refused(f"job {job.job_id} has ended: it is {job.state}")
    return commit(runtime, job, S.CANCELLING, f"cancelled by {person}")


def _moved(runtime: Runtime, job: Job, place: tuple[str, int], person: str) -> Job:
    queue, priority = place
    if job.state not in (S.ACCEPTED, S.EXTRACTED, S.QUEUED) or _has_slot(runtime, job):
        raise Refused(
            f"job {job.job_id} does not wait any more: it is {job.state} or about to start; cancel it, and "
            "copy it as a new request"
        )
    if (job.queue, job.priority) == place:
        return job
    note = f"queue {queue}, priority {priority} (before: {job.queue}, {job.priority}), as {person} asked"
    entry = TimelineEntry(at=runtime.ports.clock.now(), state=job.state, attempt=job.attempt, note=note)
    told = {"queue": queue, "priority": priority, "timeline": [*job.timeline, entry]}
    return runtime.ports.jobs.replace(job.model_copy(update=told), job.version)


def _has_slot(runtime: Runtime, job: Job) -> bool:
    slots = get_or_create_queue(runtime, job.queue).slots
    return any((slot.job_id, slot.attempt) == (job.job_id, job.attempt) for slot in slots)


def _replayed(runtime: Runtime, letter: DeadLetter, person: str) -> DeadLetter:
    now = runtime.ports.clock.now()
    told = {"state": "REPLAYED", "replayed_at": now, "replayed_by": person, "expires": now + KEEP_ENDED}
    replayed = letter.model_copy(update=told)
    return runtime.ports.jobs.replace(replayed, letter.version)


def _paused(runtime: Runtime, queue: Queue, paused: bool, person: str) -> Queue:
    told = {"paused": paused, "paused_by": person if paused else None}
    return runtime.ports.jobs.replace(queue.model_copy(update=told), queue.version)


def letter_of(ports: Ports, letter_id: str) -> DeadLetter:
    """A dead letter.

    Raises:
        Unknown: there is no such dead letter.
    """
    return known(ports, DeadLetter, letter_id, "dead letter")
