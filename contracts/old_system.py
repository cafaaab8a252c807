"""What the old system left behind, as `mmm import` reads it and as its trainings are listed here."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from contracts.api import ListAnswer, ListQuery
from contracts.base import Authored, Country, Exchanged, Timestamp
from contracts.job import Document
from contracts.request import job_id_for

MAX_RUNS = 200
"""Trainings that are sent together."""
Text = Annotated[str, StringConstraints(max_length=1000)]


class OldRun(Authored):
    """One training of the old system: a row of its history, a folder with its result, or both."""

    country: Country = Field(description="country of the data")
    run: Annotated[str, StringConstraints(min_length=1, max_length=300)] = Field(
        description="what tells it from the others of its country: the folder of its result, its id in the "
        "history, or its row"
    )
    revision: Text | None = Field(None, description="revision of the old system; left out: unknown")
    started_at: Timestamp | None = Field(None, description="when it was started, UTC; left out: unknown")
    ended_at: Timestamp | None = Field(None, description="when it ended, UTC; left out: unknown")
    state: Text | None = Field(None, description="its state, in the old system's word; left out: unknown")
    results: Text | None = Field(
        None, description="prefix of the files of its result in the old bucket; left out: none was found"
    )
    files: Annotated[int, Field(ge=0)] | None = Field(None, description="how many files the result has")
    bytes: Annotated[int, Field(ge=0)] | None = Field(None, description="how large they are together")
    said: Annotated[dict[Text, Text], Field(max_length=100)] = Field(
        {}, description="its row of the history, each cell by the name of its column"
    )


class OldRunDocument(OldRun, Document):
    """A training of the old system, as it is listed here. Nothing is trained or deleted because of it."""

    kind: ClassVar[str] = "old-runs"
    by: str = Field(description="who imported it")
    imported_at: Timestamp = Field(description="when it was imported or last changed by an import, UTC")

    @property
    def key(self) -> str:
        """Made of country and run."""
        return job_id_for(f"{self.country}#{self.run}")


class NewOldRuns(Authored):
    """Trainings of the old system that are to be listed here."""

    runs: list[OldRun] = Field(min_length=1, max_length=MAX_RUNS, description="the trainings")


class KeptOldRuns(Exchanged):
    """What became of trainings that were sent."""

    new: int = Field(description="trainings that were not listed before")
    changed: int = Field(description="trainings that were listed, with something else said of them")
    known: int = Field(description="trainings that were listed just so")


class OldRunsQuery(ListQuery):
    """Which trainings of the old system."""

    country: Country | None = Field(None, description="trainings of this country; left out: of all")


class OldRunList(ListAnswer):
    """Trainings of the old system, the last imported first."""

    runs: list[OldRunDocument] = Field(description="the trainings")


class Unread(Exchanged):
    """Something in the old layout that was not imported."""

    path: str = Field(
        description="file, or folder of a result of this system, below the folder that was read"
    )
    place: str = Field("", description="key or row in it; empty: the whole file")
    reason: str = Field(description="why, and what to do where something can be done")


class ImportedMapping(Exchanged):
    """One `mapping.json`, and what becomes of it here."""

    path: str = Field(description="its file")
    country: str = Field(description="country of its folder")
    name: str = Field(description="name of the mapping here")
    settings: dict[str, Any] = Field(description="what it says, as a mapping here")
    read: dict[str, str] = Field(description="by field of `settings` the keys that it was read from")
    missing: list[str] = Field(description="what requests must say, because the mapping does not")
    problems: list[str] = Field(description="why it cannot be a mapping here; empty: it can")
    becomes: Literal["new", "known", "held back", "invalid"] = Field(
        description="`new`: the next version; `known`: it was imported before; `held back`: the mapping was "
        "changed here since; `invalid`: see `problems`"
    )
    version: int | None = Field(None, description="version that it has here; None: it was not written")


class ImportedRow(Exchanged):
    """A row of the old queue that waits, as a request."""

    path: str = Field(description="file of the queue")
    row: int = Field(description="number of the row below the header, counted from 1")
    body: dict[str, Any] = Field(description="the request; what the mapping of its country says is left out")
    problems: list[str] = Field(description="why it cannot be a request yet; empty: it can")


class ImportReport(Exchanged):
    """What `mmm import` found in the layout of the old system, and what it did."""

    folder: str = Field(description="folder, or address in Cloud Storage, that was read")
    applied: bool = Field(description="whether anything was written; false: only looked")
    mappings: list[ImportedMapping] = Field(description="mappings, by country, oldest first")
    waiting: list[ImportedRow] = Field(description="rows of the queue that wait")
    not_waiting: dict[str, int] = Field(description="other rows of the queue, counted by their state")
    runs: list[OldRun] = Field(description="trainings in the history and among the results")
    kept: KeptOldRuns | None = Field(None, description="what became of them; None: only looked")
    table: str | None = Field(None, description="table that the waiting rows were written to; None: none")
    batch_id: str | None = Field(None, description="batch that they were sent as; None: they were not sent")
    unread: list[Unread] = Field(description="what was not understood, or cannot be imported")
    aside: list[Unread] = Field(description="what was understood, and has no meaning here")

    @property
    def whole(self) -> bool:
        """Whether everything could be read and imported."""
        held = any(one.becomes in ("invalid", "held back") for one in self.mappings)
        return not (held or self.unread or any(row.problems for row in self.waiting))
