"""The settings of all uploads of a country, which lie in its folder of the drop-zone."""

from __future__ import annotations

import re
from typing import Any

from contracts.api import CountrySettings
from contracts.request import SETTINGS_FIELDS, SettingsError, parse_settings
from functions.acceptance.request import request_errors
from functions.errors import BadRequest
from functions.ports import Conflict, NotFound
from functions.runtime import Runtime
from functions.web.formats import as_yaml
from functions.web.problems import BadQuery, Changed


def settings_name(country: str) -> str:
    """The object that holds the settings of all uploads of a country."""
    return f"drop-zone/{country}/request.yaml"


def is_country(text: str) -> bool:
    """Whether a text can be the name of a country, and so of its folder."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,15}", text, re.ASCII) is not None


def settings_of(runtime: Runtime, country: str) -> CountrySettings:
    """The settings of a country as they are now, empty and of generation 0 if there are none.

    Raises:
        BadQuery: they cannot be read, or that is no name of a country.
    """
    if not is_country(country):
        raise BadQuery(f"'{country[:40]}' is no country, as requests name them")
    name = settings_name(country)
    info = runtime.ports.objects.stat(name)
    none = CountrySettings(country=country, generation=0, settings={})
    try:
        if info is None:
            return none
        settings = parse_settings(runtime.ports.objects.read(name, info.generation))
    except NotFound:
        return none
    except SettingsError as error:
        raise BadQuery(f"{name} {error}") from error
    return CountrySettings(country=country, generation=info.generation, settings=settings)


def kept(document: dict[str, Any]) -> dict[str, Any]:
    """The part of a request that every upload of its country can share."""
    return {name: value for name, value in document.items() if name in SETTINGS_FIELDS - {"requested_by"}}


def save(runtime: Runtime, country: str, settings: dict[str, Any], seen: int) -> CountrySettings:
    """Write the settings of a country over those that somebody has seen; uploads that wait for them start.

    Args:
        runtime: the adapters and settings.
        country: the country.
        settings: what they say.
        seen: generation of the settings that are replaced; 0: there are none yet.

    Raises:
        BadRequest: an upload could not be trained with them; with every problem.
        Changed: others are there than those that were seen.
    """
    now = settings_of(runtime, country)
    upload = {"request_id": "upload", "source": {"kind": "object", "name": f"drop-zone/{country}/data.csv"}}
    problems = request_errors(runtime, {**settings, "country": country, **upload})
    unknown = sorted(settings.keys() - SETTINGS_FIELDS)
    problems += [f"{name}: the uploaded file gives it; remove it from the settings" for name in unknown]
    if settings.get("country", country) != country:
        problems.append(f"country: '{settings['country']}' is not the folder's, '{country}'")
    if problems:
        raise BadRequest(f"{len(problems)} problem(s) in the settings", problems)
    try:
        if now.generation != seen:
            raise Conflict
        text = as_yaml(settings).encode()
        info = runtime.ports.objects.replace(settings_name(country), text, seen)
    except Conflict as error:
        raise Changed(
            f"the settings of {country} are not those that you have seen; read them again, then decide again"
        ) from error
    return CountrySettings(country=country, generation=info.generation, settings=settings)
