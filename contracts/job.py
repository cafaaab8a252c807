"""The job: its states, the table of transitions, and the document that is stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field

from contracts.attempt import Progress
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
    continued,
    filled,
)
from contracts.changes import ChangesShort
from contracts.posterior import PosteriorShort
from contracts.problem import Problem
from contracts.result import BudgetShort
from contracts.trust import Word


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

KEEP_ENDED = timedelta(days=90)
"""How long an upload that ended and a dead letter that was sent again are kept."""
KEEP_EXTRACT = timedelta(days=1)
"""How long it is remembered at least which object holds what was read from a source."""
MAX_FINDINGS = 50
PRIORITIES = range(-100, 101)
"""What the priority of a job can be."""
MAX_COUNTRIES = 300
MAX_IGNORED = 50
"""How many files a document of ignored files lists."""


class IllegalTransition(ValueError):
    """A step that the table does not allow: only a bug asks for one."""

    def __init__(self, job_id: str, before: JobState, after: JobState) -> None:
        super().__init__(f"job {job_id} cannot go from {before} to {after}")


class Document(Exchanged):
    """Something the job store keeps under a key; unknown fields of a newer version survive a rewrite."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: ClassVar[str]
    short: ClassVar[bool] = False
    """Whether it is a part of another kind's documents that consists of short values only."""
    schema_version: SchemaVersion = SCHEMA_VERSION
    version: int = Field(0, description="number of writes so far; set by the store")

    @property
    def key(self) -> str:
        """The name of the document among those of its kind."""
        raise NotImplementedError


class Finding(Exchanged):
    """One thing that was noticed in the data, or in the model that came of them."""

    severity: Literal["error", "warning", "change"] = Field(
        description="`error` ends the job; `change`: the data were changed as the request allows"
    )
    code: str = Field(description="short name of the kind of finding, e.g. `negative-media`")
    column: str | None = Field(None, description="column concerned; None: the data as a whole")
    rows: list[int] = Field([], description="first rows concerned, counted from 1 in the source as delivered")
    count: int = Field(0, description="how many rows are concerned")
    message: str = Field(description="what was found")
    advice: str = Field("", description="what to do about it")


class Upload(Document):
    """One version of an uploaded data file, and the jobs that it started.

    Or of a folder of parts; its record of generation 0 says what is missing, or which version is the last.
    """

    kind: ClassVar[str] = "uploads"
    name: str = Field(description="object name of the data file, or the folder of its parts")
    generation: int = Field(
        description="version of the data file; of a folder made of the versions of all its parts, 0: of none"
    )
    country: OfCountry
    state: Literal["WAITING", "STARTED", "REJECTED"] = Field(
        "WAITING",
        description="WAITING for settings or its job, STARTED, or REJECTED for the reason given",
    )
    since: Timestamp = Field(description="when the file was first seen, UTC")
    settings: list[str] = Field(
        [], description="`name#generation` of the settings it was started with, in order"
    )
    begun: list[str] = Field([], description="those of its settings whose job is not made and told of yet")
    reason: str = Field("", description="why the upload was rejected, or what is missing of a folder")
    continues: int | None = Field(
        None,
        description="version that was the beginning of this one, taken while it still grew; of a "
        "record of generation 0 the last version",
    )
    expires: Timestamp | None = Field(None, description="when the store may remove it, UTC; None: never")

    @property
    def key(self) -> str:
        """Name and generation of the data file."""
        return f"{self.name}#{self.generation}"


class FileVersion(Exchanged):
    """One generation of an object."""

    name: str = Field(description="object name")
    generation: int = Field(description="version of the object")


class UsedMapping(Exchanged):
    """The version of a mapping that a job was accepted with; later versions change no job."""

    country: OfCountry
    name: str = Field(description="name of the mapping")
    version: int = Field(description="version of the mapping")
    settings: dict[str, Any] = Field(description="what that version says")

    @property
    def key(self) -> str:
        """Country and name of the mapping."""
        return f"{self.country}/{self.name}"


class TimelineEntry(Exchanged):
    """One step of a job's way."""

    at: Timestamp = Field(description="when the step was taken, UTC")
    state: JobState = Field(description="state after the step")
    attempt: OfAttempt
    note: str = Field("", description="reason or circumstance, in words")


class JobResult(Exchanged):
    """A job's result in a line."""

    sol_id: str = Field(description="name of the best model")
    r2: float | None = Field(description="adjusted R² of the best model on the rows that were trained on")
    nrmse: float = Field(description="NRMSE of the best model")
    rssd: float | None = Field(description="DECOMP.RSSD of the best model; None if no channel has any effect")
    worst: Word | None = Field(
        None, description="worst verdict of the trust checks; left out: nothing was checked"
    )


class Deletion(Exchanged):
    """Who had the files of a result deleted; the job's document stays."""

    by: str = Field(description="who asked for it")
    at: Timestamp = Field(description="when it was asked for, UTC")
    done_at: Timestamp | None = Field(None, description="when the files were gone, UTC; None: not yet")
    objects: int = Field(0, description="how many files were deleted")
    bytes: int = Field(0, description="how large they were together")
    request: str | None = Field(
        None, description="deletion of old results by which it goes; left out: it was asked for by itself"
    )


