"""The adapter families: each implements every port of `functions.ports`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from contracts.job import Document


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Now, UTC."""
        return datetime.now(UTC)


def check_fields(kind: type[Document], asked: Iterable[str]) -> None:
    """Refuse a query by fields that documents of a kind do not have.

    Raises:
        ValueError: with every such field.
    """
    unknown = set(asked) - kind.model_fields.keys()
    if unknown:
        raise ValueError(f"{kind.kind} have no field {', '.join(sorted(unknown))}")
