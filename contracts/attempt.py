"""What one attempt leaves in the bucket while it trains: config, claim, heartbeat, manifest, outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from contracts.base import SCHEMA_VERSION, Exchanged, Timestamp
from contracts.model import ModelConfig
from contracts.problem import Problem


class TrainingConfig(Exchanged):
    """Exactly what one attempt trains."""

    schema_version: int = SCHEMA_VERSION
    job_id: str
    attempt: int
    request_id: str
    country: str
    revision: str
    engine: Literal["native", "robyn"]
    prepared: str = Field(description="object that holds the prepared data, Parquet")
    fingerprint: str = Field(description="of the extracted data")
    results: str = Field(description="prefix under which the attempt leaves its files")
    model: ModelConfig
    former: str | None = Field(
        None, description="prefix of the former result that the model names (start_from or refresh_of)"
    )


class Claim(Exchanged):
    """Which execution is the attempt. `execution` None is a tombstone: nobody may start any more."""

    job_id: str
    attempt: int
    execution: str | None


class Merge(Exchanged):
    """Which task makes the result from the shares of all tasks."""

    execution: str
    task: int


class Progress(Exchanged):
    """How far a training is."""

    step: str = "starting"
    trial: int = 0
    trials: int = 0
    iteration: int = Field(0, description="candidates evaluated so far, over all trials")
    iterations: int = Field(0, description="candidates to evaluate, over all trials")
    best_nrmse: float | None = None
    best_rssd: float | None = None
    memory_mb: float = Field(0, description="the most that a task used")
    cpu_s: float = Field(0, description="of all tasks together")

    @classmethod
    def of(cls, tasks: Sequence[Progress]) -> Progress:
        """The progress of an attempt from that of its tasks, at least one; the last one says the step."""
        return cls(
            step=tasks[-1].step,
            trial=sum(task.trial for task in tasks),
            trials=sum(task.trials for task in tasks),
            iteration=sum(task.iteration for task in tasks),
            iterations=sum(task.iterations for task in tasks),
            best_nrmse=min((task.best_nrmse for task in tasks if task.best_nrmse is not None), default=None),
            best_rssd=min((task.best_rssd for task in tasks if task.best_rssd is not None), default=None),
            memory_mb=max(task.memory_mb for task in tasks),
            cpu_s=round(sum(task.cpu_s for task in tasks), 2),
        )


class Heartbeat(Exchanged):
    """A sign of life of one task; its age is the object's server time."""

    job_id: str
    attempt: int
    task: int
    tasks: int = Field(1, description="how many tasks the execution has")
    execution: str
    progress: Progress


class ManifestFile(Exchanged):
    """One file of a result."""

    name: str = Field(description="relative to the attempt's folder")
    size: int = Field(description="bytes")
    crc32c: str = Field(description="base64 of the big-endian checksum, as Cloud Storage writes it")


class Manifest(Exchanged):
    """The files that make a result whole."""

    schema_version: int = SCHEMA_VERSION
    job_id: str
    attempt: int
    files: list[ManifestFile]


class Outcome(Exchanged):
    """The end of an attempt, created once by whoever ends it."""

    schema_version: int = SCHEMA_VERSION
    job_id: str
    attempt: int
    status: Literal["succeeded", "failed", "crashed", "timed-out", "cancelled"]
    deterministic: bool = Field(False, description="the same attempt would fail the same way: no new attempt")
    error: Problem | None = None
    ended_by: str = Field(description="trainer, sweep or cancel")
    at: Timestamp
