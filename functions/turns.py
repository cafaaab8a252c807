"""Whose turn it is: the order in which waiting attempts are started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from contracts.job import Job, Waiting

W = TypeVar("W", Job, Waiting)


def in_order(running: Mapping[str, int], waiting: Iterable[W]) -> Iterator[W]:
    """Highest priority, then the country with the fewest running, then the oldest; each once.

    `running` is the number of slots that each country holds. It is taken that none of them becomes free.
    """
    started, left = Counter(running), list(waiting)
    while left:
        turn = min(left, key=lambda job: (-job.priority, started[job.country], job.accepted_at, job.job_id))
        left.remove(turn)
        started[turn.country] += 1
        yield turn
