"""Schedules: requests that come again by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from contracts.base import Authored, Exchanged, FieldProblems, OfRequest, Timestamp, spelled
from contracts.batch import MAX_ROWS
from contracts.job import Document
from contracts.problem import Problem

MAX_RUNS = 10
"""How many runs a schedule tells of; the jobs of all of them are found by the name of the schedule."""

Cron = Annotated[
    str,
    spelled(
        r"^\s*(\S+\s+){4}\S+\s*$",
        "must be five fields: minute, hour, day of the month, month, day of the week, such as 0 6 * * MON",
    ),
    StringConstraints(max_length=200),
]
"""When something comes again, as crontab files say it."""

Missed = Literal["all", "last", "skip"]
"""What becomes of occurrences that sweep sees more than 15 minutes late."""


class BatchTemplate(Authored):
    """A batch that comes again; its name is the schedule's with the occurrence."""

    base: dict[str, Any] = Field(
        {}, description="what the requests have in common: fields of a train request, all or some of them"
    )
    rows: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=MAX_ROWS,
        description="what each request says beside the base or instead of it, by dotted path",
    )


class ScheduleText(Authored):
    """What somebody writes: when which request comes again."""

    schema_version: Literal[1] = Field(1, description="version of this kind of document")
    cron: Cron = Field(
        description="minute, hour, day of the month, month and day of the week, as in a crontab; "
        "`0 6 * * MON`: on Mondays at 6"
    )
    time_zone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        "UTC", description="IANA name of the zone whose clock counts, such as `Europe/Berlin`"
    )
    enabled: bool = Field(True, description="`false`: it is kept, but nothing comes of it")
    missed: Missed = Field(
        "last",
        description="what becomes of occurrences that were missed by more than 15 minutes, after an outage: "
        "`all` are made up for, `last`: only the last one, unless one follows in time, `skip`: none",
    )
    request: dict[str, Any] | None = Field(
        None,
        description="a train request without `request_id`; its dates may be relative, such as "
        "`window: {end: last full week}`; left out: `batch` says what comes",
    )
    batch: BatchTemplate | None = Field(
        None,
        description="several requests, such as one for each country; left out: `request` says what comes",
    )

    @model_validator(mode="after")
    def _one_template(self) -> Self:
        if self.request is None and self.batch is None:
            raise FieldProblems(["request: is missing; say it, or batch"])
        if self.request is not None and self.batch is not None:
            raise FieldProblems(["batch: is given beside request; say one of the two"])
        return self


class Run(Exchanged):
    """One time that something came of a schedule."""

    at: Timestamp = Field(description="the occurrence, UTC; of a run that a person asked for when that was")
    request_id: OfRequest
    job_id: str | None = Field(None, description="job that the run became; None: it became none")
    batch_id: str | None = Field(None, description="batch that the run became; None: it became none")
    asked_by: str | None = Field(None, description="who asked for it; left out: it was due")
    problem: Problem | None = Field(None, description="why nothing came of it; left out: something did")


class PassedOver(Exchanged):
    """Occurrences that were missed and not made up for."""

    first: Timestamp = Field(description="the first of them, UTC")
    last: Timestamp = Field(description="the last of them, UTC")


class Schedule(Document):
    """A schedule as it stands: what somebody wrote, what comes next, and what came of it lately."""

    kind: ClassVar[str] = "schedules"
    name: str = Field(description="name of the schedule")
    state: Literal["ENABLED", "DISABLED", "DELETED"] = Field(
        description="`DISABLED`: nothing comes of it; `DELETED`: kept a while, so that it can be put back"
    )
    cron: str = Field(description="when it comes, as in a crontab")
    time_zone: str = Field(description="IANA name of the zone whose clock counts")
    missed: Missed = Field(description="what becomes of missed occurrences")
    request: dict[str, Any] | None = Field(None, description="the request that comes, as it was written")
    batch: BatchTemplate | None = Field(None, description="the batch that comes, as it was written")
    changed_by: str = Field(description="who changed it last")
    changed_at: Timestamp = Field(description="when it was changed last by a person, UTC")
    done_until: Timestamp = Field(description="no occurrence up to this time is to come any more, UTC")
    deadline: Timestamp | None = Field(
        None, description="the next occurrence, UTC; None: there is none, or it is not enabled"
    )
    runs: Sequence[Run] = Field([], max_length=MAX_RUNS, description="what came of it, the last run first")
    passed_over: PassedOver | None = Field(
        None, description="the last occurrences that were passed over; left out: none"
    )
    expires: Timestamp | None = Field(None, description="when the store may remove it, UTC; None: never")

    @property
    def key(self) -> str:
        """The name."""
        return self.name

    @property
    def text(self) -> ScheduleText:
        """What it was written as."""
        return ScheduleText(
            cron=self.cron,
            time_zone=self.time_zone,
            enabled=self.state == "ENABLED",
            missed=self.missed,
            request=self.request,
            batch=self.batch,
        )


def run_id(name: str, at: datetime, asked: bool = False) -> str:
    """The request_id of one run; those of one schedule are in the order of their times."""
    return f"{name}@{at:%Y%m%dT%H%M%SZ}{'-asked' if asked else ''}"
