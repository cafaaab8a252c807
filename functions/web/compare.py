"""Several jobs side by side: what was asked differently, what came of it, and which changes are real."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from statistics import fmean
from typing import Any, Literal

from contracts import names
from contracts.changes import SURE, probability_of_change
from contracts.job import Job, JobState
from contracts.summary import ModelSummary, RunChannel
from contracts.trust import Word
from functions.ports import NotFound, Ports
from functions.web import charts
from functions.web.actions import job_of
from functions.web.charts import Spec

MOST = 5
"""Jobs that are compared at most."""
_SAME_FOR_ALL = ("request_id", "requested_by", "labels")
_STABLE, _UNSTABLE = 0.3, 1.0
Change = Literal["real", "not told apart", "unknown"]


@dataclass(frozen=True)
class Compared:
    """One job of a comparison."""

    job: Job
    summary: ModelSummary | None
    """None while it has no result."""

    @property
    def name(self) -> str:
        """The job as people know it."""
        return self.job.request_id

    @cached_property
    def said(self) -> dict[str, str]:
        """What was asked, before defaults, by the path of each field."""
        return dict(_flat(self._request))

    @cached_property
    def asked(self) -> dict[str, str]:
        """What was asked, defaults filled in, by the path of each field."""
        return dict(_flat({**self._request, **(self.summary.inputs if self.summary else {})}))

    @property
    def _request(self) -> dict[str, Any]:
        return {key: value for key, value in self.job.asked.items() if key not in _SAME_FOR_ALL}

    @property
    def channels(self) -> dict[str, RunChannel]:
        """The paid channels of its best model, by name."""
        if self.summary is None:
            return {}
        best, revenue = self.summary.best_model, self.summary.dependent_type == "revenue"
        told = best.posterior.channels if best.posterior and best.posterior.converged else []
        middles = {one.name: one for one in told}
        return {
            one.name: RunChannel(
                name=one.name,
                share=one.response_share,
                efficiency=one.roas if revenue else one.cpa,
                low=middles[one.name].q05 if one.name in middles else None,
                middle=middles[one.name].q50 if one.name in middles else None,
                high=middles[one.name].q95 if one.name in middles else None,
            )
            for one in best.channels
            if one.spend is not None
        }


@dataclass(frozen=True)
class AskedRow:
    """One field of the requests."""

    path: str
    values: Sequence[str | None]
    """One for each job; None: not asked."""
    differs: bool
    """Whether not all jobs ask the same. What a part of the request, such as a budget question, has by
    default is no difference to a job that has no such part."""


@dataclass(frozen=True)
class ChannelCompared:
    """One channel in several runs."""

    name: str
    runs: Sequence[RunChannel | None]

    @property
    def spread(self) -> float | None:
        """The highest value less the lowest, over their mean; None with fewer than two."""
        known = [value for run in self.runs if run and (value := run.middle or run.efficiency) is not None]
        return (max(known) - min(known)) / fmean(known) if len(known) > 1 and fmean(known) else None

    @property
    def word(self) -> Word | None:
        """How stable the channel is."""
        if self.spread is None:
            return None
        return "good" if self.spread <= _STABLE else "doubtful" if self.spread <= _UNSTABLE else "bad"

    @property
    def change(self) -> Change:
        """Whether it is sure that two runs differ."""
        return change([run for run in self.runs if run])


def change(runs: Sequence[RunChannel]) -> Change:
    """Whether it is probable at 0.9 that what a channel earns differs between two of the runs."""
    known = [
        (run.low, run.middle, run.high)
        for run in runs
        if run.low is not None and run.middle is not None and run.high is not None
    ]
    if len(known) < 2:
        return "unknown"
    apart = any(probability_of_change(a, b) >= SURE for a, b in combinations(known, 2))
    return "real" if apart else "not told apart"


@dataclass(frozen=True)
class Comparison:
    """Two to five jobs."""

    jobs: Sequence[Compared]

    @cached_property
    def asked(self) -> list[AskedRow]:
        """Every field that any of them asks, in their order."""
        paths = dict.fromkeys(path for one in self.jobs for path in one.asked)
        parts = [{_part(path) for path in one.asked} for one in self.jobs]
        rows = []
        for path in paths:
            values = [one.asked.get(path) for one in self.jobs]
            said = any(path in one.said for one in self.jobs)
            counted = [
                value for value, known in zip(values, parts, strict=True) if said or _part(path) in known
            ]
            rows.append(AskedRow(path, values, differs=len(set(counted)) > 1))
        return rows

    @cached_property
    def channels(self) -> list[ChannelCompared]:
        """Every paid channel of any of them."""
        every = [one.channels for one in self.jobs]
        known = dict.fromkeys(name for channels in every for name in channels)
        return [ChannelCompared(name, [channels.get(name) for channels in every]) for name in known]

    @property
    def warnings(self) -> list[str]:
        """What makes a comparison unfair."""
        done = [one for one in self.jobs if one.summary]
        told = []
        for what, values in (
            ("data (fingerprint)", {one.job.fingerprint for one in done}),
            ("countries", {one.job.country for one in done}),
            ("dependent columns", {one.summary.dependent for one in done if one.summary}),
            ("kinds of dependent variable", {one.summary.dependent_type for one in done if one.summary}),
            (
                "modelling windows",
                {(one.summary.window_start, one.summary.window_end) for one in done if one.summary},
            ),
        ):
            if len(values) > 1:
                told.append(what)
        return told

    @property
    def metric(self) -> str:
        """ROAS or CPA."""
        kinds = {one.summary.dependent_type for one in self.jobs if one.summary}
        return "CPA" if kinds == {"conversion"} else "ROAS"


def comparison(ports: Ports, job_ids: Sequence[str]) -> Comparison:
    """The jobs with their summaries.

    Raises:
        Unknown: there is no such job.
    """
    return Comparison([_compared(ports, job_of(ports, job_id)) for job_id in job_ids])


def _compared(ports: Ports, job: Job) -> Compared:
    if job.state is not JobState.SUCCEEDED:
        return Compared(job, None)
    try:
        text = ports.objects.read(names.model_summary(job))
    except NotFound:
        return Compared(job, None)
    return Compared(job, ModelSummary.model_validate_json(text))


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of a document with their paths; lists of plain values are one leaf."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _flat(entry, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(entry, dict | list) for entry in value):
        for number, entry in enumerate(value):
            yield from _flat(entry, f"{path}[{number}]")
    elif value not in (None, [], ""):
        yield path, ", ".join(map(_text, value)) if isinstance(value, list) else _text(value)


def _text(value: object) -> str:
    """A plain value as it stands in a request."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _part(path: str) -> str:
    """The field of the request that a path begins with."""
    return path.partition(".")[0].partition("[")[0]


def roas_chart(compared: Comparison) -> Spec | None:
    """Intervals of each channel, a line per run."""
    rows = interval_rows(compared.channels, [one.name for one in compared.jobs])
    return charts.intervals(rows, compared.metric, f"{compared.metric} of each channel in each run")


def interval_rows(channels: Sequence[ChannelCompared], runs: Sequence[str]) -> list[charts.Row]:
    """A row per channel and run, for `charts.intervals`; `runs` names the first runs of each channel."""
    return [
        {
            "channel": channel.name,
            "run": name,
            "value": run.middle if run.middle is not None else run.efficiency,
            "low": run.low,
            "high": run.high,
        }
        for channel in channels
        for name, run in zip(runs, channel.runs[: len(runs)], strict=True)
        if run
    ]


def shares_chart(compared: Comparison) -> Spec | None:
    """Shares of each channel, a bar per run."""
    rows = [
        {"channel": channel.name, "run": one.name, "share": run.share}
        for channel in compared.channels
        for one, run in zip(compared.jobs, channel.runs, strict=True)
        if run
    ]
    return charts.shares(rows) if rows else None


CHARTS = {"roas": roas_chart, "shares": shares_chart}
"""The charts of a comparison, by name."""
