"""What the JSON API takes and answers, as far as it is no document of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from contracts.attempt import Progress
from contracts.base import (
    Authored,
    Country,
    Exchanged,
    OfAttempt,
    OfCountry,
    OfJob,
    OfRequest,
    OfRevision,
    Slug,
    Timestamp,
    spelled,
)
from contracts.batch import Batch, BatchState, OfBatch, RefusedRow
from contracts.job import (
    DeadLetter,
    IgnoredFile,
    Job,
    JobResult,
    JobState,
    Slot,
    TimelineEntry,
    Upload,
    label,
)
from contracts.problem import Problem, Violation
from contracts.request import LabelValue, RequestId
from contracts.result import Timings
from contracts.schedule import Run, Schedule, ScheduleText

OneLine = Annotated[str, spelled(r"^[^\x00-\x1f\x7f]{1,200}$", "must be 1 to 200 characters on one line")]


def _written_as_time(value: Any) -> Any:
    if isinstance(value, str) and "T" not in value.upper():
        raise ValueError("must be a time in UTC; write it as 2026-01-31T12:00:00Z")
    return value


Moment = Annotated[Timestamp, BeforeValidator(_written_as_time, json_schema_input_type=datetime)]
"""A time in a parameter; a bare number is none."""


def _one_label(labels: dict[str, str]) -> dict[str, str]:
    if len(labels) > 1:
        raise ValueError("lists can be filtered by one label at a time; filter what it answers by the others")
    return labels


AnId = Annotated[str, spelled(r"^[a-z0-9-]{1,80}$", "is not an id, such as de-weekly-0123456789ab")]
FileName = Annotated[
    str,
    spelled(
        r"^[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,199}$",
        "must be 1 to 200 characters without `/` and `\\`, and not begin with a dot",
    ),
]
"""The name of a file, without folders."""

PAGE_SIZE = 25
"""Entries of a list, unless `page_size` says otherwise."""


class ApiProblem(Problem):
    """An answer that says what is wrong (RFC 9457)."""

    type: str = Field(description="address of a page that explains this kind of problem")
    status: int = Field(description="HTTP status of the answer")
    instance: str = Field(description="path that was asked for")


class NoQuery(Authored):
    """No parameters."""


class ListQuery(Authored):
    """Which part of a list."""

    page_size: Annotated[int, Field(ge=1, le=100)] = Field(
        PAGE_SIZE, description="most entries to answer with"
    )
    page_token: Annotated[str, Field(max_length=1000)] = Field(
        "", description="`next_page_token` of the answer before; left out: the beginning"
    )


class ListAnswer(Exchanged):
    """What every list answers."""

    next_page_token: str = Field(description="`page_token` of the entries that follow; empty at the end")


_EQUAL = ("country", "revision", "queue", "requested_by", "batch_id", "schedule")


class JobEquals(Authored):
    """Which jobs, by fields that have a value or one of several."""

    state: Annotated[list[JobState], Field(max_length=len(JobState))] = Field(
        [], description="jobs in this state; may be repeated"
    )
    country: Country | None = Field(None, description="jobs of this country; left out: of all")
    revision: Slug | None = Field(None, description="jobs of this series of models; left out: of all")
    queue: Slug | None = Field(None, description="jobs of this queue; left out: of all")
    requested_by: OneLine | None = Field(
        None, description="jobs for which the request says that they are for this person; left out: all"
    )
    batch_id: AnId | None = Field(None, description="jobs of this batch; left out: of all and of none")
    schedule: Slug | None = Field(None, description="runs of this schedule; left out: all jobs")
    label: Annotated[dict[Slug, LabelValue], AfterValidator(_one_label)] = Field(
        {},
        json_schema_extra={"maxProperties": 1},
        description="jobs with this label, given as `label.<name>=<value>`; one at most",
    )

    @property
    def equals(self) -> dict[str, str | tuple[str, ...]]:
        """The fields that must have a value, and it, or the values of which it must have one."""
        one = {name: getattr(self, name) for name in _EQUAL}
        given: dict[str, str | tuple[str, ...]] = {
            name: value for name, value in one.items() if value is not None
        }
        given.update(("labels", label(name, value)) for name, value in self.label.items())
        return {**given, **({"state": tuple(self.state)} if self.state else {})}


class JobFilters(JobEquals):
    """Which jobs."""

    request_id: RequestId | None = Field(
        None, description="jobs whose request_id begins so, the last of the alphabet first; left out: all"
    )
    accepted_after: Moment | None = Field(
        None, description="jobs accepted at this time, UTC, or later; left out: of all times"
    )
    accepted_before: Moment | None = Field(
        None, description="jobs accepted before this time, UTC; left out: of all times"
    )


class CountQuery(JobFilters):
    """Which jobs to count, and how far."""

    most: Annotated[int, Field(ge=1, le=100_000)] = Field(1000, description="where counting ends")


class JobCount(Exchanged):
    """How many jobs there are."""

    count: int = Field(description="jobs that match, counted no further than `most`")
    more: bool = Field(description="whether there may be more: counting ended at `most`")


class JobsQuery(JobFilters, ListQuery):
    """Which jobs, and how much of each."""

    view: Literal["basic", "full"] = Field(
        "basic", description="`basic`: what a list shows; `full`: the whole documents"
    )


class JobRow(Exchanged):
    """What a list shows of a job."""

    job_id: OfJob
    request_id: OfRequest
    country: OfCountry
    revision: OfRevision
    queue: str = Field(description="queue in which the job waits for its turn")
    priority: int = Field(description="higher is started first")
    requested_by: str | None = Field(description="who asked for the job, as the request says")
    labels: list[str] = Field(description="labels of the request, each as `name=value`")
    state: JobState = Field(description="where the job is on its way")
    done: bool = Field(description="whether the job has ended")
    attempt: OfAttempt
    accepted_at: Timestamp = Field(description="when the request was accepted, UTC")
    updated_at: Timestamp = Field(description="when the state was last changed, UTC")
    progress: Progress | None = Field(description="how far the training is; None before it begins")
    reason: str = Field(description="why the job ended without success; empty if it did not")
    result: JobResult | None = Field(description="the result in a line; None if there is none")
    findings: int = Field(description="how many things were noticed in the data and in the model")

    @classmethod
    def of(cls, job: Job) -> JobRow:
        """The row of a job."""
        return cls(
            **{
                name: getattr(job, name)
                for name in cls.model_fields.keys() & Job.model_fields.keys() - {"findings"}
            },
            done=job.state.terminal,
            reason=job.error.title if job.error else "",
            findings=len(job.findings),
        )


class LastHeartbeat(Exchanged):
    """The newest sign of life of a training."""

    execution: str = Field(description="name of the execution")
    updated: Timestamp = Field(description="when it was written, by the clock of the object store, UTC")
    stale: bool = Field(description="whether it is so old that the training may be dead")


class JobAnswer(Job):
    """A job as it is now: its document, with the newest progress of its training."""

    done: bool = Field(description="whether the job has ended")
    heartbeat: LastHeartbeat | None = Field(description="sign of life of the training; None if none runs")

    @classmethod
    def of(
        cls, job: Job, progress: Progress | None = None, heartbeat: LastHeartbeat | None = None
    ) -> JobAnswer:
        """The answer about a job; without `progress` with what sweep copied last."""
        fields: dict[str, Any] = {name: getattr(job, name) for name in Job.model_fields}
        fields.update(job.model_extra or {})
        fields["progress"] = progress or job.progress
        return cls(**fields, done=job.state.terminal, heartbeat=heartbeat)


class JobList(ListAnswer):
    """Jobs, newest first."""

    jobs: list[JobRow | JobAnswer] = Field(description="as `view` says")


class ValidateQuery(Authored):
    """How a request is to be validated."""

    data: bool = Field(
        False, description="whether a job of its own reads and checks the data too, without training"
    )


class Validity(Exchanged):
    """What a request is worth, by its contract and by what this installation has."""

    valid: bool = Field(description="whether it would be accepted")
    violations: list[Violation] = Field(description="everything that is wrong with it")
    normalized: dict[str, Any] | None = Field(
        description="the request with all defaults filled in; None if it is not valid"
    )


class DeleteQuery(Authored):
    """Whether to delete, or only to say what would be."""

    dry_run: bool = Field(False, description="whether only to say what would be deleted")


class DeletedResults(Exchanged):
    """The files of a result that are deleted."""

    job_id: OfJob
    asked: bool = Field(description="whether the deletion has been asked for; false: only looked")
    files: list[str] = Field(description="names of the files that the last attempt's manifest lists")
    bytes: int = Field(description="how large they are together")


class AttemptRow(Exchanged):
    """One try of a job to train."""

    attempt: OfAttempt
    state: JobState = Field(description="last state of the job in this attempt")
    done: bool = Field(description="whether the attempt has ended")
    begun_at: Timestamp = Field(description="when the job came into the attempt, UTC")
    updated_at: Timestamp = Field(description="when its state was last changed, UTC")


class AttemptList(Exchanged):
    """The attempts of a job."""

    attempts: list[AttemptRow] = Field(description="oldest first")


class AttemptAnswer(AttemptRow):
    """One attempt with what it left."""

    timeline: list[TimelineEntry] = Field(description="the job's steps in this attempt, oldest first")
    execution: str | None = Field(description="execution that claimed the attempt; None if none did")
    status: str | None = Field(description="how its training ended, such as `timed-out`; None before that")
    error: Problem | None = Field(description="why it did not succeed; None if it did, or has not ended")
    timings: Timings | None = Field(description="what each step of the training used; None without a result")


class LogQuery(Authored):
    """Whose log."""

    task: Annotated[int, Field(ge=0, le=9999)] = Field(0, description="index of the task, counted from 0")


class DeadLetterList(ListAnswer):
    """Dead letters, newest first."""

    dead_letters: list[DeadLetter] = Field(description="messages that could not be handled")


class QueueUse(Exchanged):
    """How full a queue is."""

    name: str = Field(description="name of the queue")
    running: int = Field(description="attempts that run")
    limit: int = Field(description="how many may run at once")
    paused: bool = Field(description="whether nothing new is started")


class NewUpload(Authored):
    """A file that somebody wants to upload."""

    country: Country = Field(description="country that the data are of")
    name: FileName = Field(description="name that the file is to have")
    place: Literal["sources", "drop-zone"] = Field(
        "sources",
        description="`sources`: for a request that names it; `drop-zone`: it becomes a job with its "
        "settings, or with those of its country",
    )


class UploadTarget(Exchanged):
    """Where the file goes: a form of `fields`, and the file as `file`, sent as multipart/form-data."""

    object: str = Field(description="name of the object that the upload makes")
    url: str = Field(description="address that takes the form")
    fields: dict[str, str] = Field(description="fields of the form before the file")


class CountrySettings(Exchanged):
    """The settings of a country: what its mapping `default` says."""

    country: OfCountry
    generation: int = Field(description="version of the mapping; 0: there is none")
    settings: dict[str, Any] = Field(description="what it says: the part of a request that many share")


class NewSettings(Authored):
    """The settings that a country is to have."""

    generation: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="version of the mapping that is replaced, 0: there is none; left out: `If-Match` says it",
    )
    settings: dict[str, Any] = Field(
        description="a request without request_id, country, source, settings, requested_by, validate_only"
    )


class QueueDetail(QueueUse):
    """One queue, and who is in it."""

    slots: list[Slot] = Field(description="attempts that run")
    waiting: list[JobRow] = Field(description="jobs that wait, in the order in which they are started")
    more: bool = Field(description="whether others wait behind those")


class Move(Authored):
    """Where a job is to wait."""

    queue: Slug = Field(description="name of the queue")
    priority: int = Field(ge=-100, le=100, description="higher is started first")


class LettersOfReason(Authored):
    """Dead letters with one reason."""

    subscription: Annotated[str, Field(max_length=200)] = Field(
        description="subscription that could not deliver them"
    )
    reason: Annotated[str, Field(max_length=4000)] = Field(description="the reason, in full")


class Replayed(Exchanged):
    """Messages that were published again."""

    dead_letters: list[DeadLetter] = Field(description="those that had not been replayed before")


class BatchAnswer(Batch):
    """A batch as it is now: its document, with its jobs counted."""

    states: dict[JobState, int] = Field(description="its jobs by their state")
    done: float = Field(description="share of its rows with which nothing happens any more, from 0 to 1")
    wrong: list[RefusedRow] = Field(
        description="rows that cannot be requests, or whose data cannot be trained on; the first 100"
    )
    more_wrong: bool = Field(description="whether there are more of them")


class BatchRow(Exchanged):
    """What a list shows of a batch."""

    batch_id: OfBatch
    name: str = Field(description="name of the batch, or of its file below the drop-zone")
    state: BatchState = Field(description="where the batch is on its way")
    rows: int = Field(description="rows of the batch")
    states: dict[JobState, int] = Field(description="its jobs by their state")
    done: float = Field(description="share of its rows with which nothing happens any more, from 0 to 1")
    paused: bool = Field(description="whether none of its jobs is started at present")
    by: str | None = Field(description="who sent it; None: it came as a message or a file")
    accepted_at: Timestamp = Field(description="when it was accepted, UTC")


class BatchList(ListAnswer):
    """Batches, newest first."""

    batches: list[BatchRow] = Field(description="the batches")


class QueueList(Exchanged):
    """Every queue of the installation."""

    queues: list[QueueUse] = Field(description="in the order of the settings")


class UploadsQuery(ListQuery):
    """Which uploads."""

    state: Literal["WAITING", "STARTED", "REJECTED"] = Field(
        "WAITING", description="uploads that wait for settings, that became jobs, or that were rejected"
    )


class UploadList(ListAnswer):
    """Uploads, newest first."""

    uploads: list[Upload] = Field(description="newest first")
    ignored: list[IgnoredFile] = Field(
        description="files that are there and that nothing comes of, with the reason: rejected ones, and on "
        "one machine those that are no uploads; with the first part of the list"
    )


class File(Exchanged):
    """One file of an attempt."""

    name: str = Field(description="name among the files of the attempt")
    size: int = Field(description="bytes")
    object: str = Field(description="name of the object in the bucket")
    url: str = Field(description="path that answers with the content, or with where it can be downloaded")


class Version(Exchanged):
    """What an installation is."""

    release: str = Field(description="version of the program")
    api: Literal["v1"] = Field("v1", description="version of these routes")
    schema_version: int = Field(description="version of the documents that it writes")
    engines: list[str] = Field(description="installed engines, the default one first")
    queues: dict[str, int] = Field(description="queues, and how many attempts each runs at once")
    connections: list[str] = Field(description="warehouses that requests can name")


class CheckLine(Exchanged):
    """One thing that was tried."""

    part: str = Field(description="what was tried")
    word: Literal["ok", "slow", "wrong"] = Field(description="what came of it")
    seconds: float = Field(description="how long it took")
    detail: str = Field("", description="what was seen")
    advice: str = Field("", description="what to do about it; empty if it is ok")


class SelfTest(Exchanged):
    """Whether the parts of an installation work together."""

    at: Timestamp = Field(description="when it was tried, UTC")
    lines: list[CheckLine] = Field(description="one for each part")

    @property
    def wrong(self) -> int:
        """How many parts do not work."""
        return sum(line.word == "wrong" for line in self.lines)


class FileList(Exchanged):
    """The files of an attempt."""

    files: list[File] = Field(description="reports and logs, then the files of the result")


class RunAnswer(Run):
    """A run of a schedule, with what came of it."""

    state: str | None = Field(None, description="state of its job or batch; None: there is none (yet)")


class ScheduleRow(Exchanged):
    """A schedule in a list."""

    name: str = Field(description="name of the schedule")
    state: str = Field(description="`ENABLED` or `DISABLED`")
    cron: str = Field(description="when it comes, as in a crontab")
    time_zone: str = Field(description="IANA name of the zone whose clock counts")
    next: Timestamp | None = Field(description="the next occurrence, UTC; None: there is none")
    last: RunAnswer | None = Field(description="the last run; None: there was none")
    changed_by: str = Field(description="who changed it last")
    changed_at: Timestamp = Field(description="when that was, UTC")


class ScheduleList(ListAnswer):
    """Schedules, newest first."""

    schedules: list[ScheduleRow] = Field(description="those that are not deleted")


class ScheduleAnswer(Schedule):
    """A schedule, with what came of it and when it comes next."""

    schedule: ScheduleText = Field(description="what is written; to change it, send this back")
    runs: list[RunAnswer] = Field(description="what came of it, the last run first")
    next: list[Timestamp] = Field(description="the next occurrences, UTC; none of a disabled schedule")


class NewSchedule(Authored):
    """What a schedule is to say."""

    version: Annotated[int, Field(ge=0)] = Field(
        description="version of the schedule that is replaced; 0: there is none"
    )
    schedule: ScheduleText = Field(description="when which request comes")


class Occurrence(Exchanged):
    """A time at which a schedule comes."""

    at: Timestamp = Field(description="the time, UTC")
    local: str = Field(description="the same on the clock of the schedule's zone, ISO-8601")


class SchedulePreview(Exchanged):
    """What would come of a schedule."""

    next: list[Occurrence] = Field(description="the next occurrences")
    violations: list[Violation] = Field(description="everything that is wrong with the schedule")
