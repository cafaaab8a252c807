"""The history of jobs: a table with one row for each, whose columns stay."""

from __future__ import annotations

import json
from datetime import datetime

from pydantic import Field

from contracts.base import Exchanged, Timestamp, filled
from contracts.job import Job, JobState
from contracts.names import results

S = JobState


class HistoryRow(Exchanged):
    """What the history tells of a job.

    The fields are the columns of the table, in their order. A new one comes last; none changes its meaning.
    """

    job_id: str = Field(description="id of the job")
    request_id: str = Field(description="id of the request, as it was sent")
    country: str = Field(description="country of the data")
    revision: str = Field(description="series of models")
    queue: str = Field(description="queue in which the job waited for its turn")
    priority: int = Field(description="higher is started first")
    requested_by: str | None = Field(description="who asked for the job, as the request says")
    labels: str = Field(description="labels of the request, as JSON")
    batch_id: str | None = Field(description="batch of which the job is a row; empty: of none")
    schedule: str | None = Field(description="schedule whose run the job is; empty: of none")
    mapping: str | None = Field(description="mapping that the request refers to, as DE/weekly; empty: none")
    state: JobState = Field(description="where the job is on its way")
    attempt: int = Field(description="the last attempt, counted from 1")
    accepted_at: Timestamp = Field(description="when the request was accepted, UTC")
    started_at: Timestamp | None = Field(description="when the training of the last attempt began, UTC")
    trained_at: Timestamp | None = Field(description="when the training of the last attempt ended well, UTC")
    ended_at: Timestamp | None = Field(description="when the job ended, UTC")
    updated_at: Timestamp = Field(description="when the state was last changed, UTC")
    engine: str | None = Field(
        description="engine that the request names, or that was the default then; empty: unknown"
    )
    size: str | None = Field(
        description="size of the machines that the request names; empty: chosen automatically"
    )
    rows: int | None = Field(description="rows of the extracted data")
    wait_s: float | None = Field(description="seconds from acceptance to the start of the last attempt")
    training_s: float | None = Field(description="seconds from that start to the end of the training")
    cpu_s: float | None = Field(
        description="CPU seconds of the training of the last attempt, all tasks together; of one that did "
        "not end by itself, when it was last looked at; empty: unknown"
    )
    memory_mb: float | None = Field(description="largest memory use of one of its tasks, in MB")
    reason: str | None = Field(description="why the job ended without success")
    findings: int = Field(description="how many things were noticed in the data and in the model")
    sol_id: str | None = Field(description="name of the best model")
    r2: float | None = Field(description="adjusted R² of the best model")
    nrmse: float | None = Field(description="NRMSE of the best model")
    rssd: float | None = Field(description="DECOMP.RSSD of the best model")
    worst: str | None = Field(description="worst verdict of the trust checks")
    results: str | None = Field(description="prefix of the files of the result; empty: none, or deleted")
    results_deleted_at: Timestamp | None = Field(description="when their deletion was asked for, UTC")

    @classmethod
    def of(cls, job: Job) -> HistoryRow:
        """The row of a job."""
        said = filled(job.asked, job.defaults)
        started, trained = _last(job, S.RUNNING), _last(job, S.TRAINED)
        if started and trained and trained < started:
            trained = None  # of an earlier attempt
        progress, result = job.progress, job.result
        there = result is not None and job.deletion is None
        return cls(
            job_id=job.job_id,
            request_id=job.request_id,
            country=job.country,
            revision=job.revision,
            queue=job.queue,
            priority=job.priority,
            requested_by=job.requested_by,
            labels=json.dumps(said.get("labels") or {}, sort_keys=True, ensure_ascii=False),
            batch_id=job.batch_id,
            schedule=job.schedule,
            mapping=job.mapping or None,
            state=job.state,
            attempt=job.attempt,
            accepted_at=job.accepted_at,
            started_at=started,
            trained_at=trained,
            ended_at=job.updated_at if job.state.terminal else None,
            updated_at=job.updated_at,
            engine=_text(said.get("engine")),
            size=_text(said.get("size")),
            rows=job.rows,
            wait_s=_seconds(job.accepted_at, started),
            training_s=_seconds(started, trained),
            cpu_s=progress.cpu_s if progress else None,
            memory_mb=progress.memory_mb if progress else None,
            reason=job.error.title if job.error else None,
            findings=len(job.findings),
            sol_id=result.sol_id if result else None,
            r2=result.r2 if result else None,
            nrmse=result.nrmse if result else None,
            rssd=result.rssd if result else None,
            worst=result.worst if result else None,
            results=results(job) if there else None,
            results_deleted_at=job.deletion.at if job.deletion else None,
        )


def _last(job: Job, state: JobState) -> datetime | None:
    return next((entry.at for entry in reversed(job.timeline) if entry.state is state), None)


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return round((end - start).total_seconds(), 3) if start and end else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
