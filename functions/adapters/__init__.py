"""The adapter families: each implements every port of `functions.ports`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache

from contracts.cloud import INDEXES, NEWEST, Index, Order
from contracts.job import Document

SLACK = timedelta(minutes=1)
"""By how much the creation of a document may differ from the time that stands in it."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Now, UTC."""
        return datetime.now(UTC)


def indexes_for(kind: type[Document], equals: Iterable[str], order: Order = NEWEST) -> list[Index]:
    """The index that answers a query, or those that do it together; none for a query without conditions.

    Raises:
        ValueError: there are no such indexes; no store ever reads more than it gives.
    """
    return list(_indexes_for(kind.kind, frozenset(equals), order))


@cache  # the same few hundred questions are asked again and again
def _indexes_for(kind: str, asked: frozenset[str], order: Order) -> tuple[Index, ...]:
    if not asked and order == NEWEST:
        return ()
    usable = tuple(
        index
        for index in INDEXES
        if index.collection == kind and index.order == order and asked.issuperset(index.fields)
    )
    if exact := tuple(index for index in usable if asked == set(index.fields)):
        return exact
    if asked != {name for index in usable for name in index.fields}:
        fields = ", ".join(sorted(asked)) or "nothing"
        raise ValueError(f"{kind} have no index for {fields}; it would be declared in contracts/cloud.py")
    return usable


def beginning(text: str) -> tuple[str, str]:
    """From where to where texts that start so are sorted."""
    return text, text + "\U0010ffff"


def after(now: datetime) -> str:
    """A text greater than every time up to the end of the second of `now`, as documents write them."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ~")


def not_before(since: datetime) -> str:
    """A text that is no greater than any time from the second of `since` on, as documents write them."""
    return since.strftime("%Y-%m-%dT%H:%M:%S")


def has_come(document: Document, by: str, now: datetime) -> bool:
    """Whether a time that a document says has come."""
    time = getattr(document, by)
    return time is not None and time <= now
