"""What travels through the topics."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contracts.base import SCHEMA_VERSION, Exchanged, Timestamp
from contracts.job import Finding, JobState
from contracts.problem import Problem

TRAIN_REQUESTS = "train-requests"
TRAINING_READY = "training-ready"
TRAINING_FINISHED = "training-finished"
JOB_FINISHED = "job-finished"
SWEEP_REQUESTS = "sweep-requests"
DEAD_LETTERS = "dead-letters"
TOPICS = (TRAIN_REQUESTS, TRAINING_READY, TRAINING_FINISHED, JOB_FINISHED, SWEEP_REQUESTS, DEAD_LETTERS)

NOTIFIED_PREFIXES: dict[str, str] = {
    "drop-zone/": "objects-drop-zone",
    "datasets/": "objects-datasets",
    "outcomes/": "objects-outcomes",
}
"""The prefixes whose new objects wake a function, and the topic that carries the notification."""

SUBSCRIPTIONS: dict[str, tuple[str, str]] = {
    "extract-requests": (TRAIN_REQUESTS, "extract"),
    "extract-uploads": ("objects-drop-zone", "extract"),
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

    schema_version: int = SCHEMA_VERSION


class TrainingReady(Event):
    """An attempt waits for a slot."""

    job_id: str
    attempt: int


class TrainingFinished(Event):
    """An attempt has ended, and its slot is free."""

    job_id: str
    attempt: int
    state: JobState


class SweepRequest(Event):
    """Ask what is true, of one job or (job_id None) of all that are due."""

    job_id: str | None = None


class ResultPaths(Exchanged):
    """Where to find what a job left, as object names."""

    validation: str | None = None
    results: str | None = Field(None, description="prefix of the result's files")
    model_summary: str | None = None
    onepager: str | None = None


class JobFinished(Event):
    """A job has reached a terminal state. Repeats are equal."""

    type: Literal["job-finished"] = "job-finished"
    job_id: str
    request_id: str
    country: str
    revision: str
    state: JobState
    attempt: int
    finished_at: Timestamp
    error: Problem | None = None
    findings: list[Finding] = []
    paths: ResultPaths = ResultPaths()


class RequestRefused(Event):
    """A message asked for a job that exists already, with another body; the job goes on as it was."""

    type: Literal["request-refused"] = "request-refused"
    job_id: str
    request_id: str
    error: Problem
