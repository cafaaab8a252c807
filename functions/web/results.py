"""What the page of a result shows: the answer, how far to believe it, and where the numbers come from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TypeVar

from pydantic import BaseModel

from contracts import names
from contracts.figures import FigureChannel, ModelFigures, figures_name
from contracts.job import Finding, Job, JobState, ModelInUse
from contracts.posterior import ShortInterval
from contracts.result import Allocation
from contracts.summary import ModelSummary
from contracts.trust import TrustLine, worst
from functions.ports import NotFound, Ports
from functions.web import charts, views
from functions.web.problems import Unknown

M = TypeVar("M", bound=BaseModel)
F = TypeVar("F")


_SAME_TOTAL = 0.005
"""By which share of it a budget may differ from what was spent, and still be called the same."""


@dataclass(frozen=True)
class ChannelRow:
    """One channel of a model, as the table shows it."""

    name: str
    spend: float | None
    contribution: float
    """Expected by the posterior, or where there is none that of the model; so are `share` and `marginal`."""
    share: float | None
    efficiency: float | None
    """ROAS or CPA of the model."""
    low: float | None = None
    """5 % of the posterior."""
    middle: float | None = None
    high: float | None = None
    least: float | None = None
    """5 % of the contribution."""
    most: float | None = None
    """95 % of the contribution."""
    marginal: float | None = None
    before: float | None = None
    proposed: float | None = None
    verdict: str = ""
    findings: Sequence[Finding] = ()

    @property
    def inside(self) -> bool | None:
        """Whether the model lies in the posterior's interval."""
        if self.efficiency is None or self.low is None or self.high is None:
            return None
        return self.low <= self.efficiency <= self.high

    @property
    def change(self) -> float | None:
        """By what share the proposed spend is more than before."""
        return self.proposed / self.before - 1 if self.proposed is not None and self.before else None


