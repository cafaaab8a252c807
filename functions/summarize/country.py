"""The aggregate of a country: each run is an object, and one more of bounded size is for all of them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from datetime import timedelta

from pydantic import ValidationError

from contracts import names
from contracts.job import Job, JobState
from contracts.summary import CountryRun, CountrySummary, JudgedChannel, ModelSummary, RunChannel
from contracts.trust import worst
from functions.errors import NotYet
from functions.months import close_months, is_recorded, month_of, record, runs_of_month
from functions.paging import every
from functions.ports import NotFound, ObjectInfo, Ports

BEST, LATEST = 20, 50
_AT_ONCE = 5
"""How many runs the aggregate lists."""
REWRITTEN_AFTER = timedelta(seconds=5)
"""The aggregate is written at most once in this time; a store refuses more than one write in a second."""


def run_of(ports: Ports, job: Job) -> CountryRun:
    """The line of a succeeded job among the runs of its country, from the job's summary."""
    summary = ModelSummary.model_validate_json(ports.objects.read(names.model_summary(job)))
    return CountryRun(
        job_id=job.job_id,
        attempt=job.attempt,
        revision=job.revision,
        accepted_at=job.accepted_at,
        succeeded_at=job.updated_at,
        engine=summary.provenance["engine"],
        nrmse=summary.best_model.nrmse,
        rssd=summary.best_model.rssd,
        r2=summary.best_model.train.r2,
        model_summary=names.model_summary(job),
        sol_id=summary.best_model.sol_id,
        metric="roas" if summary.dependent_type == "revenue" else "cpa",
        worst=worst(summary.trust),
        channels=[_channel(one, summary) for one in summary.best_model.channels if one.spend is not None],
    )


def _channel(channel: JudgedChannel, summary: ModelSummary) -> RunChannel:
    told = summary.best_model.posterior
    known = told.channels if told and told.converged else []
    found = next((one for one in known if one.name == channel.name), None)
    return RunChannel(
        name=channel.name,
        share=channel.response_share,
        efficiency=channel.roas if summary.dependent_type == "revenue" else channel.cpa,
        low=found and found.q05,
        middle=found and found.q50,
        high=found and found.q95,
    )


def bring_up_to_date(ports: Ports, job: Job) -> None:
    """Put the run of a succeeded job into the aggregate of its country, if it belongs there and is missing.

    The latest other runs are put there with it, so that a burst of runs is few writes.

    Raises:
        NotYet: it was written a moment ago.
        functions.ports.Conflict: somebody else wrote it at the same time.
    """
    info = ports.objects.stat(names.summary(job.country))
    known = _known(ports, job.country) if info is not None else None
    if info is None or known is None:
        rebuild(ports, job.country)
        return
    young = ports.clock.now() - info.updated < REWRITTEN_AFTER
    if young and _lacks(known, job):
        raise _written_a_moment_ago(job)
    summary = _counted(ports, with_runs(known, [run_of(ports, job)]), month_of(job))
    if summary == known:
        return
    if young:
        raise _written_a_moment_ago(job)
    listed = {run.job_id for run in (*summary.best, *summary.latest)}
    others = [run_of(ports, other) for other in _missing(ports, job.country, listed)]
    _write(ports, with_runs(summary, others), info)


def _missing(ports: Ports, country: str, listed: Container[str]) -> list[Job]:
    """The latest jobs of a country that are not listed; read a few at a time, until none of those is new."""
    missing: list[Job] = []
    before: str | None = None
    for _ in range(LATEST // _AT_ONCE):
        few = ports.jobs.find(
            Job, limit=_AT_ONCE, before=before, country=country, state=JobState.SUCCEEDED.value
        )
        new = [job for job in few if trained(job) and job.job_id not in listed]
        if not new:
            break
        missing += new
        before = few[-1].key
    return missing


def _lacks(known: CountrySummary, job: Job) -> bool:
    """Whether a job belongs to the latest runs and is not among them, told without reading its result."""
    if any(run.job_id == job.job_id for run in known.latest):
        return False
    return len(known.latest) < LATEST or job.updated_at > known.latest[-1].succeeded_at


def _written_a_moment_ago(job: Job) -> NotYet:
    return NotYet(f"the summary of {job.country} was written less than {REWRITTEN_AFTER.seconds} s ago")


def with_runs(summary: CountrySummary, runs: Iterable[CountryRun]) -> CountrySummary:
    """The aggregate with more runs; one that is in it already changes nothing."""
    every = {run.job_id: run for run in (*summary.best, *summary.latest, *runs)}.values()
    best = sorted(every, key=lambda run: (run.nrmse, run.job_id))[:BEST]
    latest = sorted(every, key=lambda run: (run.succeeded_at, run.job_id), reverse=True)[:LATEST]
    return summary.model_copy(update={"best": best, "latest": latest})


def rebuild(ports: Ports, country: str, without: Container[str] = ()) -> None:
    """Write the aggregate of a country anew, from all its jobs but those whose ids are in `without`.

    Raises:
        functions.ports.NotFound: a job has no summary.
        functions.ports.Conflict: somebody else wrote it at the same time.
    """
    info = ports.objects.stat(names.summary(country))
    _write(ports, _rebuilt(ports, country, without), info)


def _write(ports: Ports, summary: CountrySummary, over: ObjectInfo | None) -> None:
    """Write an aggregate over the generation that was read.

    Raises:
        functions.ports.Conflict: another one is there.
    """
    text = summary.model_dump_json(indent=2).encode()
    ports.objects.replace(names.summary(summary.country), text, over.generation if over is not None else 0)


def _rebuilt(ports: Ports, country: str, without: Container[str]) -> CountrySummary:
    """The aggregate of a country from all its jobs; runs whose own object is missing get it."""
    summary = CountrySummary(country=country, counts={}, uncounted="", best=[], latest=[])
    for job in _succeeded(ports, country):
        if job.job_id in without:
            continue
        run = run_of(ports, job)
        if not is_recorded(ports, job):
            record(ports, job, run)
        first = min(summary.uncounted or "9999-99", month_of(job))
        summary = with_runs(summary, [run]).model_copy(update={"uncounted": first})
    return close_months(ports, summary)


def _succeeded(ports: Ports, country: str) -> Iterator[Job]:
    state = JobState.SUCCEEDED.value
    return (job for job in every(ports.jobs, Job, country=country, state=state) if trained(job))


def trained(job: Job) -> bool:
    """Whether a succeeded job has a result."""
    return job.timeline[-2].state is JobState.TRAINED  # others only validated


def _known(ports: Ports, country: str) -> CountrySummary | None:
    """The aggregate as it is; None if a former version wrote it, or it has just been deleted."""
    try:
        return CountrySummary.model_validate_json(ports.objects.read(names.summary(country)))
    except (NotFound, ValidationError):
        return None


def _counted(ports: Ports, summary: CountrySummary, month: str) -> CountrySummary:
    """The aggregate after a run of a month; one that is counted already is counted anew."""
    if month not in summary.counts:
        return summary
    counts = {**summary.counts, month: len(runs_of_month(ports, summary.country, month))}
    return summary.model_copy(update={"counts": counts})
