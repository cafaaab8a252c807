"""A batch: many train requests over one base, as it is sent, kept and reported.

Each row says by dotted paths what is other than in the base, and becomes a train request like any other.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from contracts.base import (
    Authored,
    Exchanged,
    OfJob,
    OfRequest,
    Timestamp,
    canonical_json,
    spelled,
)
from contracts.events import Event
from contracts.job import Document, FileVersion, JobState
from contracts.problem import Problem
from contracts.request import job_id_for

MAX_ROWS = 2_000
MAX_BATCH_BYTES = 1 << 20
"""Of a batch as a message or a call; a table in the drop-zone may be larger."""
ANY_COUNTRY = "_batches"
"""The folder of the drop-zone for batches of several countries."""
_TABLE = re.compile(r"\.batch(\.[^./]+)+$", re.IGNORECASE)
_SHORT = {
    **dict.fromkeys(("organic", "context", "factors"), "name"),
    "paid_media": "spend",
    "refresh_of": "job",
}
"""By field what a bare text means, as the request reads it."""
_DEFAULTS = [("duplicates", "aggregate"), ("posterior", "on"), ("posterior", True)]
"""Words that stand for a mapping with nothing but defaults."""

OfBatch = Annotated[str, Field(description="id of the batch")]
BatchName = Annotated[
    str, spelled(r"^[^\x00-\x1f\x7f#]{1,150}$", "must be 1 to 150 characters on one line, without `#`")
]


class BatchRequest(Authored):
    """Many train requests: what they have in common, and what each one says itself."""

    schema_version: Literal[1] = Field(1, description="version of this kind of document")
    name: BatchName = Field(
        description="name of the batch; the same rows under the same name are the same requests, whenever "
        "and however they are sent"
    )
    base: dict[str, Any] = Field(
        {}, description="what the requests have in common: fields of a train request, all or some of them"
    )
    rows: list[Any] = Field(
        min_length=1,
        max_length=MAX_ROWS,
        description="what each request says beside the base or instead of it: by dotted path "
        "(`search.trials`, `columns.paid_media.0.spend`) the value that stands there. A list of texts stands "
        "for a row that could not be read, and says why",
    )

    @property
    def batch_id(self) -> str:
        """The id of the batch: of its name and of everything that it says."""
        return job_id_for(f"{self.name}#{canonical_json([self.base, self.rows])}")


class FrozenBatch(Exchanged):
    """A batch as it was accepted: what extract unfolds, whatever becomes of the file or the message."""

    batch_id: OfBatch
    batch: BatchRequest = Field(description="what was sent")
    country: str | None = Field(
        None, description="country of the folder that the table lay in, of which all rows are; None: of any"
    )


class BatchStep(Event):
    """Go on with a batch: unfold its next rows, or do next what a person asked for."""

    batch_id: OfBatch


class BatchState(StrEnum):
    """Where a batch is on its way."""

    UNFOLDING = "UNFOLDING"
    RUNNING = "RUNNING"
    FINISHING = "FINISHING"
    FINISHED = "FINISHED"
    REJECTED = "REJECTED"


class KnownRow(Exchanged):
    """A row that is the request of a job that was made before the batch."""

    row: int = Field(description="number of the row, counted from 1")
    job_id: OfJob


class RefusedRow(Exchanged):
    """A row that cannot be a request."""

    row: int = Field(description="number of the row, counted from 1")
    request_id: OfRequest
    job_id: str | None = Field(None, description="id of the rejected job; None: the row has none")
    problems: list[str] = Field(description="everything that is wrong with it, as `path: what is wrong`")


class BatchTask(Exchanged):
    """What a person asked for, as long as it is not done for all jobs."""

    what: Literal["cancel", "retry"] = Field(
        description="`cancel`: stop every job that has not ended; `retry`: start jobs again"
    )
    states: list[JobState] = Field([], description="of a retry: states of the jobs that are started again")
    by: str = Field(description="who asked for it")
    at: Timestamp = Field(description="when, UTC")


class Batch(Document):
    """The state of one batch. Its jobs name it; how many are in which state is counted, and not kept here."""

    kind: ClassVar[str] = "batches"
    batch_id: OfBatch
    name: str = Field(description="name of the batch, or of its file below the drop-zone")
    state: BatchState = Field(
        BatchState.UNFOLDING,
        description="UNFOLDING while rows become jobs, RUNNING until all of them have ended, FINISHING until "
        "that is told, FINISHED; REJECTED: it has no rows that could be read",
    )
    rows: int = Field(description="rows of the batch")
    unfolded: int = Field(0, description="rows that were looked at, the first ones")
    jobs: int = Field(0, description="jobs that rows became, rejected ones included")
    known: list[KnownRow] = Field(
        [], description="rows whose job was made before, by another batch or by itself"
    )
    refused: list[RefusedRow] = Field([], description="rows that cannot have a job")
    by: str | None = Field(None, description="who sent it; None: it came as a message or a file")
    upload: FileVersion | None = Field(None, description="the table, if it came as a file")
    accepted_at: Timestamp = Field(description="when it was accepted, UTC")
    updated_at: Timestamp = Field(description="when it was last changed, UTC")
    launching: Literal["on", "paused"] = Field(
        "on", description="`paused`: none of its jobs is started; what runs goes on"
    )
    paused_by: str | None = Field(None, description="who paused it; None: nobody")
    cancelled_by: str | None = Field(
        None, description="who cancelled it; None: nobody, or it was retried since"
    )
    task: BatchTask | None = Field(None, description="what is being done to its jobs; None: nothing")
    round: int = Field(1, description="counted from 1; a retry after the end begins another one")
    counts: dict[JobState, int] = Field({}, description="jobs by state at the end of the last round")
    error: Problem | None = Field(
        None, description="why the batch was rejected, or was not unfolded to its end"
    )
    expires: Timestamp | None = Field(None, description="when the store may remove it, UTC; None: never")

    @property
    def key(self) -> str:
        """The id of the batch."""
        return self.batch_id

    @property
    def left_out(self) -> int:
        """Rows that have become nothing so far."""
        return self.rows - self.jobs - len(self.known) - len(self.refused)

    @property
    def ended(self) -> bool:
        """Whether nothing but a person moves it on."""
        return self.state in (BatchState.FINISHED, BatchState.REJECTED)


class BatchFinished(Event):
    """All jobs of a batch have ended. Told once a round; a repeat after a crash is equal."""

    type: Literal["batch-finished"] = Field("batch-finished", description="kind of the message")
    batch_id: OfBatch
    name: str = Field(description="name of the batch")
    round: int = Field(description="counted from 1; a retry after the end begins another one")
    rows: int = Field(description="rows of the batch")
    jobs: int = Field(description="jobs that rows became, rejected ones included")
    counts: dict[JobState, int] = Field(description="these jobs by their state")
    known: int = Field(description="rows whose job was made before")
    refused: int = Field(description="rows that cannot have a job")
    left_out: int = Field(description="rows that became nothing, because the batch was cancelled before")
    finished_at: Timestamp = Field(description="when the last job was seen to have ended, UTC")
    error: Problem | None = Field(None, description="why the batch was rejected; None if it was not")

    @classmethod
    def of(cls, batch: Batch) -> BatchFinished:
        """What is told of a batch that ends."""
        return cls(
            batch_id=batch.batch_id,
            name=batch.name,
            round=batch.round,
            rows=batch.rows,
            jobs=batch.jobs,
            counts=batch.counts,
            known=len(batch.known),
            refused=len(batch.refused),
            left_out=batch.left_out,
            finished_at=batch.updated_at,
            error=batch.error,
        )


@dataclass(frozen=True)
class RowRequest:
    """The train request that a row is."""

    row: int
    """Counted from 1."""
    body: dict[str, Any]
    problems: list[str]
    """Why the row does not fit the base, as `path: what is wrong`."""
    derived_id: str
    """Made of the batch's name, the row's number and its content; the row may say another `request_id`."""


def is_batch_table(name: str) -> bool:
    """Whether an uploaded file is the table of a batch, as `monday.batch.csv`, and not data."""
    return _TABLE.search(name.rsplit("/", 1)[-1]) is not None


def table_name(name: str) -> str:
    """The name of the batch that a file holds: where it lies in the drop-zone, without its ending."""
    return _TABLE.sub("", name.removeprefix("drop-zone/")).replace("#", "-")[:150]


def requests_of(batch: BatchRequest, country: str | None = None) -> Iterator[RowRequest]:
    """The train request of each row; `country` is that of the folder, of which every row must be."""
    for number in range(1, len(batch.rows) + 1):
        yield request_of_row(batch, number, country)


def request_of_row(batch: BatchRequest, number: int, country: str | None = None) -> RowRequest:
    """The train request of a row, counted from 1."""
    row = batch.rows[number - 1]
    body: dict[str, Any] = copy.deepcopy(batch.base)
    problems: list[str] = []
    if isinstance(row, dict):
        for path, value in row.items():
            problems += _put(body, path, copy.deepcopy(value))
    else:
        reasons = [str(reason) for reason in row] if isinstance(row, list) else []
        problems = reasons or ["(whole row): must be a mapping of dotted paths to values"]
    if country is not None and body.setdefault("country", country) != country:
        problems.append(f"country: '{body['country']}' is not the folder's, '{country}'")
    content = canonical_json([body, row] if problems else body)
    digest = hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:8]
    derived = f"{_readable(batch.name)}-{number}-{digest}"
    return RowRequest(number, {"request_id": derived, **body}, problems, derived)


def _readable(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)


def put(body: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path; a number in the path is an index of a list.

    A short form on the way, such as the bare column of a channel, becomes the mapping it stands for.

    Raises:
        ValueError: the path does not fit.
    """
    *parents, last = str(path).strip().split(".")
    field, place = "", body
    try:
        for part in parents:
            field = field if part.isdecimal() else part
            key: Any = int(part) if isinstance(place, list) else part
            below = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
            below = _written_out(field, below)
            place[key], place = below, below
        place[int(last) if isinstance(place, list) else last] = value
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: does not fit the base request") from error


def _put(body: dict[str, Any], path: str, value: Any) -> list[str]:
    try:
        put(body, path, value)
    except ValueError as error:
        return [str(error)]
    return []


def _written_out(field: str, value: Any) -> Any:
    """The mapping that a field's short form stands for; any other value as it is."""
    if field in _SHORT and isinstance(value, str):
        return {_SHORT[field]: value}
    return {} if (field, value) in _DEFAULTS else value