def label(name: str, value: str) -> str:
    """A label as the document of a job holds it."""
    return f"{name}={value}"


def lane_of(country: str, batch_id: str | None) -> str:
    """The lane of a job; those without a batch have one in each country."""
    return f"{country}/{batch_id or ''}"


class Job(Document):
    """The state of one job. Changed only by compare-and-set, one transition at a time."""

    kind: ClassVar[str] = "jobs"
    job_id: OfJob
    request_id: OfRequest
    request: dict[str, Any] = Field(description="the request as it was sent, before defaults")
    defaults: dict[str, Any] = Field(
        {}, description="what the request does not say and its numbers depend on, as it was at acceptance"
    )
    settings: UsedMapping | None = Field(
        None, description="the mapping that the request refers to; left out: it refers to none"
    )
    mapping: str = Field("", description="country and name of that mapping, as `DE/weekly`; empty: none")
    upload: FileVersion | None = Field(None, description="the uploaded data file, if the job began with one")
    replaces: str | None = Field(None, description="job that began with a part of the uploaded file")
    replaced_by: str | None = Field(None, description="job of the whole file, if this one began with a part")
    country: OfCountry = ""
    revision: OfRevision = ""
    batch_id: str | None = Field(None, description="batch of which the job is a row; None: of none")
    batch_row: int | None = Field(None, description="number of that row, counted from 1")
    lane: str = Field(
        default_factory=lambda job: lane_of(job["country"], job["batch_id"]),
        description="country and batch: jobs of one lane wait for each other, lanes take turns",
    )
    queue: str = Field("default", description="queue in which the job waits for its turn")
    priority: int = Field(0, description="higher is started first")
    requested_by: str | None = Field(None, description="who asked for the job, as the request says")
    labels: list[str] = Field([], description="labels of the request, each as `name=value`")
    refreshes: str | None = Field(
        None,
        description="former job that `refresh` meant when the request was accepted; None: there was none",
    )
    schedule: str | None = Field(None, description="schedule whose run the job is; None: of none")
    state: JobState = Field(JobState.ACCEPTED, description="where the job is on its way")
    attempt: OfAttempt = 1
    first_attempt: int = Field(
        1, description="automatic attempts are counted from here; a retry by a person moves it"
    )
    accepted_at: Timestamp = Field(description="when the request was accepted, UTC")
    updated_at: Timestamp = Field(description="when the state was last changed, UTC")
    deadline: Timestamp | None = Field(
        None,
        description="when sweep looks after the job, UTC; None: it has ended and nothing is to be deleted",
    )
    wakeups: int = Field(0, description="how often sweep re-published the event of the present step")
    woken_at: Timestamp | None = Field(None, description="when sweep re-published that event last, UTC")
    waits_for: str = Field(
        "", description="why the present step must be tried again later; empty if it need not"
    )
    fingerprint: str | None = Field(None, description="of the extracted data: size and CRC32C")
    rows: int | None = Field(None, description="rows of the extracted data; None before they are known")
    execution: str | None = Field(None, description="a hint; the attempt's claim is the truth")
    progress: Progress | None = Field(None, description="how far the training is, copied from heartbeats")
    error: Problem | None = Field(None, description="why the job ended without success")
    findings: list[Finding] = Field(
        [], max_length=MAX_FINDINGS, description="what was noticed in the data and in the model, errors first"
    )
    posterior: PosteriorShort | None = Field(
        None, description="what the data say about each channel; left out: there is no such result"
    )
    budgets: list[BudgetShort] = Field([], description="the answers to budget questions in short")
    changes: ChangesShort | None = Field(
        None,
        description="what has changed since the job before it in its series; left out: not known",
    )
    result: JobResult | None = Field(
        None, description="the best model in a line; left out: there is none yet"
    )
    deletion: Deletion | None = Field(
        None, description="who had the files of the result deleted; left out: nobody"
    )
    timeline: list[TimelineEntry] = Field([], description="every step so far, oldest first")

    @property
    def key(self) -> str:
        """The job id."""
        return self.job_id

    @property
    def asked(self) -> dict[str, Any]:
        """The request with what its mapping says where the request says nothing itself; before defaults."""
        said = filled(self.request, self.settings.settings) if self.settings else self.request
        return continued(said, self.refreshes)

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
                "woken_at": None,
                "waits_for": "",
                "timeline": [*self.timeline, entry],
                **changes,
            }
        )


_DONE = {S.ACCEPTED: 0.02, S.EXTRACTED: 0.05, S.QUEUED: 0.1, S.TRAINED: 0.97}
_STARTED = 0.12
"""Share of a job that is done when its training starts."""


def share_done(state: JobState, progress: Progress | None) -> float:
    """Share of a job's steps that are done, from 0 to 1; 1 at its end. Only a new attempt lowers it."""
    if state.terminal:
        return 1.0
    training = progress.done if progress else 0.0
    return _DONE.get(state, _STARTED + (_DONE[S.TRAINED] - _STARTED) * training)


