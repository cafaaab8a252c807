"""The adapter families: each implements every port of `functions.ports`."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """The time of the machine."""

    def now(self) -> datetime:
        """Now, UTC."""
        return datetime.now(UTC)
