"""A look into a source before a request asks for it: columns, what is in them, the first rows."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from contracts.base import SCHEMA_VERSION, Authored, ColumnName, Exchanged, SchemaVersion, spelled
from contracts.events import Event
from contracts.problem import Problem
from contracts.request import Source
from contracts.validation import ColumnProfile

FIRST_ROWS = 20
"""Rows that a preview shows."""
MAX_CELL = 80
"""Characters of a cell that it shows."""

CheckId = Annotated[str, spelled(r"^[0-9a-f]{32}$", "is no id of a check")]


class SourceCheck(Event):
    """A person asks what is in a source, or whether a connection answers; nothing is kept."""

    check_id: CheckId = Field(description="names the object that will hold the answer")
    source: dict[str, Any] | None = Field(
        None, description="the source, as a request names it; None: only whether there is an answer"
    )
    sheet: str | None = Field(None, description="name of the sheet of an Excel workbook; None: the first")
    wanted: list[str] = Field([], description="columns that a request names, which tell where the header is")
    connection: str | None = Field(
        None, description="name of a warehouse that is asked whether it answers; None: extract itself is"
    )


class SourceQuestion(Authored):
    """Which source somebody wants to look into."""

    source: Source = Field(description="where the data are, as a request says it")
    sheet: str | None = Field(
        None, max_length=100, description="sheet of an Excel workbook; left out: the first that is visible"
    )
    wanted: list[ColumnName] = Field(
        [],
        max_length=2000,
        description="columns that must be there: they tell where the header is",
    )


class Checked(Exchanged):
    """The answer to a check."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    check_id: str = Field(description="id of the check")
    seconds: float = Field(0, description="how long it took")
    problem: Problem | None = Field(None, description="why it failed; None if it did not")


class Preview(Checked):
    """What extract found."""

    source: dict[str, Any] | None = Field(None, description="the source that was looked at")
    columns: list[ColumnProfile] = Field([], description="what is in each column, of the rows looked at")
    rows: int = Field(0, description="rows looked at, from the first on")
    whole: bool = Field(False, description="whether those are all rows")
    first: list[list[str]] = Field([], description="the first rows, as text, long cells cut")
    read_as: dict[str, str] = Field({}, description="how the file was written: encoding, delimiter, sheet")
    notes: list[str] = Field([], description="what was noticed when it was read")
