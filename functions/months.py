"""The runs of a country by month: an object each, and one for all of them when the month is closed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice

from contracts import names
from contracts.job import Job
from contracts.summary import CountryMonth, CountryRun, CountrySummary
from functions.ports import AlreadyExists, Conflict, NotFound, ObjectInfo, Ports

MONTH_CLOSES = timedelta(days=7)
"""After the end of a month: no message lives longer, so that only what a person replays adds a run later."""


def first_open(now: datetime) -> str:
    """The first month, YYYY-MM, that is not closed."""
    return f"{now - MONTH_CLOSES:%Y-%m}"


def month_of(job: Job) -> str:
    """The month, YYYY-MM, in which a job succeeded."""
    return f"{job.updated_at:%Y-%m}"


def runs_of_month(ports: Ports, country: str, month: str) -> list[CountryRun]:
    """All runs of a country that succeeded in a month, the latest first."""
    singles = _singles(ports, ports.objects.list(names.country_runs(country, month)))
    _, held = _held(ports, country, month)
    return _joined(held, singles).runs


def is_recorded(ports: Ports, job: Job) -> bool:
    """Whether a succeeded job is among the runs of its country."""
    if ports.objects.stat(names.country_run(job)) is not None:
        return True
    if not _closed(ports, month_of(job)):
        return False
    _, held = _held(ports, job.country, month_of(job))
    return any(run.job_id == job.job_id for run in held.runs)


def record(ports: Ports, job: Job, run: CountryRun) -> None:
    """Put a run among those of its country, once.

    Raises:
        functions.ports.Conflict: somebody else wrote the month at the same time.
    """
    if _closed(ports, month_of(job)):
        _join(ports, job.country, month_of(job), [run])
        return
    with suppress(AlreadyExists):
        ports.objects.create(names.country_run(job), run.model_dump_json(indent=2).encode())


def close_months(ports: Ports, summary: CountrySummary, most: int | None = None) -> CountrySummary:
    """Make the runs of every closed month one object and count them; the summary with these counts.

    No more than `most` runs of a month are moved, if it is given; then the summary stays at that month.

    Raises:
        functions.ports.Conflict: somebody else wrote the month at the same time.
    """
    counts, month = dict(summary.counts), summary.uncounted
    while month and _closed(ports, month):
        infos = list(islice(ports.objects.list(names.country_runs(summary.country, month)), most))
        joined = _join(ports, summary.country, month, _singles(ports, infos))
        for info in infos:
            ports.objects.delete(info.name, info.generation)
        if len(infos) == most:
            break
        counts[month] = len(joined.runs)
        month = _next(month)
    return summary.model_copy(update={"counts": counts, "uncounted": month})


def _closed(ports: Ports, month: str) -> bool:
    return month < first_open(ports.clock.now())


def _next(month: str) -> str:
    year, number = map(int, month.split("-"))
    return f"{year + number // 12}-{number % 12 + 1:02}"


def _singles(ports: Ports, infos: Iterable[ObjectInfo]) -> list[CountryRun]:
    try:
        return [CountryRun.model_validate_json(ports.objects.read(info.name)) for info in infos]
    except NotFound as error:
        raise Conflict("somebody else makes the runs of the month one object") from error


def _held(ports: Ports, country: str, month: str) -> tuple[int, CountryMonth]:
    """The object of a month, and its generation; 0 if there is none yet."""
    name = names.country_month(country, month)
    info = ports.objects.stat(name)
    if info is None:
        return 0, CountryMonth(country=country, month=month, runs=[])
    try:
        return info.generation, CountryMonth.model_validate_json(ports.objects.read(name, info.generation))
    except NotFound as error:
        raise Conflict(f"'{name}' was replaced a moment ago") from error


def _joined(held: CountryMonth, runs: Iterable[CountryRun]) -> CountryMonth:
    every = {run.job_id: run for run in (*held.runs, *runs)}.values()
    latest = sorted(every, key=lambda run: (run.succeeded_at, run.job_id), reverse=True)
    return held.model_copy(update={"runs": latest})


def _join(ports: Ports, country: str, month: str, runs: Iterable[CountryRun]) -> CountryMonth:
    generation, held = _held(ports, country, month)
    joined = _joined(held, runs)
    if joined != held:
        text = joined.model_dump_json(indent=2).encode()
        ports.objects.replace(names.country_month(country, month), text, generation)
    return joined
