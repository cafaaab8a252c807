"""What has changed from a job to the one after it in its series, and what is probable enough to say so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from math import inf, log
from statistics import NormalDist
from typing import Literal

from pydantic import Field

from contracts.base import (
    SCHEMA_VERSION,
    Exchanged,
    OfAttempt,
    OfCountry,
    OfJob,
    OfRequest,
    OfRevision,
    SchemaVersion,
    Timestamp,
)
from contracts.posterior import PosteriorDocument, Quantiles
from contracts.trust import Word

SURE = 0.9
"""A change is called one if it is as probable as this."""
_NINETY_WIDTH = 3.29
"""From 5 % to 95 % of a normal distribution, in standard deviations."""
_LESS_R2 = 0.01
"""Fall of R² from which on a model fits worse than another."""
_MORE_NRMSE = 1.05
"""Factor of NRMSE from which on a model fits worse than another."""

Interval = tuple[float, float, float]
"""5 %, 50 % and 95 % of ROAS or CPA."""


class Predecessor(Exchanged):
    """The job that another one of its series is compared with."""

    job_id: OfJob
    attempt: OfAttempt
    request_id: OfRequest
    accepted_at: Timestamp = Field(description="when the request was accepted, UTC")


class FormerFiles(Predecessor):
    """Where the trainer finds what a predecessor left."""

    prepared: str = Field(description="object that holds its prepared data, Parquet")
    validation: str = Field(description="object that holds what validation found in its data")
    results: str = Field(description="prefix of the files of its result")
    deleted_by: str | None = Field(
        None, description="who had the files of the result deleted; left out: nobody"
    )


class Series(Exchanged):
    """The jobs that one job is the next of."""

    country: OfCountry
    revision: OfRevision
    schedule: str | None = Field(None, description="schedule whose runs alone count; left out: all jobs")
    refreshes: bool = Field(False, description="whether the job continues the model of its predecessor")
    predecessor: FormerFiles | None = Field(
        None, description="newest job before it that succeeded with a result; left out: it is the first"
    )


class ColumnChange(Exchanged):
    """A column with other values in periods that both jobs have."""

    name: str = Field(description="name of the column")
    periods: int = Field(description="in how many of them its value is another one")
    first: date = Field(description="first day of the first of these")
    last: date = Field(description="first day of the last of these")
    before: float | None = Field(
        None, description="former sum over all periods that both have; left out: the column holds text"
    )
    now: float | None = Field(None, description="the same sum now")


class Span(Exchanged):
    """Periods that only one of two jobs has."""

    periods: int = Field(description="how many")
    first: date = Field(description="first day of the first of them")
    last: date = Field(description="first day of the last of them")


class DataChange(Exchanged):
    """How the prepared data differ."""

    periods: int = Field(description="periods that both have")
    start: date | None = Field(None, description="first day of the first of them; left out: there are none")
    end: date | None = Field(None, description="first day of the last of them; left out: there are none")
    restated: int = Field(description="in how many of them some value is another one")
    columns: list[ColumnChange] = Field([], description="the columns with such values, most periods first")
    new_periods: Span | None = Field(None, description="periods that only this job has; left out: none")
    lost_periods: Span | None = Field(
        None, description="periods that only the predecessor has; left out: none"
    )
    new_columns: list[str] = Field([], description="columns of the source that it did not have before")
    lost_columns: list[str] = Field([], description="columns of the source that it has no more")
    taken_up: list[str] = Field([], description="columns that the model uses and did not use before")
    left_out: list[str] = Field([], description="columns that the model used before and does not any more")


class ChannelChange(Exchanged):
    """What a channel earned by a former posterior, and by this one."""

    name: str = Field(description="spend column")
    before: Interval = Field(description="5 %, 50 % and 95 % of ROAS or CPA, by the former posterior")
    now: Interval = Field(description="the same by this one")
    probability: float = Field(description="that it moved in the direction in which its median moved")
    changed: bool = Field(description="whether that is at least 0.9; otherwise nothing has happened for sure")


class TrustChange(Exchanged):
    """A check whose verdict is another one."""

    topic: str = Field(description="topic of the check")
    check: str = Field(description="short name of the check")
    before: Word = Field(description="former verdict")
    now: Word = Field(description="verdict now")
    figure: str = Field(description="the number now, as people read it")


class Fit(Exchanged):
    """How well a best model fits."""

    r2: float | None = Field(description="adjusted R² on the rows that were trained on")
    nrmse: float = Field(description="its prediction error")


class FitChange(Exchanged):
    """How well a refresh and the model that it continues fit."""

    before: Fit = Field(description="that of the best model of the predecessor")
    now: Fit = Field(description="that of the best model of this job")
    verdict: Literal["better", "alike", "worse"] = Field(
        description="`alike`: R² moved by less than 0.01, and NRMSE by less than 5 %"
    )


class _InWords(Exchanged):
    """What has changed since the predecessor, in words."""

    predecessor: Predecessor | None = Field(
        None, description="job that it was compared with; left out: there is none"
    )
    reason: str = Field("", description="why nothing was compared; empty if something was")
    changed: list[str] = Field([], description="what has changed; of channels only what is probable at 0.9")
    unchanged: list[str] = Field([], description="what has not, or not for sure")
    unknown: list[str] = Field([], description="what could not be compared, and why")


class ChangesShort(_InWords):
    """What has changed since the predecessor, in short, for messages."""

    restated: int = Field(0, description="periods that both have and in which some value is another one")
    channels: list[str] = Field([], description="spend columns that earn more or less, probably at 0.9")


class ChangesDocument(_InWords):
    """changes.json: what has changed since the predecessor in the job's series."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    data: DataChange | None = Field(None, description="the prepared data; left out: not compared")
    metric: Literal["ROAS", "CPA"] | None = Field(
        None, description="what the channels' numbers are; left out: none were compared"
    )
    channels: list[ChannelChange] = Field([], description="paid channels of both jobs")
    trust: list[TrustChange] = Field([], description="checks whose verdict is another one")
    best_model: FitChange | None = Field(
        None, description="only of a refresh: other searches begin anew, and what they find differs by chance"
    )

    def short(self) -> ChangesShort:
        """The same in short."""
        return ChangesShort(
            predecessor=self.predecessor,
            reason=self.reason,
            changed=self.changed,
            unchanged=self.unchanged,
            unknown=self.unknown,
            restated=self.data.restated if self.data else 0,
            channels=[one.name for one in self.channels if one.changed],
        )


