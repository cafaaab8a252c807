"""A country that is new, but looks like one that is there under another name: `Germany` beside `DE`."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from contracts.job import MAX_COUNTRIES, Finding, KnownCountries
from functions.runtime import Runtime


def new_country(runtime: Runtime, country: str) -> Finding | None:
    """A warning if a country has no data yet and means the same as one that has."""
    known = _known(runtime)
    alike = None if known is None or country in known.countries else resembling(country, known.countries)
    if alike is None:
        return None
    return Finding(
        severity="warning",
        code="new-country",
        message=f"'{country}' is a new country, and '{alike}' exists already; they look like the same one, "
        "but their results are filed apart",
        advice=f"write '{alike}' in the request, or the name of the drop-zone's folder, if that is meant",
    )


def remember_country(runtime: Runtime, country: str) -> None:
    """Add a country that has usable data to those that are known; no more than MAX_COUNTRIES are."""
    known = _known(runtime)
    if known is None:
        runtime.ports.jobs.create(KnownCountries(countries=[country]))
    elif country not in known.countries and len(known.countries) < MAX_COUNTRIES:
        changed = known.model_copy(update={"countries": [*known.countries, country]})
        runtime.ports.jobs.replace(changed, known.version)


def resembling(country: str, known: Iterable[str]) -> str | None:
    """The first of the known countries that means the same: by ISO code, English name or spelling."""
    codes = _codes()
    wanted = codes.get(_plain(country), _plain(country))
    return next((each for each in known if codes.get(_plain(each), _plain(each)) == wanted), None)


def _known(runtime: Runtime) -> KnownCountries | None:
    return runtime.ports.jobs.get(KnownCountries, KnownCountries.KEY)


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if letter.isalnum())


def _codes() -> dict[str, str]:
    """Plain name, two-letter, three-letter and other usual code of each country → its two-letter code."""
    from holidays.registry import COUNTRIES  # here, because hardly any request needs it

    return {
        _plain(word): codes[0].casefold()
        for name, (_, *codes) in COUNTRIES.items()
        for word in (name, *codes)
    }
