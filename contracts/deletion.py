"""Deleting the results of many jobs: what is asked for, what would go, and how far it is."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.api import ListAnswer, Moment
from contracts.base import Authored, Country, Exchanged, OfCountry, OfJob, OfRevision, Slug, Timestamp
from contracts.job import Document
from contracts.request import job_id_for

MAX_LISTED = 100
"""Results that a preview lists, and kept ones that the document of a deletion names."""


class OldResults(Authored):
    """Which results are to be deleted: of jobs that have succeeded and were accepted long ago."""

    accepted_before: Moment = Field(description="of jobs accepted before this time, UTC")
    country: Country | None = Field(None, description="of this country; left out: of all")
    revision: Slug | None = Field(None, description="of this series of models; left out: of all")

    @property
    def equals(self) -> dict[str, str]:
        """The fields that a job must have beside its age."""
        given = {"country": self.country, "revision": self.revision}
        return {name: value for name, value in given.items() if value is not None}


class KeptResult(Exchanged):
    """A result that is as old, and is kept."""

    job_id: OfJob
    reason: str = Field(description="what needs it")


class OldResult(Exchanged):
    """A result that is as old as was asked."""

    job_id: OfJob
    country: OfCountry
    revision: OfRevision
    accepted_at: Annotated[Timestamp, Field(description="when the request was accepted, UTC")]
    kept: str | None = Field(description="what needs it; None: it would be deleted")


class DeletionPreview(Exchanged):
    """The results that would be deleted, and those that would be kept."""

    results: list[OldResult] = Field(description="the first 100, newest first")
    more: bool = Field(description="whether there are others")


class ResultsDeletion(OldResults, Document):
    """The deletion of old results: sweep goes on with it, a few at each tick."""

    kind: ClassVar[str] = "deletions"
    by: str = Field(description="who asked for it")
    at: Timestamp = Field(description="when it was asked for, UTC")
    state: Literal["RUNNING", "DONE", "STOPPED"] = Field(
        "RUNNING", description="STOPPED: a person ended it; what it had deleted is gone"
    )
    stopped_by: str | None = Field(None, description="who ended it before its end; None: nobody")
    looked_at: str | None = Field(None, description="last job that was looked at; None: none yet")
    deleted: int = Field(0, description="results that were deleted so far")
    kept: list[KeptResult] = Field([], description="results that are needed, the first 100 of them")
    more_kept: int = Field(0, description="how many others are needed")
    waits_for: str = Field("", description="why it does not go on at present; empty if it does")
    ended_at: Timestamp | None = Field(None, description="when it ended, UTC; None: it has not")
    expires: Timestamp | None = Field(None, description="when the store may remove it, UTC; None: never")

    @property
    def key(self) -> str:
        """Made of what is to be deleted."""
        return deletion_id(self)


def deletion_id(which: OldResults) -> str:
    """The id of the deletion of such results; asked for twice it is one."""
    parts = (which.accepted_before.isoformat(), which.country, which.revision)
    return job_id_for(f"deletion#{parts}")


class DeletionAnswer(ResultsDeletion):
    """A deletion as it is now."""

    deletion_id: str = Field(description="id of the deletion")

    @classmethod
    def of(cls, deletion: ResultsDeletion) -> DeletionAnswer:
        """The answer about a deletion."""
        fields = {name: getattr(deletion, name) for name in ResultsDeletion.model_fields}
        return cls(**fields, deletion_id=deletion.key)


class DeletionList(ListAnswer):
    """Deletions of old results, newest first."""

    deletions: list[DeletionAnswer] = Field(description="the deletions")
