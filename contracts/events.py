"""What travels through the topics."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contracts.base import (
    SCHEMA_VERSION,
    Exchanged,
    OfAttempt,
    OfCountry,
    OfJob,
    OfRequest,
    OfRevision,
    SchemaVersion,
    Timestamp,
)
from contracts.changes import ChangesShort
from contracts.job import Finding, JobState
from contracts.posterior import PosteriorShort
from contracts.problem import Problem
from contracts.result import BudgetShort

TRAIN_REQUESTS = "train-requests"
TRAINING_READY = "training-ready"
TRAINING_FINISHED = "training-finished"
JOB_FINISHED = "job-finished"
SWEEP_REQUESTS = "sweep-requests"
SOURCE_CHECKS = "source-checks"
BATCH_REQUESTS = "batch-requests"
BATCH_STEPS = "batch-steps"
DEAD_LETTERS = "dead-letters"
TOPICS = (
    TRAIN_REQUESTS,
    TRAINING_READY,
    TRAINING_FINISHED,
    JOB_FINISHED,
    SWEEP_REQUESTS,
    SOURCE_CHECKS,
    BATCH_REQUESTS,
    BATCH_STEPS,
    DEAD_LETTERS,
)

NOTIFIED_PREFIXES: dict[str, str] = {
    "drop-zone/": "objects-drop-zone",
    "datasets/": "objects-datasets",
    "outcomes/": "objects-outcomes",
}
"""The prefixes whose new objects wake a function, and the topic that carries the notification."""

CHECKS = "extract-checks"
"""The subscription of those who only look into a source."""
BATCHES = "extract-batches"
"""The subscription of batches that come as one message."""
STEPS = "extract-batch-steps"
"""The subscription of what goes on with a batch."""

SUBSCRIPTIONS: dict[str, tuple[str, str]] = {
    "extract-requests": (TRAIN_REQUESTS, "extract"),
    "extract-uploads": ("objects-drop-zone", "extract"),
    CHECKS: (SOURCE_CHECKS, "extract"),
    BATCHES: (BATCH_REQUESTS, "extract"),
    STEPS: (BATCH_STEPS, "extract"),
    "validate-datasets": ("objects-datasets", "validate"),
    "launch-ready": (TRAINING_READY, "launch"),
    "launch-finished": (TRAINING_FINISHED, "launch"),
    "finalize-outcomes": ("objects-outcomes", "finalize"),
    "summarize-finished": (TRAINING_FINISHED, "summarize"),
    "sweep-requests": (SWEEP_REQUESTS, "sweep"),
    "bury-dead-letters": (DEAD_LETTERS, "bury"),
}
"""Every push subscription: name → (topic, function)."""


class Event(Exchanged):
    """What every message of ours carries."""

    schema_version: SchemaVersion = SCHEMA_VERSION


class TrainingReady(Event):
    """An attempt waits for a slot."""

    job_id: OfJob
    attempt: OfAttempt


class TrainingFinished(Event):
    """An attempt has ended, and its slot is free."""

    job_id: OfJob
    attempt: OfAttempt
    state: JobState = Field(description="state of the job after the attempt")


class SweepRequest(Event):
    """Ask what is true, of one job or (job_id None) of all that are due."""

    job_id: str | None = Field(None, description="id of the job; None: all that are due")
    check_id: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{32}$",
        description="names the answer to whether the platform of trainings answers; None: it is not asked",
    )


class ResultPaths(Exchanged):
    """Where to find what a job left, as object names."""

    validation: str | None = Field(None, description="the validation report")
    results: str | None = Field(None, description="prefix of the result's files")
    model_summary: str | None = Field(None, description="the summary of the result")
    onepager: str | None = Field(None, description="the picture of the best model; None: none was asked for")


class JobFinished(Event):
    """A job has reached a terminal state. Repeats are equal."""

    type: Literal["job-finished"] = Field("job-finished", description="kind of the message")
    job_id: OfJob
    request_id: OfRequest
    country: OfCountry
    revision: OfRevision
    state: JobState = Field(description="terminal state that the job reached")
    attempt: OfAttempt
    finished_at: Timestamp = Field(description="when the job reached the state, UTC")
    error: Problem | None = Field(None, description="why the job did not succeed; None if it did")
    findings: list[Finding] = Field([], description="what was noticed in the data and in the model")
    posterior: PosteriorShort | None = Field(
        None, description="what each paid channel earns, and how surely; left out: not known"
    )
    budgets: list[BudgetShort] = Field([], description="the answers to budget questions in short")
    changes: ChangesShort | None = Field(
        None,
        description="what has changed since the job before it in its series; left out: not known",
    )
    paths: ResultPaths = Field(ResultPaths(), description="where to find what the job left")


class RequestRefused(Event):
    """A message asked for a job that exists already, with another body; the job goes on as it was."""

    type: Literal["request-refused"] = Field("request-refused", description="kind of the message")
    job_id: OfJob
    request_id: OfRequest
    error: Problem = Field(description="why the request was refused")