class Waiting(Document):
    """What launch must know of a job to choose: the job's document, read in part. Never written."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    kind: ClassVar[str] = "jobs"
    short: ClassVar[bool] = True
    job_id: OfJob
    country: OfCountry
    lane: str
    queue: str
    priority: int
    state: JobState
    attempt: OfAttempt
    accepted_at: Timestamp


class _Asked(Exchanged):
    budget: Any = None
    validate_only: Any = None


class _Step(Exchanged):
    note: str = ""


class ListedJob(Document):
    """What a list shows of a job: the job's document, read in part. Never written."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    kind: ClassVar[str] = "jobs"
    job_id: OfJob
    request_id: OfRequest
    request: _Asked
    upload: FileVersion | None = None
    country: OfCountry = ""
    revision: OfRevision = ""
    state: JobState
    attempt: OfAttempt = 1
    accepted_at: Timestamp
    updated_at: Timestamp
    waits_for: str = ""
    progress: Progress | None = None
    error: Problem | None = None
    findings: list[Any] = []
    result: JobResult | None = None
    timeline: list[_Step] = []

    @property
    def key(self) -> str:
        """The job id."""
        return self.job_id


class Slot(Exchanged):
    """A place taken in a queue by one attempt."""

    job_id: OfJob
    attempt: OfAttempt
    country: OfCountry
    lane: str = Field("", description="country and batch of the job; empty: not known")
    since: Timestamp = Field(description="when the slot was taken, UTC")


class Queue(Document):
    """The attempts that a queue lets run at once: a set, at most `limit` of them."""

    kind: ClassVar[str] = "queues"
    name: str = Field(description="name of the queue")
    paused: bool = Field(False, description="nothing new is started while true")
    paused_by: str | None = Field(None, description="who paused it; None: nobody, or not known")
    slots: list[Slot] = Field([], description="the slots that are taken")

    @property
    def key(self) -> str:
        """The name of the queue."""
        return self.name


class IgnoredFile(Exchanged):
    """A file where uploads are put that is no upload."""

    name: str = Field(description="as an object name; bytes that are no text as `\\xff`")
    reason: str = Field(description="why it is ignored, and what to do")


class IgnoredFiles(Document):
    """The files of the drop-zone of one machine that are ignored at present."""

    kind: ClassVar[str] = "ignored"
    KEY: ClassVar[str] = "files"
    files: list[IgnoredFile] = Field([], description="the first of them, by name")
    more: int = Field(0, description="how many there are beside those")

    @property
    def key(self) -> str:
        """There is one such document."""
        return self.KEY


class KnownCountries(Document):
    """The countries that have had usable data, so that another spelling of one is noticed."""

    kind: ClassVar[str] = "countries"
    KEY: ClassVar[str] = "known"
    countries: list[str] = Field([], max_length=MAX_COUNTRIES, description="oldest first")
    counted_before: str = Field("", description="month, YYYY-MM, before which every run of theirs is counted")

    @property
    def key(self) -> str:
        """There is one such document."""
        return self.KEY


class ModelInUse(Document):
    """The model that the people of a country use, marked by one of them."""

    kind: ClassVar[str] = "in-use"
    country: OfCountry
    job_id: OfJob
    attempt: OfAttempt
    sol_id: str = Field(description="name of the model")
    by: str = Field(description="who marked it")
    at: Timestamp = Field(description="when it was marked, UTC")
    ended_by: str | None = Field(None, description="who took the mark back; None: nobody")
    ended_at: Timestamp | None = Field(None, description="when the mark was taken back, UTC; None: it holds")

    @property
    def key(self) -> str:
        """The country."""
        return self.country


class DeadLetter(Document):
    """A message that could not be handled, with the reason."""

    kind: ClassVar[str] = "dead-letters"
    letter_id: str = Field(description="id of the message")
    subscription: str = Field(description="subscription that could not deliver it")
    reason: str = Field(description="why it could not be handled")
    at: Timestamp = Field(description="when it was stored, UTC")
    data: str = Field(description="the message's data, base64")
    attributes: dict[str, str] = Field({}, description="the message's attributes")
    state: Literal["WAITING", "REPLAYED"] = Field("WAITING", description="whether it was sent again")
    replayed_at: Timestamp | None = Field(None, description="when it was last sent again, UTC; None: never")
    replayed_by: str | None = Field(None, description="who sent it again last; None: nobody, or not known")
    expires: Timestamp | None = Field(None, description="when the store may remove it, UTC; None: never")

    @property
    def key(self) -> str:
        """The id of the message."""
        return self.letter_id


class Extract(Document):
    """A recent extract that another request with the same source may reuse."""

    kind: ClassVar[str] = "extracts"
    source_hash: str = Field(description="SHA-256 of connection, query and kind of source")
    object_name: str = Field(description="object that holds the extract")
    fingerprint: str = Field(description="size and CRC32C of the extract")
    at: Timestamp = Field(description="when the source was read, UTC")
    expires: Timestamp | None = Field(None, description="when the store may remove it, UTC; None: never")

    @property
    def key(self) -> str:
        """The hash of the source."""
        return self.source_hash
