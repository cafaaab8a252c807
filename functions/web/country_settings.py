"""The settings of a country: its mapping `default`, which says the rest of its requests and uploads."""

from __future__ import annotations

from typing import Any

from contracts.api import CountrySettings
from contracts.base import is_country
from contracts.mapping import DEFAULT, MappingDocument
from contracts.request import MAPPING_FIELDS
from functions import mappings
from functions.retries import retry_on_conflict
from functions.runtime import Runtime
from functions.web.problems import BadQuery, Changed


def settings_of(runtime: Runtime, country: str) -> CountrySettings:
    """The settings of a country as they are now, empty and of version 0 if there are none.

    Raises:
        BadQuery: that is no name of a country.
    """
    if not is_country(country):
        raise BadQuery(f"'{country[:40]}' is no country, as requests name them")
    return _answer(country, runtime.ports.jobs.get(MappingDocument, f"{country}/{DEFAULT}"))


def _answer(country: str, mapping: MappingDocument | None) -> CountrySettings:
    if mapping is None or mapping.state == "DELETED":
        return CountrySettings(country=country, generation=0, settings={})
    return CountrySettings(country=country, generation=mapping.number, settings=mapping.settings)


def kept(document: dict[str, Any]) -> dict[str, Any]:
    """The part of a request that every request and upload of its country can share."""
    return {name: value for name, value in document.items() if name in MAPPING_FIELDS}


def save(runtime: Runtime, country: str, settings: dict[str, Any], seen: int, person: str) -> CountrySettings:
    """Make settings the next version of the country's mapping `default`; uploads that wait for it start.

    Args:
        runtime: the adapters and settings.
        country: the country.
        settings: what they say.
        seen: version that is replaced; 0: there is none yet.
        person: who saves them.

    Raises:
        BadRequest: no request could use them; with every problem.
        Changed: the mapping is in another version than the one that was seen.
    """

    def check(known: MappingDocument | None) -> None:
        if _answer(country, known).generation != seen:
            raise Changed(
                f"the settings of {country} are not those that you have seen; read them again, "
                "then decide again"
            )

    key = (country, DEFAULT)
    written = retry_on_conflict(lambda: mappings.write(runtime, key, settings, person, check=check))
    mappings.start_waiting(runtime, written)
    return _answer(country, written)
