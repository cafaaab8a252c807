"""A country: its best models ranked, how stable each channel is, and which model is in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pydantic import ValidationError

from contracts import names
from contracts.comparison import CountryQuery, WeightsQuery
from contracts.job import KnownCountries, ModelInUse
from contracts.summary import CountryMonth, CountryRun, CountrySummary
from functions.ports import NotFound, Ports
from functions.web import charts, views
from functions.web.charts import Spec
from functions.web.compare import Change, ChannelCompared, change, interval_rows
from functions.web.problems import Unknown

WEIGHTS: dict[str, float] = WeightsQuery().model_dump()
"""What a model's score is made of, and how much each part counts if nobody says otherwise."""
_NOTHING_LEFT = {"nrmse": 0.4, "rssd": 0.5}
"""Errors at which a part of the score is 0."""
_WORDS = {"good": 1.0, "doubtful": 0.5, "bad": 0.0, None: 0.5}
_RANKED, _OF_MONTH, _STABILITY = 25, 200, 10
"""Runs that are ranked, those of a month, and the latest runs that stability is judged by."""
_DRAWN = 5


@dataclass(frozen=True)
class Ranked:
    """A run with its score."""

    run: CountryRun
    score: float
    """From 0 to 1."""


@dataclass(frozen=True)
class CountryView:
    """What the page of a country shows."""

    country: str
    summary: CountrySummary | None
    """None as long as no run has succeeded, or none since it has had the fields of today."""
    in_use: ModelInUse | None
    weights: Mapping[str, float]
    month: CountryMonth | None
    """The month whose runs are shown; None: the best and the latest are."""
    nothing: str
    """What is said where no runs are listed."""

    @cached_property
    def runs(self) -> list[CountryRun]:
        """The best and the latest runs, or those of the month, newest first."""
        if self.month:
            return self.month.runs
        known = [*self.summary.latest, *self.summary.best] if self.summary else []
        return sorted(
            {run.job_id: run for run in known}.values(), key=lambda run: run.succeeded_at, reverse=True
        )

    @property
    def months(self) -> dict[str, int]:
        """The closed months in which runs succeeded, the newest first, and how many each has."""
        counts = self.summary.counts if self.summary else {}
        return {month: counts[month] for month in sorted(counts, reverse=True) if counts[month]}

    @cached_property
    def ranked(self) -> list[Ranked]:
        """The best runs by the weights."""
        scored = [Ranked(run, score(run, self.weights)) for run in self.runs]
        return sorted(scored, key=lambda one: -one.score)[: _OF_MONTH if self.month else _RANKED]

    @cached_property
    def latest(self) -> list[CountryRun]:
        """The latest runs that say what each channel earned."""
        return [run for run in self.runs if run.channels][:_STABILITY]

    @cached_property
    def channels(self) -> list[ChannelCompared]:
        """Each paid channel over the latest runs."""
        every = [{one.name: one for one in run.channels} for run in self.latest]
        known = dict.fromkeys(name for channels in every for name in channels)
        return [ChannelCompared(name, [channels.get(name) for channels in every]) for name in known]

    @property
    def moved(self) -> dict[str, Change]:
        """Whether the latest run contradicts the one before it, by channel."""
        return {
            one.name: change([run for run in one.runs[:2] if run]) if len(one.runs) > 1 else "unknown"
            for one in self.channels
        }

    @property
    def metric(self) -> str:
        """ROAS or CPA."""
        return "CPA" if self.latest and self.latest[0].metric == "cpa" else "ROAS"


def score(run: CountryRun, weights: Mapping[str, float]) -> float:
    """How good a run is, from 0 to 1: the weighted mean of its parts."""
    parts = {
        "r2": min(max(run.r2 or 0.0, 0.0), 1.0),
        "nrmse": max(0.0, 1 - run.nrmse / _NOTHING_LEFT["nrmse"]),
        "rssd": 0.0 if run.rssd is None else max(0.0, 1 - run.rssd / _NOTHING_LEFT["rssd"]),
        "trust": _WORDS[run.worst],
    }
    total = sum(weights.values())
    return sum(weights[name] * part for name, part in parts.items()) / total if total else 0.0


def country_view(ports: Ports, country: str, query: CountryQuery) -> CountryView:
    """A country in two reads, and one more for a month.

    Raises:
        Unknown: there are no runs of the month.
    """
    summary, nothing = None, f"no run of {country} has succeeded yet"
    try:
        summary = CountrySummary.model_validate_json(ports.objects.read(names.summary(country)))
    except NotFound:
        pass
    except ValidationError:
        nothing = (
            f"an earlier release listed the runs of {country}; the next run that succeeds lists all anew, "
            "and so does `python -m infra.ops backfill`"
        )
    month = _month(ports, country, query.month) if query.month else None
    weights = query.model_dump(exclude={"month"})
    return CountryView(country, summary, views.in_use(ports, country), weights, month, nothing)


def _month(ports: Ports, country: str, month: str) -> CountryMonth:
    try:
        return CountryMonth.model_validate_json(ports.objects.read(names.country_month(country, month)))
    except NotFound as error:
        told = f"no run of {country} succeeded in {month}, or the month is not closed yet"
        raise Unknown(f"{told}; the latest runs are listed without it") from error


def known_countries(ports: Ports) -> list[str]:
    """The countries that have had usable data, by name."""
    known = ports.jobs.get(KnownCountries, KnownCountries.KEY)
    return sorted(known.countries) if known else []


def stability_chart(view: CountryView) -> Spec | None:
    """Intervals of each channel in the latest runs."""
    rows = interval_rows(view.channels, [run.job_id for run in view.latest[:_DRAWN]])
    return charts.intervals(rows, view.metric, f"{view.metric} of each channel in the latest runs")
