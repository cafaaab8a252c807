"""Queues, dead letters, and uploads that have not become jobs."""

from __future__ import annotations

from contracts.api import (
    DeadLetterList,
    JobAnswer,
    JobRow,
    LettersOfReason,
    ListQuery,
    Move,
    QueueDetail,
    QueueList,
    Replayed,
    UploadList,
    UploadsQuery,
)
from contracts.job import DeadLetter, Queue, Upload
from functions.runtime import Runtime
from functions.settings import Settings
from functions.web import actions, queue_views, views
from functions.web.people import asking
from functions.web.problems import Unknown
from functions.web.routes import expected
from functions.web.v1.paging import page


def list_queues(runtime: Runtime) -> QueueList:
    """Every queue, with how full it is."""
    return QueueList(queues=views.queues(runtime.ports, runtime.settings))


def pause_queue(runtime: Runtime, queue: str) -> Queue:
    """Let a queue start nothing new. What runs goes on."""
    return actions.pause(runtime, known_queue(runtime.settings, queue), True, asking(), expected)


def resume_queue(runtime: Runtime, queue: str) -> Queue:
    """Let a queue start attempts again."""
    return actions.pause(runtime, known_queue(runtime.settings, queue), False, asking(), expected)


def get_queue(runtime: Runtime, queue: str) -> QueueDetail:
    """One queue: what runs, and who waits, in the order in which they are started."""
    view = queue_views.queue(runtime.ports, runtime.settings, known_queue(runtime.settings, queue))
    return QueueDetail(
        name=queue,
        running=len(view.queue.slots),
        limit=view.limit,
        paused=view.queue.paused,
        slots=view.queue.slots,
        waiting=[JobRow.of(job) for job in view.waiting],
        more=view.more,
    )


def move_job(runtime: Runtime, job_id: str, body: Move) -> JobAnswer:
    """Let a job that has not begun wait in another queue, or with another priority."""
    queue = known_queue(runtime.settings, body.queue)
    return JobAnswer.of(actions.move(runtime, job_id, queue, body.priority, asking(), expected))


def replay_dead_letters(runtime: Runtime, body: LettersOfReason) -> Replayed:
    """Publish all messages of one reason again that were not published again before."""
    return Replayed(dead_letters=actions.replay_reason(runtime, body.subscription, body.reason, asking()))


def list_dead_letters(runtime: Runtime, query: ListQuery) -> DeadLetterList:
    """Messages that could not be handled, newest first."""
    letters, token = page(runtime.ports.jobs, DeadLetter, query)
    return DeadLetterList(dead_letters=letters, next_page_token=token)


def get_dead_letter(runtime: Runtime, letter_id: str) -> DeadLetter:
    """A message that could not be handled, and why."""
    return actions.letter_of(runtime.ports, letter_id)


def replay_dead_letter(runtime: Runtime, letter_id: str) -> DeadLetter:
    """Publish a dead letter's message again. Handlers do nothing twice."""
    return actions.replay(runtime, letter_id, asking(), expected)


def list_uploads(runtime: Runtime, query: UploadsQuery) -> UploadList:
    """Uploads in one state, newest first, and files that are no uploads."""
    found, token = page(runtime.ports.jobs, Upload, query, state=query.state)
    ignored = [] if query.page_token else views.ignored_files(runtime.ports).files
    return UploadList(uploads=found, ignored=ignored, next_page_token=token)


def known_queue(settings: Settings, name: str) -> str:
    """The name of a queue that exists.

    Raises:
        Unknown: it does not.
    """
    if name not in settings.queues:
        raise Unknown(f"there is no queue '{name}'; there are: {', '.join(settings.queues)}")
    return name
