"""The mapping that says the rest of a request, and what both say together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from contracts.base import continued, filled, is_country
from contracts.job import UsedMapping
from contracts.mapping import (
    DEFAULT,
    MappingDocument,
    MappingVersion,
    said_by_mapping,
    used,
    version_key,
)
from contracts.request import SettingsReference
from functions.acceptance.former import latest_of_series
from functions.ports import JobStore
from functions.runtime import Runtime

_NAMES = 100
"""Mappings of a country among which one that is spelt alike is looked for."""
_SHOWN = 10


@dataclass(frozen=True)
class Asked:
    """A request, and the version of the mapping that says the rest, as it is now."""

    request: dict[str, Any]
    """As it was sent."""
    mapping: UsedMapping | None = None
    problems: list[str] = field(default_factory=list)
    """Why the mapping is not to be had."""
    refreshes: str | None = None
    """The former job that `refresh` means now."""

    @property
    def whole(self) -> dict[str, Any]:
        """What request and mapping say together; what the request says wins, field by field."""
        said = filled(self.request, self.mapping.settings) if self.mapping else self.request
        return continued(said, self.refreshes)

    def told(self, problem: str) -> str:
        """A problem, `path: what is wrong`, with the mapping where that is to blame."""
        path = problem.partition(": ")[0]
        if self.mapping is None or not said_by_mapping(path, self.request, self.mapping.settings):
            return problem
        blamed = f"mapping {self.mapping.key}, version {self.mapping.version}, says so"
        way_out = "" if "settings" in self.request else "; with `settings: null` the request does without it"
        return f"{problem} ({blamed}{way_out})"


def reference_of(request: Mapping[str, Any]) -> tuple[str, SettingsReference] | None:
    """Country and reference of the mapping that a request refers to; None if it says none that is valid."""
    said = request.get("settings")
    try:
        reference = SettingsReference.model_validate({"name": said} if isinstance(said, str) else said)
    except ValidationError:
        return None
    country = reference.country or request.get("country")
    return (country if isinstance(country, str) else ""), reference


def referred(request: Mapping[str, Any]) -> str | None:
    """Country and name of the mapping that says the rest of a request, as `DE/weekly`; None: none does."""
    found = reference_of(request)
    if found is None and _takes_default(request):
        return f"{request['country']}/{DEFAULT}"
    return f"{found[0]}/{found[1].name}" if found else None


def _takes_default(request: Mapping[str, Any]) -> bool:
    """Whether a request leaves it to its country which mapping says the rest; with null it wants none."""
    return "settings" not in request and is_country(request.get("country"))


def asked_for(runtime: Runtime, request: dict[str, Any]) -> Asked:
    """What a request asks for; its mapping and its former job are read here, once for each job."""
    asked = _with_mapping(runtime, request)
    return replace(asked, refreshes=latest_of_series(runtime.ports.jobs, asked.whole))


def _with_mapping(runtime: Runtime, request: dict[str, Any]) -> Asked:
    said = reference_of(request)
    if said is None:  # if it is not valid, its contract tells what is wrong with it
        return Asked(request, _default(runtime.ports.jobs, request))
    country, reference = said
    if not country:
        return Asked(request, problems=["settings: say `country`, to which the mapping belongs"])
    found, problem = _found(runtime.ports.jobs, f"{country}/{reference.name}", reference.version)
    return Asked(request, found, [problem] if problem else [])


def _default(jobs: JobStore, request: Mapping[str, Any]) -> UsedMapping | None:
    """The mapping of a country for requests that say nothing of mappings; None if it has none."""
    if not _takes_default(request):
        return None
    newest = jobs.get(MappingDocument, f"{request['country']}/{DEFAULT}")
    return used(newest) if newest is not None and newest.state == "ACTIVE" else None


def _found(jobs: JobStore, key: str, version: int | None) -> tuple[UsedMapping | None, str]:
    newest = jobs.get(MappingDocument, key)
    if newest is None:
        return None, _unknown(jobs, key)
    if version in (None, newest.number) and newest.state == "DELETED":
        return None, (
            f"settings: mapping {key} was deleted by {newest.by} on {newest.at:%Y-%m-%d}; name another one, "
            f"or say with `version` which of its versions 1 to {newest.number - 1} is meant"
        )
    if version in (None, newest.number):
        return used(newest), ""
    former = jobs.get(MappingVersion, version_key(key, version)) if version else None
    if former is None or former.state == "DELETED":
        return None, (
            f"settings.version: mapping {key} has no version {version}; its newest is {newest.number}"
        )
    return used(former), ""


def _unknown(jobs: JobStore, key: str) -> str:
    country, _, name = key.partition("/")
    known = jobs.find(MappingDocument, limit=_NAMES, country=country, state="ACTIVE")
    names = sorted(one.name for one in known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    shown = [*names[:_SHOWN], *(["…"] if len(names) > _SHOWN else [])]
    there = f"there are: {', '.join(shown)}" if names else "it has none"
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"settings: {country} has no mapping '{name}'; {hint}{there}"