def probability_of_change(before: Interval, now: Interval) -> float:
    """The probability, 0.5 to 1, that ROAS or CPA moved in the direction in which its median moved.

    Both posteriors are taken as log-normal and independent. Data that they have in common make the true
    probability higher, so that changes are rather missed than invented. Where an interval has no logarithm
    nothing is known, which is 0.5.
    """
    if not all(0 < end < inf for end in (*before, *now)):
        return 0.5
    sds = [(log(high) - log(low)) / _NINETY_WIDTH for low, _, high in (before, now)]
    sd = (sds[0] ** 2 + sds[1] ** 2) ** 0.5
    moved = abs(log(now[1]) - log(before[1]))
    return NormalDist().cdf(moved / sd) if sd > 0 else float(0.5 + 0.5 * (moved > 0))


def changes(before: PosteriorDocument, now: PosteriorDocument) -> list[ChannelChange]:
    """Of every paid channel that both posteriors have; none where the chains of one do not agree."""
    if not (before.converged and now.converged) or before.dependent_type != now.dependent_type:
        return []
    earlier = dict(_intervals(before))
    found = []
    for name, interval in _intervals(now):
        if name in earlier:
            chance = probability_of_change(earlier[name], interval)
            found.append(
                ChannelChange(
                    name=name,
                    before=earlier[name],
                    now=interval,
                    probability=chance,
                    changed=chance >= SURE,
                )
            )
    return found


def worse(before: Fit, now: Fit) -> Iterator[str]:
    """In which respects a model fits clearly worse than another, in words; none if in none."""
    if before.r2 is not None and now.r2 is not None and before.r2 - now.r2 >= _LESS_R2:
        yield f"R² {before.r2:.2f} became {now.r2:.2f}"
    if now.nrmse >= before.nrmse * _MORE_NRMSE:
        yield f"NRMSE {before.nrmse:.4f} became {now.nrmse:.4f}"


def _intervals(document: PosteriorDocument) -> list[tuple[str, Interval]]:
    metrics = [(channel.name, channel.roas or channel.cpa) for channel in document.channels]
    return [(name, _interval(found)) for name, found in metrics if found]


def _interval(found: Quantiles) -> Interval:
    return found.q05, found.q50, found.q95
