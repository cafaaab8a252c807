"""curves.json: what each channel earns with 0 to 3 times its spend, for dates in the data and after them."""

from __future__ import annotations

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
        "as high as the last year's mean; 0: the channel never had media, and nothing is known of it"
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

    @model_validator(mode="after")
    def _even(self) -> Self:
        count = len(self.factors)
        for dates in self.dates:
            for channel in dates.channels:
                lengths = {len(channel.response), len(channel.carry_out), *map(len, channel.steps)}
                if lengths != {count}:
                    raise ValueError(f"{dates.name}, {channel.name}: a curve has not {count} values")
            if len({len(channel.steps) for channel in dates.channels if channel.steps}) > 1:
                raise ValueError(f"{dates.name}: channels have different numbers of draws")
        return self
