"""Which settings belong to which data, by their names; upper and lower case do not count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from functions.ports import ObjectInfo, ObjectStore

_SETTINGS = re.compile(r"(^|\.)request\.(ya?ml|json)$", re.IGNORECASE)
_COMPRESSED = re.compile(r"\.(gz|gzip|zip)$", re.IGNORECASE)
_SUFFIXES = ("request.yaml", "request.yml", "request.json")


def is_settings(name: str) -> bool:
    """Whether an object holds settings, and not data."""
    return _SETTINGS.search(name.rsplit("/", 1)[-1]) is not None


def is_of_country(name: str, country: str) -> bool:
    """Whether settings are those of all files of a country."""
    return name.casefold() in {f"drop-zone/{country}/{suffix}".casefold() for suffix in _SUFFIXES}


def belong(settings: str, data: str) -> bool:
    """Whether settings are those of one data file: its name without its ending, or with it."""
    stem = _SETTINGS.sub("", settings).casefold()
    return not is_settings(data) and stem in {each.casefold() for each in _stems(data)}


def own_settings(objects: ObjectStore, data: str) -> ObjectInfo | None:
    """The settings that lie beside a data file."""
    return _first(objects, _stems(data), ".")


def settings_of_folder(objects: ObjectStore, country: str) -> ObjectInfo | None:
    """The settings of all files of a country that have none of their own."""
    return _first(objects, [f"drop-zone/{country}"], "/")


def beginnings(settings: str) -> list[str]:
    """How the names of the data begin to which settings belong, in the cases that people write."""
    return _cases(_SETTINGS.sub("", settings))


def data_for(objects: ObjectStore, settings: str) -> Iterator[ObjectInfo]:
    """The data files to which settings belong, as far as their names begin alike."""
    for prefix in beginnings(settings):
        yield from (data for data in list(objects.list(prefix)) if belong(settings, data.name))


def _stems(data: str) -> list[str]:
    """What settings of a file may begin with: `a` for a.csv; `a.csv` and `a` for a.csv.gz."""
    folder, _, file = data.rpartition("/")
    plain = [file, _COMPRESSED.sub("", file)]
    stems = [*(name.rpartition(".")[0] or name for name in plain), file]
    return [f"{folder}/{stem}" for stem in dict.fromkeys(stems)]


def _first(objects: ObjectStore, stems: Iterable[str], between: str) -> ObjectInfo | None:
    stems = list(stems)
    exact = (objects.stat(f"{stem}{between}{suffix}") for stem in stems for suffix in _SUFFIXES)
    found = next((info for info in exact if info is not None), None)
    if found is not None:
        return found
    names = {f"{stem}{between}{suffix}".casefold() for stem in stems for suffix in _SUFFIXES}
    prefixes = _cases(min(stems, key=len) + between) if between == "." else _cases(f"{stems[0]}/request.")
    listed = (info for prefix in prefixes for info in objects.list(prefix))
    return next((info for info in listed if info.name.casefold() in names), None)


def _cases(prefix: str) -> list[str]:
    """A prefix with its last part in the cases that people write."""
    folder, _, start = prefix.rpartition("/")
    cases = (start, start.lower(), start.upper(), start.capitalize())
    return [f"{folder}/{case}" for case in dict.fromkeys(cases)]
