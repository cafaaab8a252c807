"""What the page of queues shows: what runs in each, and who waits in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.job import DeadLetter, Job, JobState, Queue
from functions.ports import Ports
from functions.settings import Settings
from functions.turns import in_order

LISTED = 25
"""Waiting jobs of a queue that are shown."""
MOST_LETTERS = 100
"""How far dead letters are counted."""
KEPT = timedelta(minutes=1)
"""For how long the list of jobs does not count them again."""
_ABOUT_LETTERS = ("queues.page", "queues.letters")
_OF_LANE = 5
"""Waiting jobs that are read of each country and batch where more wait than are shown."""


@dataclass(frozen=True)
class QueueView:
    """One queue."""

    queue: Queue
    limit: int
    waiting: list[Job]
    """Those whose turn comes first, in their order."""
    more: bool
    """Whether others wait behind them."""


@dataclass(frozen=True)
class LetterGroup:
    """Dead letters of one subscription with one reason, newest first."""

    subscription: str
    reason: str
    letters: list[DeadLetter]

    @property
    def newest(self) -> datetime:
        """When the last of them came."""
        return self.letters[0].at


class WaitingLetters:
    """How many dead letters wait, for the navigation of every page.

    Only pages that ask the store for little count them: others show the number that was known last.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._counted_at: datetime | None = None
        self.known = ""
        """Empty: none, or not known yet."""

    def look(self, endpoint: str | None) -> None:
        """Count them, for the page with this endpoint: always where it is about them, otherwise at times."""
        now = self._ports.clock.now()
        old = self._counted_at is None or now - self._counted_at > KEPT
        if endpoint in _ABOUT_LETTERS or (endpoint == "pages.jobs" and old):
            count = self._ports.jobs.count(DeadLetter, most=MOST_LETTERS, state="WAITING")
            self.known = "" if not count else f"{count}+" if count == MOST_LETTERS else str(count)
            self._counted_at = now


def queues(ports: Ports, settings: Settings) -> list[QueueView]:
    """Every queue of the installation."""
    known = {queue.name: queue for queue in ports.jobs.find(Queue)}
    return [_queue(ports, known.get(name) or Queue(name=name), settings) for name in settings.queues]


def queue(ports: Ports, settings: Settings, name: str) -> QueueView:
    """One queue, which the installation has."""
    return _queue(ports, ports.jobs.get(Queue, name) or Queue(name=name), settings)


def groups(letters: list[DeadLetter]) -> list[LetterGroup]:
    """Dead letters that were not sent again, by subscription and reason; the largest group first."""
    found: dict[tuple[str, str], list[DeadLetter]] = {}
    for letter in letters:
        if letter.replayed_at is None:
            found.setdefault((letter.subscription, letter.reason), []).append(letter)
    made = [LetterGroup(*same, group) for same, group in found.items()]
    return sorted(made, key=lambda group: (-len(group.letters), group.reason))


def _queue(ports: Ports, queue: Queue, settings: Settings) -> QueueView:
    running = Counter(slot.country for slot in queue.slots)
    lanes = Counter(slot.lane for slot in queue.slots)
    taken = {slot.job_id for slot in queue.slots}
    found = ports.jobs.in_turn(Job, "", LISTED + 1, state=JobState.QUEUED.value, queue=queue.name)
    more = len(found) > LISTED
    if more:
        found = list(_of_each_lane(ports, queue.name))
    waiting = in_order(running, lanes, [job for job in found if job.job_id not in taken])
    return QueueView(queue, settings.queues[queue.name], list(waiting)[:LISTED], more)


def _of_each_lane(ports: Ports, queue: str) -> Iterator[Job]:
    """Of each country and batch those whose turn comes first: which are shown does not depend on its name."""
    lane, read = "", 0
    while read < LISTED * _OF_LANE:
        found = ports.jobs.in_turn(Job, lane, _OF_LANE, state=JobState.QUEUED.value, queue=queue)
        if not found:
            return
        read += len(found)
        lane = found[0].lane
        yield from (job for job in found if job.lane == lane)
