"""Whether a source has the columns that a mapping names, before a request finds out."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from difflib import SequenceMatcher
from itertools import product
from typing import Any

from contracts.mapping import (
    MappingCheck,
    MappingDocument,
    MappingVersion,
    NamedColumn,
    named_columns,
    version_key,
    wanted_type,
)
from contracts.preview import Preview
from contracts.problem import Problem
from contracts.validation import ColumnProfile
from functions.ports import JobStore
from functions.runtime import Runtime
from functions.web import looking
from functions.web.problems import Unknown

_ALIKE = 0.7
"""From which likeness on, 0 to 1, a column counts as renamed."""
_NAMED = {"date": "dates", "number": "numbers", "text": "text"}
_COMPACT_DATES = range(19000101, 22000101)
"""Dates that are written as numbers, such as 20260131."""
_COMPARED = 100
"""Names of either side that are compared: all pairs of thousands would take minutes."""


def version_of(jobs: JobStore, country: str, name: str, version: int | None) -> MappingDocument:
    """A mapping as it was in a version; None: in its newest.

    Raises:
        Unknown: there is none, or it has no such version.
    """
    newest = jobs.get(MappingDocument, f"{country}/{name}")
    if newest is None:
        raise Unknown(f"{country} has no mapping '{name}'")
    if version in (None, newest.number):
        return newest
    former = jobs.get(MappingVersion, version_key(newest.key, version)) if version else None
    if former is None:
        raise Unknown(f"mapping {newest.key} has no version {version}; its newest is {newest.number}")
    return MappingDocument.model_validate({**dict(former), "version": former.number})


def check(
    runtime: Runtime, person: str, mapping: MappingDocument, source: dict[str, Any], sheet: str | None
) -> MappingCheck | Problem:
    """What a source has of the columns of a mapping; or why it cannot be read.

    Raises:
        TooMany: this person waits for another answer.
        Unavailable: there is no answer in time.
    """
    named, aliases = named_columns(mapping.settings), _aliases(mapping.settings)
    wanted = [*named, *(other for name in named for other in aliases.get(name, []))]
    sheet = sheet or mapping.settings.get("sheet")
    seen = looking.look(runtime, person, source, sheet, wanted)
    return seen.problem or _compared(mapping, named, aliases, seen)


def _compared(
    mapping: MappingDocument, named: Mapping[str, list[str]], aliases: Mapping[str, list[str]], seen: Preview
) -> MappingCheck:
    there = [column.name for column in seen.columns]
    found = {name: _found(name, aliases, there) for name in named}
    other = [name for name in there if name not in set(found.values())]
    meant = renamed([name for name, its in found.items() if its is None], other)
    profiles = {column.name: column for column in seen.columns}
    columns = []
    for name, roles in named.items():
        profile = profiles.get(found[name] or meant.get(name) or "")
        known = profile if profile is not None and profile.distinct else None
        columns.append(
            NamedColumn(
                name=name,
                roles=roles,
                state=_state(name, found[name], meant),
                found=found[name],
                meant=meant.get(name),
                type=known.type if known else None,
                problem=_unfit(roles, known) if known else None,
            )
        )
    return MappingCheck(
        country=mapping.country,
        name=mapping.name,
        version=mapping.version,
        complete=all(one.found is not None and one.problem is None for one in columns),
        columns=columns,
        new=[name for name in other if name not in set(meant.values())],
        rows=seen.rows,
        notes=seen.notes,
        aliases={**aliases, **{name: [*aliases.get(name, []), its] for name, its in meant.items()}},
    )


def _unfit(roles: list[str], values: ColumnProfile) -> str | None:
    """Why values cannot be what a mapping takes them for; None: they can."""
    wanted = {wanted_type(role): role for role in roles}
    if "number" in wanted and values.type != "number":
        return f"{wanted['number']} must be numbers, but its values are {_NAMED[values.type]}"
    if "date" in wanted and not _are_dates(values):
        return f"{wanted['date']} must be dates, but its values are {_NAMED[values.type]}"
    return None


def _are_dates(values: ColumnProfile) -> bool:
    if values.type == "number":
        return values.min in _COMPACT_DATES and values.max in _COMPACT_DATES
    return values.type == "date"


def _state(name: str, found: str | None, meant: Mapping[str, str]) -> Any:
    if found is not None:
        return "found" if found == name else "alias"
    return "renamed" if name in meant else "missing"


def _found(name: str, aliases: Mapping[str, list[str]], there: Collection[str]) -> str | None:
    return next((one for one in (name, *aliases.get(name, [])) if one in there), None)


def renamed(missing: list[str], others: list[str]) -> dict[str, str]:
    """For missing columns the one of others that each was probably renamed to, the most alike first."""
    pairs = [(likeness(a, b), a, b) for a, b in product(missing[:_COMPARED], others[:_COMPARED])]
    meant: dict[str, str] = {}
    for alike, name, other in sorted(pairs, key=lambda pair: -pair[0]):
        if alike >= _ALIKE and name not in meant and other not in meant.values():
            meant[name] = other
    return meant


def likeness(a: str, b: str) -> float:
    """How alike two names are, from 0 to 1; case, signs and the order of words do not count."""
    words, others = (re.findall(r"[^\W_]+", name.casefold()[:128]) for name in (a, b))
    pairs = ((words, others), (sorted(words), sorted(others)))
    return max(SequenceMatcher(None, "".join(x), "".join(y), autojunk=False).ratio() for x, y in pairs)


def _aliases(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    return dict(settings.get("aliases") or {})
