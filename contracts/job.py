"""The job: its states, the table of transitions, and the document that is stored."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field

from contracts.attempt import Progress
from contracts.base import SCHEMA_VERSION, Exchanged, Timestamp
from contracts.problem import Problem


class JobState(StrEnum):
    """Where a job is on its way."""

    ACCEPTED = "ACCEPTED"
    EXTRACTED = "EXTRACTED"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    TRAINED = "TRAINED"
    SUCCEEDED = "SUCCEEDED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        """Whether nothing but a person moves the job on."""
        return self in TERMINAL


S = JobState
TERMINAL = frozenset({S.SUCCEEDED, S.REJECTED, S.FAILED, S.CANCELLED})
_ANY = frozenset({S.REJECTED, S.FAILED, S.CANCELLING})

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    S.ACCEPTED: frozenset({S.EXTRACTED}) | _ANY,
    S.EXTRACTED: frozenset({S.QUEUED, S.SUCCEEDED}) | _ANY,  # SUCCEEDED: a request that only validates
    S.QUEUED: frozenset({S.RUNNING}) | _ANY,
    S.RUNNING: frozenset({S.TRAINED, S.QUEUED}) | _ANY,  # QUEUED: the next attempt
    S.TRAINED: frozenset({S.SUCCEEDED}) | _ANY,
    S.CANCELLING: frozenset({S.CANCELLED}),
    S.FAILED: frozenset({S.ACCEPTED, S.EXTRACTED, S.QUEUED}),  # a person retries
    S.CANCELLED: frozenset({S.ACCEPTED, S.EXTRACTED, S.QUEUED}),
    S.SUCCEEDED: frozenset(),
    S.REJECTED: frozenset(),
}
"""From each state, the states that may follow."""

MAX_FINDINGS = 50


class IllegalTransition(ValueError):
    """A step that the table does not allow: only a bug asks for one."""

    def __init__(self, job_id: str, before: JobState, after: JobState) -> None:
        super().__init__(f"job {job_id} cannot go from {before} to {after}")


class Document(Exchanged):
    """Something the job store keeps under a key; unknown fields of a newer version survive a rewrite."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: ClassVar[str]
    schema_version: int = SCHEMA_VERSION
    version: int = Field(0, description="number of writes so far; set by the store")

    @property
    def key(self) -> str:
        """The name of the document among those of its kind."""
        raise NotImplementedError


class Finding(Exchanged):
    """One thing that validation noticed in the data."""

    severity: Literal["error", "warning", "change"]
    code: str = Field(description="short name of the kind of finding, e.g. `negative-media`")
    column: str | None = None
    rows: list[int] = Field([], description="first rows concerned, counted from 1 in the source as delivered")
    count: int = Field(0, description="how many rows are concerned")
    message: str = Field(description="what was found")
    advice: str = Field("", description="what to do about it")


class Upload(Document):
    """One version of an uploaded data file, and the jobs that it started."""

    kind: ClassVar[str] = "uploads"
    name: str
    generation: int
    country: str
    state: Literal["WAITING", "STARTED", "REJECTED"] = "WAITING"
    since: Timestamp
    settings: list[str] = Field(
        [], description="`name#generation` of the settings it was started with, in order"
    )
    reason: str = ""

    @property
    def key(self) -> str:
        """Name and generation of the data file."""
        return f"{self.name}#{self.generation}"


class FileVersion(Exchanged):
    """One generation of an object."""

    name: str
    generation: int


class TimelineEntry(Exchanged):
    """One step of a job's way."""

    at: Timestamp
    state: JobState
    attempt: int
    note: str = ""


class Job(Document):
    """The state of one job. Changed only by compare-and-set, one transition at a time."""

    kind: ClassVar[str] = "jobs"
    job_id: str
    request_id: str = Field(description="the idempotency key")
    request: dict[str, Any] = Field(description="the request as it was sent, before defaults")
    upload: FileVersion | None = Field(None, description="the uploaded data file, if the job began with one")
    country: str = ""
    revision: str = ""
    queue: str = "default"
    priority: int = 0
    requested_by: str | None = None
    state: JobState = JobState.ACCEPTED
    attempt: int = 1
    first_attempt: int = Field(
        1, description="automatic attempts are counted from here; a retry by a person moves it"
    )
    accepted_at: Timestamp
    updated_at: Timestamp
    deadline: Timestamp | None = Field(None, description="when sweep asks what is true; None when terminal")
    wakeups: int = Field(0, description="how often sweep re-published the event of the present step")
    fingerprint: str | None = Field(None, description="of the extracted data: size and CRC32C")
    rows: int | None = None
    execution: str | None = Field(None, description="a hint; the attempt's claim is the truth")
    progress: Progress | None = None
    error: Problem | None = None
    findings: list[Finding] = Field([], max_length=MAX_FINDINGS)
    timeline: list[TimelineEntry] = []

    @property
    def key(self) -> str:
        """The job id."""
        return self.job_id

    @property
    def stamp(self) -> str:
        """The UTC time of acceptance, as it stands in object names."""
        return self.accepted_at.strftime("%Y%m%dT%H%M%SZ")

    def moved(
        self, state: JobState, at: datetime, deadline: datetime | None, note: str = "", **changes: Any
    ) -> Self:
        """This job after one transition.

        Raises:
            IllegalTransition: the table has no such step.
        """
        if state not in TRANSITIONS[self.state]:
            raise IllegalTransition(self.job_id, self.state, state)
        attempt = changes.get("attempt", self.attempt)
        entry = TimelineEntry(at=at, state=state, attempt=attempt, note=note)
        return self.model_copy(
            update={
                "state": state,
                "updated_at": at,
                "deadline": None if state.terminal else deadline,
                "wakeups": 0,
                "timeline": [*self.timeline, entry],
                **changes,
            }
        )


class Waiting(Document):
    """What launch must know of a job to choose: the job's document, read in part. Never written."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    kind: ClassVar[str] = "jobs"
    job_id: str
    country: str
    queue: str
    priority: int
    state: JobState
    attempt: int
    accepted_at: Timestamp


class Slot(Exchanged):
    """A place taken in a queue by one attempt."""

    job_id: str
    attempt: int
    country: str
    since: Timestamp


class Queue(Document):
    """The attempts that a queue lets run at once: a set, at most `limit` of them."""

    kind: ClassVar[str] = "queues"
    name: str
    paused: bool = False
    slots: list[Slot] = []

    @property
    def key(self) -> str:
        """The name of the queue."""
        return self.name


class DeadLetter(Document):
    """A message that could not be handled, with the reason."""

    kind: ClassVar[str] = "dead-letters"
    letter_id: str
    subscription: str
    reason: str
    at: Timestamp
    data: str = Field(description="the message's data, base64")
    attributes: dict[str, str] = {}
    replayed_at: Timestamp | None = None

    @property
    def key(self) -> str:
        """The id of the message."""
        return self.letter_id


class Extract(Document):
    """A recent extract that another request with the same source may reuse."""

    kind: ClassVar[str] = "extracts"
    source_hash: str
    object_name: str
    fingerprint: str
    at: Timestamp

    @property
    def key(self) -> str:
        """SHA-256 of connection, query and kind of source."""
        return self.source_hash
