"""What validation found in the data, changed and dropped: the content of `validation.json`."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from contracts.base import SCHEMA_VERSION, Exchanged, OfCountry, OfRequest, SchemaVersion
from contracts.job import Finding
from contracts.series import Interval


class ColumnProfile(Exchanged):
    """One column as it was delivered, of the request's country, before anything was filled or aggregated.

    Derived columns stand as they were computed.
    """

    name: str = Field(description="name of the column")
    role: str = Field(
        description="the path in the request's columns, e.g. `paid_media[0].spend`; or `unused`"
    )
    type: Literal["date", "number", "text"] = Field(description="what its values are")
    missing: int = Field(description="rows without a usable value")
    distinct: int = Field(description="different values")
    zeros: int | None = Field(None, description="rows with the number 0")
    min: float | date | None = Field(None, description="smallest number, or first date")
    max: float | date | None = Field(None, description="largest number, or last date")
    mean: float | None = Field(None, description="mean of the numbers")


class ResolvedWindow(Exchanged):
    """The modelling window on the dates of the prepared data: the periods whose first day lies in it."""

    start: date = Field(description="the first day of its first period")
    end: date = Field(description="the last day of its last period")
    first_row: int = Field(description="counted from 1 in the prepared data")
    last_row: int = Field(description="inclusive")
    rows: int = Field(description="number of rows")


class ValidationReport(Exchanged):
    """What was found, changed and dropped on the way from the dataset to the prepared data, and why."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    request_id: OfRequest
    country: OfCountry
    fingerprint: str = Field(description="size and CRC32C of the dataset that was validated")
    valid: bool = Field(description="no finding is an error, and there are prepared data")
    read_as: dict[str, str] = Field({}, description="encoding and delimiter of an uploaded CSV file")
    rows_in: int = Field(description="rows of the dataset")
    rows_out: int = Field(description="rows of the prepared data; 0 if there are none")
    interval: Interval | None = Field(None, description="of the prepared data; None if it is not regular")
    regions: list[str] = Field([], description="of the prepared data, in their order; empty without any")
    window: ResolvedWindow | None = Field(None, description="modelling window; None if it has no rows")
    findings: list[Finding] = Field([], description="errors first, then warnings, then changes")
    columns: list[ColumnProfile] = Field([], description="every column as it was delivered")