@dataclass(frozen=True)
class ResultView:
    """One model of a finished job; the best one unless another is asked for."""

    job: Job
    summary: ModelSummary
    figures: ModelFigures | None
    """None in results of former releases."""
    in_use: ModelInUse | None
    """What the country uses."""

    @property
    def solution(self) -> str:
        """The model that is shown."""
        return self.figures.sol_id if self.figures else self.best

    @property
    def best(self) -> str:
        """The best model."""
        return self.summary.best_model.sol_id

    @property
    def metric(self) -> str:
        """ROAS or CPA."""
        return "ROAS" if self.summary.dependent_type == "revenue" else "CPA"

    @property
    def uses_this(self) -> bool:
        """Whether the country uses the model that is shown."""
        used = self.in_use
        return bool(used and (used.job_id, used.sol_id) == (self.job.job_id, self.solution))

    @property
    def budget(self) -> Allocation | None:
        """The answer to the budget question, if it has one."""
        budget = self.summary.budget
        return budget if budget and budget.feasible and budget.after else None

    @property
    def refusal(self) -> str | None:
        """Why the budget question has no answer."""
        budget = self.summary.budget
        return budget.reason if budget and not budget.feasible else None

    @property
    def asked_of_budget(self) -> str:
        """What the budget question asks, in words."""
        budget = self.budget
        if budget is None or budget.scenario != "max_response":
            told = {"historical": "What the spend as it was earns"}
            return told.get(budget.scenario if budget else "", "The most at the target that was asked for")
        before, after = (part.spend if part else None for part in (budget.before, budget.after))
        if not before or after is None or abs(after / before - 1) < _SAME_TOTAL:
            return "The most for the same budget"
        return f"The most for {100 * (after / before - 1):+.0f} % of budget"

    @property
    def gain(self) -> float | None:
        """By what share the proposal earns more than what was spent."""
        budget = self.budget
        if budget is None or budget.before is None or budget.after is None:
            return None
        before = budget.before.earned.mean if budget.before.earned else budget.before.response
        more = budget.gain.mean if budget.gain else (budget.after.response or 0.0) - (before or 0.0)
        return more / before if before else None

    @property
    def all_paid(self) -> tuple[float, float] | None:
        """What all paid channels earned, and what share of everything that is; None if that is not known."""
        paid = [row for row in self.channels if row.spend is not None]
        if not paid or any(row.share is None for row in paid):
            return None
        return sum(row.contribution for row in paid), sum(row.share or 0.0 for row in paid)

    @cached_property
    def channels(self) -> list[ChannelRow]:
        """Paid channels, the largest contribution first, then organic ones."""
        if self.figures:
            rows = [self._of_figures(channel) for channel in self.figures.channels]
        else:
            rows = [self._of_summary(number) for number in range(len(self.summary.best_model.channels))]
        return sorted(rows, key=lambda row: (row.spend is None, -row.contribution))

    def _of_figures(self, channel: FigureChannel) -> ChannelRow:
        told = channel.told
        return ChannelRow(
            channel.name,
            channel.spend,
            told.mean if told else channel.response,
            told.share if told else channel.share,
            channel.efficiency,
            channel.low,
            channel.middle,
            channel.high,
            told.low if told else None,
            told.high if told else None,
            told.next_unit if told else channel.marginal,
            channel.before,
            channel.proposed,
            self._told[channel.name].verdict if channel.name in self._told else "",
            self._findings_of(channel.name),
        )

    def _of_summary(self, number: int) -> ChannelRow:
        channel = self.summary.best_model.channels[number]
        told = self._told.get(channel.name)
        return ChannelRow(
            channel.name,
            channel.spend,
            channel.response,
            channel.response_share,
            channel.roas if self.metric == "ROAS" else channel.cpa,
            told.q05 if told else None,
            told.q50 if told else None,
            told.q95 if told else None,
            findings=self._findings_of(channel.name),
        )

    @cached_property
    def _told(self) -> dict[str, ShortInterval]:
        """What the posterior says of each paid channel, unless it has not converged."""
        told = self.summary.best_model.posterior
        return {one.name: one for one in told.channels} if told and told.converged else {}

    def _findings_of(self, name: str) -> list[Finding]:
        return [one for one in self.job.findings if one.column == name and one.severity == "warning"]

    @cached_property
    def topics(self) -> list[TrustLine]:
        """The worst line of each topic of the checks, as they are told beside the answer."""
        lines = self.summary.trust
        return [
            next(line for line in of_topic if line.word == worst(of_topic))
            for _, group in groupby(lines, key=lambda line: line.topic)
            for of_topic in (list(group),)
        ]

    @cached_property
    def winners(self) -> list[str]:
        """The models to choose from, the best one first."""
        known = self.figures.models if self.figures else []
        return list(dict.fromkeys([self.best, *(one.sol_id for one in known if one.winner)]))

    @cached_property
    def charts(self) -> list[str]:
        """Names of the charts that the model has."""
        return [name for name, one in charts.CHARTS.items() if self.figures and one.spec(self.figures)]


def result_of(ports: Ports, job: Job, model: str | None) -> ResultView | None:
    """The result of a job; None if it has none. Four reads at most.

    Raises:
        Unknown: the result has no such model.
    """
    if job.state is not JobState.SUCCEEDED:
        return None
    summary = _read(ports, ModelSummary, names.model_summary(job))
    if summary is None:
        return None
    figures = figures_of(ports, job, summary, model)
    return ResultView(job, summary, figures, views.in_use(ports, job.country))


def figures_of(ports: Ports, job: Job, summary: ModelSummary, model: str | None) -> ModelFigures | None:
    """The figures of a model of a result, of the best one if none is named; None in old results.

    Raises:
        Unknown: the result has no such model.
    """
    best = summary.best_model.sol_id
    name = figures_name(model or best, best)
    if name in summary.files:
        return _read(ports, ModelFigures, names.results(job) + name)
    if model and model != best:
        raise Unknown(f"there are no figures of a model '{model}' in job {job.job_id}")
    return None


def _read(ports: Ports, model: type[M], name: str) -> M | None:
    try:
        return model.model_validate_json(ports.objects.read(name))
    except NotFound:
        return None


