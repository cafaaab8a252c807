"""What is shown of batches: how far each is, and which rows must change."""

from __future__ import annotations

from contracts.api import BatchAnswer, BatchRow
from contracts.batch import Batch, RefusedRow
from contracts.job import Job, JobState
from functions.batches import count_jobs
from functions.ports import Ports

WRONG = 100
"""Rows with problems that are shown."""


def row_of(ports: Ports, batch: Batch) -> BatchRow:
    """What a list shows of a batch."""
    states = batch.counts if batch.ended else count_jobs(ports, batch)
    shown = {name: getattr(batch, name) for name in BatchRow.model_fields.keys() & Batch.model_fields.keys()}
    paused = batch.launching == "paused"
    return BatchRow(**shown, states=states, done=_done(batch, states), paused=paused)


def answer_of(ports: Ports, batch: Batch) -> BatchAnswer:
    """A batch as it is now."""
    states = count_jobs(ports, batch)
    found = ports.jobs.find(Job, limit=WRONG + 1, batch_id=batch.batch_id, state=JobState.REJECTED.value)
    wrong = sorted([*batch.refused, *(_refused(job) for job in found)], key=lambda one: one.row)
    return BatchAnswer(
        **dict(batch),
        states=states,
        done=_done(batch, states),
        wrong=wrong[:WRONG],
        more_wrong=len(wrong) > WRONG,
    )


def _done(batch: Batch, states: dict[JobState, int]) -> float:
    if batch.ended or not batch.rows:
        return 1.0
    jobs = sum(count for state, count in states.items() if state.terminal)
    return min(1.0, (jobs + len(batch.known) + len(batch.refused)) / batch.rows)


def _refused(job: Job) -> RefusedRow:
    problems = (job.error.errors or [job.error.detail or job.error.title]) if job.error else []
    return RefusedRow(row=job.batch_row or 0, request_id=job.request_id, job_id=job.job_id, problems=problems)
