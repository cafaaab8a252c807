"""What one attempt leaves in the bucket while it trains: config, claim, heartbeat, manifest, outcome."""

from __future__ import annotations

from collections.abc import Sequence
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
from contracts.changes import Series
from contracts.engines import EngineName
from contracts.model import ModelConfig
from contracts.problem import Problem
from contracts.result import ResultWarning


class TrainingConfig(Exchanged):
    """Exactly what one attempt trains."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    job_id: OfJob
    attempt: OfAttempt
    request_id: OfRequest
    country: OfCountry
    revision: OfRevision
    engine: EngineName = Field(description="engine that trains")
    prepared: str = Field(description="object that holds the prepared data, Parquet")
    regions: str | None = Field(
        None, description="object that holds the same by region, Parquet; left out: there are no regions"
    )
    fingerprint: str = Field(description="size and CRC32C of the extracted data")
    results: str = Field(description="prefix under which the attempt leaves its files")
    model: ModelConfig = Field(description="the model to train")
    former: str | None = Field(
        None, description="prefix of the former result that the model names (start_from or refresh_of)"
    )
    series: Series | None = Field(
        None, description="series of the job, and the job before it; left out: a former release did not say"
    )
    warnings: list[ResultWarning] = Field([], description="what validation warns of, told in the result too")


class Claim(Exchanged):
    """Which execution is the attempt. `execution` None is a tombstone: nobody may start any more."""

    job_id: OfJob
    attempt: OfAttempt
    execution: str | None = Field(description="name of the execution; None is a tombstone")


class Merge(Exchanged):
    """Which task makes the result from the shares of all tasks."""

    execution: str = Field(description="name of the execution")
    task: int = Field(description="index of the task, counted from 0")


class Progress(Exchanged):
    """How far a training is."""

    step: str = Field("starting", description="what is being done, in a few words")
    done: float = Field(0, ge=0, le=1, description="share of the training that is done; never smaller again")
    searched: float = Field(
        0.7, ge=0, le=1, description="what `done` is when all candidates have been evaluated"
    )
    trial: int = Field(0, description="trials that have begun")
    trials: int = Field(0, description="trials to run")
    iteration: int = Field(0, description="candidates evaluated so far, over all trials")
    iterations: int = Field(0, description="candidates to evaluate, over all trials")
    best_nrmse: float | None = Field(None, description="smallest NRMSE so far; None before the first")
    best_rssd: float | None = Field(None, description="smallest DECOMP.RSSD so far; None before the first")
    memory_mb: float = Field(0, description="largest memory use of a task, in MB")
    cpu_s: float = Field(0, description="CPU time of all tasks together, in seconds")

    @classmethod
    def of(cls, tasks: Sequence[Progress], count: int) -> Progress:
        """The progress of an attempt from that of its tasks, at least one of `count`; the last says the step.

        All tasks search, and then one of them makes the result.
        """
        furthest = max(task.done for task in tasks)
        searched = sum(task.done for task in tasks) / max(count, len(tasks))
        return cls(
            step=tasks[-1].step,
            done=furthest if furthest > tasks[-1].searched else searched,
            searched=tasks[-1].searched,
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

    job_id: OfJob
    attempt: OfAttempt
    task: int = Field(description="index of the task, counted from 0")
    tasks: int = Field(1, description="how many tasks the execution has")
    execution: str = Field(description="name of the execution")
    progress: Progress = Field(description="how far the task is")


class ManifestFile(Exchanged):
    """One file of a result."""

    name: str = Field(description="relative to the attempt's folder")
    size: int = Field(description="bytes")
    crc32c: str = Field(description="base64 of the big-endian checksum, as Cloud Storage writes it")


class Manifest(Exchanged):
    """The files that make a result whole."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    job_id: OfJob
    attempt: OfAttempt
    files: list[ManifestFile] = Field(description="every file of the result, without the manifest itself")


class Outcome(Exchanged):
    """The end of an attempt, created once by whoever ends it."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    job_id: OfJob
    attempt: OfAttempt
    status: Literal["succeeded", "failed", "crashed", "timed-out", "cancelled"] = Field(
        description="how the attempt ended"
    )
    deterministic: bool = Field(False, description="the same attempt would fail the same way: no new attempt")
    error: Problem | None = Field(None, description="why it did not succeed; None if it did")
    ended_by: str = Field(description="trainer, sweep or cancel")
    at: Timestamp = Field(description="when it ended, UTC")
    progress: Progress | None = Field(
        None,
        description="what all tasks had done and used at the end; left out: whoever ended it did not "
        "know, or was of an older version",
    )