_KINDS: tuple[tuple[str, str, str], ...] = (
    (r"onepager\.png", "Pictures", "the best model on one page"),
    (r"\d+_\d+_\d+\.png", "Pictures", "another winner on one page"),
    (r"(?:\d+_\d+_\d+_)?roas\.png", "Pictures", "what each channel earns"),
    (r"(?:\d+_\d+_\d+_)?curves\.png", "Pictures", "response curves"),
    (r"(?:\d+_\d+_\d+_)?contributions\.png", "Pictures", "what made the total"),
    (r"(?:\d+_\d+_\d+_)?fit\.png", "Pictures", "actual and predicted"),
    (r"(?:\d+_\d+_\d+_)?allocation\.png", "Pictures", "spend today and proposed"),
    (r"allocator\.png", "Pictures", "the budget answer"),
    (r"plans\.png", "Pictures", "what the plans of the budget questions earn"),
    (r"posterior_regions\.png", "Pictures", "what channels earn in each region"),
    (r"posterior\.png", "Pictures", "what the data say about each channel"),
    (r"pareto_front\.png", "Pictures", "the search"),
    (r"prophet_decomp\.png", "Pictures", "trend, season and holidays"),
    (r"report_.*\.png", "Pictures", "the chain of refreshes"),
    (r"model_summary\.json", "Answers", "the result in short"),
    (r"best_model\.json", "Answers", "the best model in full"),
    (r"posterior\.json", "Answers", "what the data say about each channel"),
    (r"trust\.json", "Answers", "whether the result can be trusted"),
    (r"changes\.json", "Answers", "what has changed since the job before it in its series"),
    (r"allocator(?:-\d+)?\.json", "Answers", "a budget answer"),
    (r"curves\.json", "Answers", "response curves with their intervals"),
    (r"curves_regions\.json", "Answers", "response curves of each region"),
    (r"figures.*\.json", "Answers", "what the charts show"),
    (r"refresh\.json", "Answers", "what the refresh continues"),
    (r"validation\.json", "Data", "what was found and changed in the data"),
    (r"annotations\..*", "Data", "the notes on the time axes"),
    (r"model\.json", "Models", "the best model, to compute it again"),
    (r"RobynModel-.*\.json", "Models", "another winner, to compute it again"),
    (r".*\.rds", "Models", "Robyn's own object, for R"),
    (r"models\.parquet", "Models", "every candidate"),
    (r"posterior\.parquet", "Models", "joint draws"),
    (r"posterior_regions\.parquet", "Models", "joint draws of each region"),
    (r"config\.json", "Provenance", "exactly what was trained"),
    (r"provenance\.json", "Provenance", "engine, versions, seed"),
    (r"timings\.json", "Provenance", "seconds, CPU and memory of each step"),
    (r"console\.log|log-.*\.txt", "Provenance", "the log"),
    (r"manifest\.json", "Provenance", "every file with its checksum"),
    (r"regions\..*", "Tables", "spend, contribution and ROAS or CPA by region and channel, with intervals"),
    (r".*_reallocated\..*", "Tables", "the budget answer"),
    (r".*_plans\..*", "Tables", "what the plans of the budget questions earn"),
    (r"pareto_hyperparameters\..*", "Tables", "hyperparameters and errors of each Pareto model"),
    (r"pareto_aggregated\..*", "Tables", "contribution, spend and ROAS or CPA by model and variable"),
    (r"pareto_alldecomp_matrix\..*", "Tables", "contributions by model and period"),
    (r"pareto_clusters_ci\..*", "Tables", "how far similar models disagree"),
    (r"pareto_clusters\..*", "Tables", "which models are similar"),
    (r"pareto_calibration\..*", "Tables", "predicted against measured lift"),
    (r"report_.*", "Tables", "the chain of refreshes"),
)
GROUPS = ("Pictures", "Answers", "Tables", "Models", "Data", "Provenance", "Others")


def kind_of(file: str) -> tuple[str, str]:
    """The group that a file of a job stands in, and what it holds."""
    for pattern, group, holds in _KINDS:
        if re.fullmatch(pattern, file):
            return group, holds
    return "Others", ""


def grouped(files: Sequence[F]) -> list[tuple[str, list[F]]]:
    """Files, or their names, by the groups that they are shown in."""
    kinds = [(kind_of(getattr(file, "name", str(file)))[0], file) for file in files]
    found = [(group, [file for kind, file in kinds if kind == group]) for group in GROUPS]
    return [(group, members) for group, members in found if members]
