"""The adapter families: each implements every port of `functions.ports`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from contracts.cloud import INDEXES, NEWEST, Order
from contracts.job import Document


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Now, UTC."""
        return datetime.now(UTC)


def check_query(kind: type[Document], equals: Iterable[str], order: Order = NEWEST) -> None:
    """Refuse a query that no index answers, so that no store ever reads more than it gives.

    Raises:
        ValueError: there is no such index.
    """
    asked = set(equals)
    known = (index for index in INDEXES if index.collection == kind.kind and index.order == order)
    if not any(asked == set(index.fields) for index in known) and (asked or order != NEWEST):
        fields = ", ".join(sorted(asked)) or "nothing"
        raise ValueError(
            f"{kind.kind} have no index for {fields}; it would be declared in contracts/cloud.py"
        )


def after(now: datetime) -> str:
    """A text greater than every time up to the end of the second of `now`, as documents write them."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ~")


def has_passed(document: Document, now: datetime) -> bool:
    """Whether the deadline of a document has passed."""
    deadline = getattr(document, "deadline", None)
    return deadline is not None and deadline <= now
