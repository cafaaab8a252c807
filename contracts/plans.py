"""Plans: questions about a finished job's budget that its curves answer at once, without a new job."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from contracts.base import Exchanged
from contracts.budget import SplitQuestion
from contracts.curves import Pattern
from contracts.series import Interval

WINDOW = "window"
"""The dates that every result offers."""


class PlanQuestion(SplitQuestion):
    """A budget question about dates that a result offers."""

    dates: str = Field(WINDOW, max_length=80, description="name of dates that the result offers")


class OfferedChannel(Exchanged):
    """A paid channel over some dates."""

    name: str = Field(description="spend column")
    today: float = Field(
        description="what was spent, after the data in the same periods a year before, in currency"
    )
    most: float = Field(description="the largest spend that the curves know, in currency")


class OfferedDates(Exchanged):
    """Dates that can be asked about."""

    name: str = Field(description="what a question calls them")
    start: date = Field(description="first day of the first period")
    end: date = Field(description="first day of the last period")
    periods: int = Field(description="how many there are")
    pattern: Pattern = Field(
        description="spends as they were, or after the data as in the same periods a year before, or even"
    )
    channels: list[OfferedChannel] = Field(description="the paid channels, in the order of the request")


class PlanOffer(Exchanged):
    """What can be asked about a finished job."""

    dependent: str = Field(description="column that is explained")
    dependent_type: str = Field(description="revenue, answered with ROAS, or conversion, answered with CPA")
    interval: Interval = Field(description="length of a period")
    dates: list[OfferedDates] = Field(description="the dates that it offers")
    notes: list[str] = Field([], description="what must be known to ask")
    regions: list[str] = Field([], description="regions that can be asked about, each or all of them")
