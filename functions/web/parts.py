"""Which part each column of a source plays in a request, chosen from a list instead of typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from contracts.base import plain_name

NONE = ""
"""The part of a column that is not used."""
SINGLE = {"date": "date", "dependent": "dependent"}
LISTED = {"paid media": "paid_media", "organic": "organic", "context": "context", "factor": "factors"}
EXPOSURE = "exposure of "
_KEYS = {"paid_media": "spend"}


def parts(columns: Any) -> dict[str, str]:
    """The part of every column that the `columns` of a request name."""
    said = columns if isinstance(columns, dict) else {}
    found = {name: part for part, field in SINGLE.items() if isinstance(name := said.get(field), str)}
    for part, field in LISTED.items():
        for entry in _entries(said, field):
            found[entry[_key(field)]] = part
            if isinstance(entry.get("exposure"), str):
                found[entry["exposure"]] = EXPOSURE + entry[_key(field)]
    return {plain_name(name): part for name, part in found.items()}


def choices(columns: Any) -> list[str]:
    """Every part that a column can be given now."""
    spends = [
        entry["spend"] for entry in _entries(columns if isinstance(columns, dict) else {}, "paid_media")
    ]
    return [*SINGLE, *LISTED, *(EXPOSURE + spend for spend in spends)]


def given(columns: Any, chosen: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The `columns` of a request after columns were given other parts, and what is wrong with that.

    What was said of a column beside its part stays while it plays that part.
    """
    said: dict[str, Any] = dict(columns) if isinstance(columns, dict) else {}
    problems: list[str] = []
    for name in chosen:
        _take_out(said, name)
    for name, part in chosen.items():
        if part in SINGLE:
            field = SINGLE[part]
            if said.get(field) not in (None, name):
                problems.append(f"columns.{field}: both '{said[field]}' and '{name}' are chosen; choose one")
            said[field] = name
        elif part in LISTED:
            said[LISTED[part]] = [*_list(said, LISTED[part]), name]
    for name, part in chosen.items():
        if part.startswith(EXPOSURE):
            problems += _expose(said, name, part.removeprefix(EXPOSURE))
    return said, problems


def _expose(said: dict[str, Any], name: str, spend: str) -> Iterator[str]:
    entries = _list(said, "paid_media")
    for i, entry in enumerate(entries):
        whole = {"spend": entry} if isinstance(entry, str) else entry
        if isinstance(whole, dict) and whole.get("spend") == spend:
            entries[i] = {"spend": spend, "exposure": name, **{k: v for k, v in whole.items() if k == "sign"}}
            said["paid_media"] = entries
            return
    yield f"columns.paid_media: '{name}' is to be the exposure of '{spend}', which is not a paid channel"


def _take_out(said: dict[str, Any], name: str) -> None:
    """Let a column play no part."""
    for field in SINGLE.values():
        if plain_name(said.get(field)) == name:
            del said[field]
    for field in LISTED.values():
        kept = [entry for entry in _list(said, field) if _named(entry, _key(field)) != name]
        for i, entry in enumerate(kept):
            if _named(entry, "exposure") == name and isinstance(entry, dict):
                rest = {key: value for key, value in entry.items() if key != "exposure"}
                kept[i] = rest["spend"] if list(rest) == ["spend"] else rest
        if kept:
            said[field] = kept
        else:
            said.pop(field, None)


def _named(entry: Any, key: str) -> Any:
    if isinstance(entry, str):
        return plain_name(entry) if key != "exposure" else None
    return plain_name(entry.get(key)) if isinstance(entry, dict) else None


def _entries(said: Mapping[str, Any], field: str) -> Iterator[dict[str, Any]]:
    key = _key(field)
    for entry in _list(said, field):
        whole = {key: entry} if isinstance(entry, str) else entry
        if isinstance(whole, dict) and isinstance(whole.get(key), str):
            yield whole


def _list(said: Mapping[str, Any], field: str) -> list[Any]:
    value = said.get(field)
    return list(value) if isinstance(value, list) else []


def _key(field: str) -> str:
    return _KEYS.get(field, "name")
