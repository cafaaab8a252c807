"""Whose turn it is: the order in which waiting attempts are started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from contracts.job import Job, Waiting

W = TypeVar("W", Job, Waiting)


def in_order(running: Mapping[str, int], lanes: Mapping[str, int], waiting: Iterable[W]) -> Iterator[W]:
    """Highest priority, then the country with the fewest running, then the batch, then the oldest; each once.

    `running` and `lanes` are the numbers of slots that each country and each lane (country and batch) holds.
    It is taken that none of them becomes free.
    """
    countries, started, left = Counter(running), Counter(lanes), list(waiting)
    while left:
        turn = min(
            left,
            key=lambda job: (
                -job.priority,
                countries[job.country],
                started[job.lane],
                job.accepted_at,
                job.job_id,
            ),
        )
        left.remove(turn)
        countries[turn.country] += 1
        started[turn.lane] += 1
        yield turn
