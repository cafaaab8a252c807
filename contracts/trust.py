"""Whether a result can be trusted, computed for every job: trust.json."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal, get_args

from pydantic import Field

from contracts.base import SCHEMA_VERSION, Exchanged, SchemaVersion

Checks = Literal["quick", "full"]
Word = Literal["good", "doubtful", "bad"]
_WORDS: tuple[Word, ...] = get_args(Word)


class TrustLine(Exchanged):
    """One thing that speaks for or against a result."""

    topic: str = Field(description="fit, search, sampler, agreement, data, backtest, stability, simulation")
    check: str = Field(description="short name of the check, as in the table of thresholds")
    word: Word = Field(description="good, doubtful or bad")
    value: float = Field(description="the number that the word is about")
    figure: str = Field(description="the number as people read it")
    reason: str = Field(description="what it means")
    advice: str = Field("", description="what to do about it; empty if it is good")


def worst(lines: Sequence[TrustLine]) -> Word | None:
    """The worst verdict of the checks; None if nothing was checked."""
    return max((line.word for line in lines), key=_WORDS.index, default=None)


class Backtest(Exchanged):
    """A forecast of the last periods by a posterior that has not seen them."""

    periods: int = Field(description="periods that were left out")
    start: date = Field(description="first day of the first of them")
    error: float = Field(description="mean absolute error of the forecast's medians, over the mean of sales")
    covered: float = Field(description="share of the periods that lie inside their 90 % interval")
    error_year_before: float | None = Field(
        None, description="the same of the values a year before; left out: the window has none"
    )
    error_without_media: float = Field(description="the same of the model without media")
    low: list[float] = Field([], description="5 % of the forecast, per period, in units of the dependent")
    middle: list[float] = Field([], description="50 % of it")
    high: list[float] = Field([], description="95 % of it")


class RefitInterval(Exchanged):
    """ROAS or CPA of a channel, by a posterior that has not seen the last periods."""

    periods: int = Field(description="periods that were left out")
    q05: float = Field(description="90 % lie between this and q95")
    q50: float = Field(description="as likely too high as too low")
    q95: float = Field(description="see q05")


class ChannelStability(Exchanged):
    """How a channel's interval moves when periods are taken away."""

    name: str = Field(description="spend column")
    today: RefitInterval = Field(description="with all periods")
    refits: list[RefitInterval] = Field(description="without the last ones")
    moved: float = Field(description="largest move of the median, in standard deviations of today's")


class TellingPair(Exchanged):
    """Whether data like these tell two channels apart."""

    first: str = Field(description="spend column")
    second: str = Field(description="spend column")
    worlds: int = Field(description="worlds in which one earns at least 1.5 times as much as the other")
    told: int = Field(description="of them, those in which the better one was named with 90 %")
    wrong: int = Field(description="of all worlds, those in which the worse one was named with 90 %")


class Planted(Exchanged):
    """Worlds drawn from the posterior on the same spends, and what a posterior of each finds."""

    worlds: int = Field(description="how many")
    holds: float = Field(description="share of the 90 % intervals that hold the truth")
    error: float = Field(description="median relative error of ROAS")
    pairs: list[TellingPair] = Field(description="every two paid channels")


class Placebo(Exchanged):
    """A channel that did nothing: a paid one's series shifted in time, fitted as an extra channel."""

    name: str = Field(description="spend column of the channel whose series was shifted")
    shift: int = Field(description="periods by which it was shifted, around the end of the window")
    credit: float = Field(description="what it is given, over what the channel itself is given; medians")


class TrustDocument(Exchanged):
    """trust.json: what speaks for and against a result."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    checks: Checks = Field(description="quick, or full with planted truth and placebo")
    lines: list[TrustLine] = Field(description="by topic")
    backtests: list[Backtest] = Field([], description="shortest first; none without a posterior")
    stability: list[ChannelStability] = Field([], description="paid channels; none without a posterior")
    planted: Planted | None = Field(None, description="only with `checks: full`")
    placebos: list[Placebo] = Field([], description="only with `checks: full`")
    notes: list[str] = Field([], description="what could not be checked, and why")
