"""Queues, dead letters, and uploads that have not become jobs."""

from __future__ import annotations

from contracts.api import DeadLetterList, ListQuery, QueueList, UploadList
from contracts.job import DeadLetter, Queue
from functions.runtime import Runtime
from functions.settings import Settings
from functions.web import actions, views
from functions.web.problems import Unknown
from functions.web.v1.paging import page


def list_queues(runtime: Runtime) -> QueueList:
    """Every queue, with how full it is."""
    return QueueList(queues=views.queues(runtime.ports, runtime.settings))


def pause_queue(runtime: Runtime, queue: str) -> Queue:
    """Let a queue start nothing new. What runs goes on."""
    return actions.pause(runtime, known_queue(runtime.settings, queue), paused=True)


def resume_queue(runtime: Runtime, queue: str) -> Queue:
    """Let a queue start attempts again."""
    return actions.pause(runtime, known_queue(runtime.settings, queue), paused=False)


def list_dead_letters(runtime: Runtime, query: ListQuery) -> DeadLetterList:
    """Messages that could not be handled, newest first."""
    letters, token = page(runtime.ports.jobs, DeadLetter, query)
    return DeadLetterList(dead_letters=letters, next_page_token=token)


def replay_dead_letter(runtime: Runtime, letter_id: str) -> DeadLetter:
    """Publish a dead letter's message again. Handlers do nothing twice."""
    return actions.replay(runtime, letter_id)


def list_uploads(runtime: Runtime) -> UploadList:
    """Uploads that wait for their settings, and files that are no uploads."""
    return UploadList(
        uploads=views.waiting_uploads(runtime.ports), ignored=views.ignored_files(runtime.ports).files
    )


def known_queue(settings: Settings, name: str) -> str:
    """The name of a queue that exists.

    Raises:
        Unknown: it does not.
    """
    if name not in settings.queues:
        raise Unknown(f"there is no queue '{name}'; there are: {', '.join(settings.queues)}")
    return name
