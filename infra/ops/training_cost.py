"""What jobs cost: the time of their attempts, times list prices."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise

from contracts.attempt import TrainingConfig
from contracts.job import Job, JobState
from contracts.names import Attempt
from functions.launch.sizes import placement
from functions.ports import NotFound
from functions.steps import request_of
from functions.web.actions import job_of
from infra.ops.jobs import recent
from infra.ops.place import Place
from infra.ops.prices import origin, training_usd
from infra.ops.report import Report, Row


def cost_of_jobs(place: Place, job_id: str | None, days: int) -> Report:
    """A row per attempt that has run, of one job or of the last days, and their sum.

    Trainings only: functions and storage are well under a thousandth of a dollar a job.
    """
    jobs: Iterable[Job] = [job_of(place.ports, job_id)] if job_id else recent(place, days)
    rows = [row for job in jobs for row in _attempts(place, job)]
    total = round(sum(row["usd"] for row in rows), 4)
    sum_: Row = {"job": "sum", "usd": total}
    return Report([*rows, sum_], f"{origin()}, without free units")


def _attempts(place: Place, job: Job) -> list[Row]:
    spans = [
        (begin.attempt, begin.at, end.at)
        for begin, end in pairwise(job.timeline)
        if begin.state is JobState.RUNNING
    ]
    if job.state is JobState.RUNNING:
        spans.append((job.attempt, job.timeline[-1].at, place.ports.clock.now()))
    return [row for span in spans if (row := _row(place, job, *span))]


def _row(place: Place, job: Job, attempt: int, begin: datetime, end: datetime) -> Row | None:
    try:
        text = place.ports.objects.read(Attempt(job.job_id, attempt).config)
    except NotFound:  # it was never launched
        return None
    config = TrainingConfig.model_validate_json(text)
    size = request_of(job).size
    name, tasks = placement(config.engine, size, config.model.search)
    seconds = (end - begin).total_seconds()
    return {
        "job": job.job_id,
        "attempt": attempt,
        "engine": config.engine,
        "size": name,
        "tasks": tasks,
        "seconds": round(seconds, 1),
        "usd": round(training_usd(name, tasks, seconds), 4),
    }
