"""Where in a table the line is that names the columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from contracts.base import plain_name

_LINES_SEARCHED = 100
"""Lines in which the header is looked for."""
_LEAST_NAMED = 2
"""Wanted names that a line must hold to count as the header, or all if fewer are wanted."""


def header_line(rows: Sequence[Sequence[str]], wanted: Collection[str]) -> int:
    """The index of the row that names the columns; titles, comments and empty rows may stand above it.

    It is the first of the rows that hold most of the `wanted` names. If none holds two of them, it is the
    first that is filled as most rows are.
    """
    found = named(rows, wanted)
    if found and max(found) >= min(_LEAST_NAMED, len(wanted)):
        return found.index(max(found))
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    usual = Counter(count for count in filled if count > 1).most_common(1)
    least = usual[0][0] / 2 if usual else 0
    return next((i for i, count in enumerate(filled[:_LINES_SEARCHED]) if count > max(1, least)), 0)


def named(rows: Sequence[Sequence[str]], wanted: Collection[str]) -> list[int]:
    """How many of the wanted names each of the first rows holds."""
    names = set(wanted)
    return (
        [len(names & {plain_name(cell) for cell in row}) for row in rows[:_LINES_SEARCHED]] if names else []
    )


def skipped(rows: Sequence[Sequence[str]]) -> str:
    """What is said of the rows above the header; empty if they hold nothing."""
    told = [" ".join(cell.strip() for cell in row if cell.strip())[:60] for row in rows]
    told = [text for text in told if text]
    shown = "', '".join(told[:3])
    more = f" and {len(told) - 3} more" if len(told) > 3 else ""
    return (
        f"{len(told)} line(s) above the names of the columns were left out: '{shown}'{more}" if told else ""
    )
