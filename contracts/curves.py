"""curves.json: what each channel earns with 0 to 3 times its spend, for dates in the data and after them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import accumulate
from typing import Literal, Self

from pydantic import Field, model_validator

from contracts.base import SCHEMA_VERSION, Exchanged, SchemaVersion
from contracts.series import Interval

Pattern = Literal["as_spent", "last_year", "even"]

FACTORS = tuple([(k / 20) ** 2 for k in range(21)] + [1 + k / 10 for k in range(1, 21)])
"""41 factors from 0 to 3, closer to each other where little is spent; 1 is one of them."""


class CurveChannel(Exchanged):
    """What one paid channel earns over some dates, in units of the dependent variable.

    `response`, `carry_out` and each row of `steps` go with the document's `factors`.
    """

    name: str = Field(description="spend column")
    today: float = Field(
        description="in currency, over the dates: what was spent in them, after the data what was spent in "
        "the same periods a year before"
    )
    spend: float = Field(
        description="of the factor 1, in currency, over the dates: `today`, or where that is 0 an even spend "
        "as high as the last year's mean, or else the window's; 0: the channel had no media in the window, "
        "and nothing is known of it"
    )
    response: list[float] = Field(
        description="expected in the dates, over all draws of posterior.parquet; earlier spend, as it was, "
        "still earns in it"
    )
    carry_out: list[float] = Field(
        description="expected after the dates from what is spent in them, over all draws"
    )
    unit: float = Field(description="what `steps` count in, in units of the dependent variable")
    steps: list[list[int]] = Field(
        description="a row per draw: response and carry-out with the first factor, then how much more each "
        "next factor earns, in units of `unit`. Row k of every channel is the same draw, so that they add up"
    )

    def draws(self) -> list[list[float]]:
        """A row per draw: response and carry-out with each factor."""
        return [[self.unit * level for level in accumulate(row)] for row in self.steps]


class CurveDates(Exchanged):
    """Dates, and how spends are spread over them."""

    name: str = Field(description="e.g. `window`, `last-13`, `next-13-last-year`, `next-52-even`")
    start: date = Field(description="first day of the first period")
    end: date = Field(description="first day of the last period")
    periods: int = Field(description="how many there are")
    pattern: Pattern = Field(
        description="how a channel's spend is spread over the periods: as it was spent; as in the same "
        "periods a year before; or evenly"
    )
    channels: list[CurveChannel] = Field(description="the paid channels, in the order of the request")


class CurvesDocument(Exchanged):
    """curves.json: joint draws of what each paid channel earns with 0 to 3 times its spend.

    Whatever is asked about these dates (other totals, bounds, splits) can be answered from it without a job.
    """

    schema_version: SchemaVersion = SCHEMA_VERSION
    dependent: str = Field(description="column that is explained")
    dependent_type: Literal["revenue", "conversion"] = Field(description="answered with ROAS, or with CPA")
    interval: Interval = Field(description="length of a period")
    factors: list[float] = Field(description="what a channel's `spend` is multiplied by; ascending from 0")
    dates: list[CurveDates] = Field(description="the dates that can be asked about")
    notes: list[str] = Field([], description="what must be known to read them")
    regions: list[str] = Field([], description="regions whose curves are in curves_regions.json")

    @model_validator(mode="after")
    def _even(self) -> Self:
        for dates in self.dates:
            _check(dates.name, dates.channels, len(self.factors))
        return self


class RegionCurves(Exchanged):
    """The curves of one region."""

    name: str = Field(description="its name")
    dates: list[CurveDates] = Field(description="the dates that can be asked about, the same in every region")


class RegionCurvesDocument(Exchanged):
    """curves_regions.json: what curves.json tells of all regions together, told of each of them.

    It has fewer dates and, of many regions, fewer draws. Row k of every channel of every region is the same
    draw, so that they add up, and what regions spend and are expected to earn adds up to that of curves.json.
    """

    schema_version: SchemaVersion = SCHEMA_VERSION
    factors: list[float] = Field(description="as in curves.json")
    regions: list[RegionCurves] = Field(description="in the order of their names")

    @model_validator(mode="after")
    def _even(self) -> Self:
        for dates in zip(*(region.dates for region in self.regions), strict=True):
            channels = [channel for one in dates for channel in one.channels]
            _check(dates[0].name, channels, len(self.factors))
        return self


def _check(dates: str, channels: Sequence[CurveChannel], count: int) -> None:
    for channel in channels:
        lengths = {len(channel.response), len(channel.carry_out), *map(len, channel.steps)}
        if lengths != {count}:
            raise ValueError(f"{dates}, {channel.name}: a curve has not {count} values")
    if len({len(channel.steps) for channel in channels if channel.steps}) > 1:
        raise ValueError(f"{dates}: channels have different numbers of draws")
