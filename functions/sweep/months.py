"""Months that are closed: their runs become one object and are counted."""

from __future__ import annotations

from pydantic import ValidationError

from contracts import names
from contracts.job import KnownCountries
from contracts.summary import CountrySummary
from functions.months import close_months, first_open
from functions.ports import NotFound, ObjectInfo
from functions.runtime import Runtime

_MOVED_AT_ONCE = 500
"""Runs of a country in one tick, so that a tick ends in time."""


def sweep_months(runtime: Runtime) -> None:
    """Close the months of every country, a part in each tick; beside that a tick reads one document."""
    known = runtime.ports.jobs.get(KnownCountries, KnownCountries.KEY)
    opened = first_open(runtime.ports.clock.now())
    if known is None or known.counted_before >= opened:
        return
    if all([_close(runtime, country, opened) for country in known.countries]):  # noqa: C419 (each, also after one that goes on)
        runtime.ports.jobs.replace(known.model_copy(update={"counted_before": opened}), known.version)


def _close(runtime: Runtime, country: str, opened: str) -> bool:
    """Whether every closed month of a country is counted now."""
    info = runtime.ports.objects.stat(names.summary(country))
    summary = _summary(runtime, info) if info else None
    if info is None or summary is None:  # no run yet, or a former version's: the next run makes it anew
        return True
    closed = close_months(runtime.ports, summary, _MOVED_AT_ONCE)
    if closed != summary:
        runtime.ports.objects.replace(info.name, closed.model_dump_json(indent=2).encode(), info.generation)
    return not closed.uncounted or closed.uncounted >= opened


def _summary(runtime: Runtime, info: ObjectInfo) -> CountrySummary | None:
    try:
        return CountrySummary.model_validate_json(runtime.ports.objects.read(info.name))
    except (NotFound, ValidationError):
        return None
