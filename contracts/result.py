"""What a result holds as JSON: the documents that both engines leave, and the trainer's timings.

A number that does not exist, such as the CPA of a channel without effect, is null. Readers ignore fields that
they do not know; fields that earlier releases did not write have a default.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, Field, RootModel

from contracts.base import SCHEMA_VERSION, Exchanged, SchemaVersion
from contracts.changes import ChangesDocument
from contracts.curves import CurvesDocument, Pattern, RegionCurvesDocument
from contracts.figures import ModelFigures
from contracts.posterior import PosteriorDocument, PosteriorShort
from contracts.series import Interval
from contracts.trust import TrustDocument

NO_EFFECT = "no-effect"
"""Code of the warning that no paid channel has any effect in the best model."""


class ResultWarning(Exchanged):
    """What to know before one decides by a result: of the data it comes from, or of its best model."""

    code: str = Field(description="short name of the kind of warning, e.g. `low-r2`")
    column: str | None = Field(None, description="column concerned; None: the data, or the model, as a whole")
    message: str = Field(description="what was found")
    advice: str = Field("", description="what to do about it")


class Metrics(Exchanged):
    """How well a model fits one part of the window; None where there is no such part."""

    r2: float | None = Field(None, description="adjusted R²")
    nrmse: float | None = Field(
        None, description="root mean squared error over the range of the dependent variable"
    )


class Part(Metrics):
    """One part of the window: what was trained, validated or tested on."""

    rows: int = Field(description="periods")


class ChannelResult(Exchanged):
    """What one media channel cost and earned in the window, according to the best model."""

    name: str = Field(description="spend column of a paid channel, or the organic column")
    spend: float | None = Field(None, description="in the currency of the data; None for organic channels")
    response: float = Field(description="contribution, in units of the dependent variable")
    response_share: float = Field(description="contribution over the fitted total")
    roas: float | None = Field(None, description="response per unit of currency (dependent type revenue)")
    cpa: float | None = Field(None, description="currency per unit of response (dependent type conversion)")


class Curve(Exchanged):
    """The response curve of a channel per period, on top of the average carry-over."""

    value: list[float] = Field(description="input per period, in currency (organic: its unit)")
    response: list[float | None] = Field(description="response to each value, in units of the dependent")
    mean_value: float = Field(description="average input per period of the window")
    mean_value_response: float | None = Field(description="response to `mean_value`")
    mean_carryover: float | None = Field(description="average input carried over from earlier periods")


class Channel(ChannelResult):
    """All that the best model says of one media channel."""

    modelled: str = Field(description="column that was modelled: the exposure where there is one")
    paid: bool = Field(description="whether it has spend")
    mean_response: float | None = Field(description="contribution per period")
    mean_spend: float | None = Field(None, description="spend per period, in currency")
    spend_share: float | None = Field(None, description="share of the spend of all paid channels")
    effect_share: float | None = Field(None, description="share of the contribution of all paid channels")
    marginal_roas: float | None = Field(
        None, description="response to one more unit of currency per period, at the average spend"
    )
    marginal_cpa: float | None = Field(
        None, description="currency per unit of response of one more unit of currency per period"
    )
    immediate_share: float | None = Field(
        description="share of the response that the same period's input earned"
    )
    hyperparameters: dict[str, float] = Field(description="`alpha`, `gamma` and the adstock's own")
    coefficient: float = Field(description="asymptotic response per period")
    inflexion: float = Field(description="adstocked input at half saturation")
    curve: Curve = Field(description="response curve")


class PartialTrial(Exchanged):
    """A trial that an error ended, whose candidates were kept as the request allows."""

    trial: int = Field(description="number of the trial, counted from 1")
    candidates: int = Field(description="candidates that were kept")


class ModelRows(Exchanged):
    """The modelling window of a result."""

    start: date = Field(description="first day of the first period")
    end: date = Field(description="first day of the last period")
    rows: int = Field(description="periods")


class Winner(Exchanged):
    """The best model of one cluster of similar Pareto models."""

    sol_id: str = Field(description="name of the model")
    cluster: int = Field(description="number of the cluster, counted from 1")
    models: int = Field(description="Pareto models in the cluster")
    nrmse: float = Field(description="NRMSE")
    rssd: float | None = Field(description="DECOMP.RSSD; None if no channel has any effect")
    mape: float | None = Field(description="calibration error; 0 without calibration")


class Convergence(Exchanged):
    """Whether the search has converged in one objective, by Robyn's rule."""

    objective: str = Field(description="NRMSE, DECOMP.RSSD or MAPE")
    converged: bool = Field(description="whether it has")
    message: str = Field(description="Robyn's words for it")


class SolvedChannel(Exchanged):
    """What the two solvers say of one paid channel."""

    name: str = Field(description="spend column")
    roas: dict[str, float | None] = Field(description="response over spend, by solver")
    distance: float | None = Field(description="relative to the optimum; None: infinite")


class SolvedModel(Exchanged):
    """How far Robyn's solver is from the optimum in one model."""

    sol_id: str = Field(description="name of the model")
    distance: float | None = Field(description="the largest of its channels; None: infinite")
    channels: list[SolvedChannel] = Field(description="the paid channels")


class Solvers(Exchanged):
    """How far Robyn's solver, which stops early, is from the optimum."""

    used: str = Field(description="solver of the search")
    models: list[SolvedModel] = Field(
        [], description="the best model, then the winners; none of the engine robyn"
    )


class SearchSize(Exchanged):
    """What was searched."""

    iterations: int = Field(description="candidates per trial")
    trials: int = Field(description="independent searches")
    seed: int = Field(description="seed of the search")


class Totals(Exchanged):
    """Sums over the window, in units of the dependent variable unless said otherwise."""

    actual: float = Field(description="the dependent variable as it was")
    predicted: float = Field(description="the dependent variable as the model has it")
    baseline: float = Field(description="contribution of base level, Prophet and context")
    media: float = Field(description="contribution of paid and organic media")
    paid: float = Field(description="contribution of paid media")
    organic: float = Field(description="contribution of organic media")
    spend: float = Field(description="spend of all paid channels, in currency")


class Contribution(Exchanged):
    """What one variable contributes in the window."""

    name: str = Field(description="column, or component of Prophet")
    kind: str = Field(description="`intercept`, `prophet`, `context`, `paid` or `organic`")
    coefficient: float | None = Field(description="coefficient")
    contribution: float = Field(description="in units of the dependent variable")
    share: float | None = Field(description="share of the predicted total")


class ModelInBrief(Exchanged):
    """What a summary tells of the best model."""

    sol_id: str = Field(description="name of the model, `trial_iteration_core`")
    nrmse: float = Field(
        description="root mean squared error over the range of the dependent variable, of the part that the "
        "model is judged on"
    )
    rssd: float | None = Field(description="DECOMP.RSSD; None if no paid channel has any effect")
    mape: float | None = Field(description="0 without calibration; None if no study has an error")
    train: Metrics = Field(description="fit of the rows that were trained on")
    validation: Metrics = Field(description="fit of the validation rows")
    test: Metrics = Field(description="fit of the test rows")
    channels: list[ChannelResult] = Field(description="paid channels, then organic ones")
    posterior: PosteriorShort | None = Field(
        None, description="what the data say about each paid channel, and how surely; left out: not known"
    )
    warnings: list[ResultWarning] = Field([], description="of the model, then of the data it was trained on")


class BestModel(ModelInBrief):
    """best_model.json: the model that the request's rule chose among the Pareto models."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    error_score: float | None = Field(None, description="combined normalised errors; smaller is better")
    train: Part = Field(description="fit of the rows that were trained on")
    validation: Part = Field(description="fit of the validation rows")
    test: Part = Field(description="fit of the test rows")
    channels: list[Channel] = Field(description="paid channels, then organic ones")  # type: ignore[assignment]
    dependent: str = Field(description="column of the dependent variable")
    dependent_type: str = Field(description="`revenue` or `conversion`")
    interval: Interval = Field(description="length of a period")
    window: ModelRows = Field(description="the modelling window")
    candidates: int = Field(description="candidates evaluated, over all trials")
    partial_trials: list[PartialTrial] = Field([], description="trials that an error ended early")
    pareto_fronts: int = Field(description="fronts that were kept")
    pareto_models: int = Field(description="models on these fronts")
    winners: list[Winner] = Field([], description="the best model of each cluster")
    convergence: list[Convergence] = Field([], description="per objective")
    solvers: Solvers | None = Field(None, description="how far Robyn's solver is from the optimum")
    search: SearchSize = Field(description="what was searched")
    totals: Totals = Field(description="sums over the window")
    contributions: list[Contribution] = Field(description="per variable; they add up to totals.predicted")
    hyperparameters: dict[str, float | None] = Field(description="everything that was searched, and `lambda`")

    @property
    def converged(self) -> bool | None:
        """Whether the search has converged in every objective; None if that is not known."""
        return all(one.converged for one in self.convergence) if self.convergence else None


class RobynModel(Exchanged):
    """A model in Robyn's terms."""

    select_model: str = Field(description="name of the model")
    hyper_values: dict[str, float | None] = Field(description="its hyperparameters")
    hyper_updated: dict[str, list[float]] = Field(
        {}, description="the ranges that were searched; one number: it was fixed"
    )
    errors: dict[str, float | None] = Field(description="its metrics and objectives")
    summary: list[dict[str, Any]] = Field(description="a row per variable")
    performance: dict[str, Any] = Field(description="spend, response and ROAS or CPA of all paid media")


class ProphetValues(Exchanged):
    """The columns that Prophet separated, for every row of the data."""

    components: dict[str, list[float]] = Field(description="by component")
    factors: dict[str, list[float]] = Field(description="by factor")


class FormerShares(Exchanged):
    """The former model that a refresh stays close to."""

    shares: dict[str, float] = Field(description="share of the fitted total by variable")
    steps: int = Field(description="periods by which the window has moved on")


class ModelFile(Exchanged):
    """model.json and RobynModel-<solID>.json: all that is needed to compute a model again from its data."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    InputCollect: dict[str, Any] = Field(description="inputs and window, under Robyn's names")
    ModelsCollect: dict[str, Any] = Field(description="the search, under Robyn's names")
    ExportedModel: RobynModel = Field(description="the model, under Robyn's names")
    config: dict[str, Any] = Field(description="the model configuration of the request, as it was trained")
    prophet: ProphetValues = Field(description="the columns that Prophet separated")
    reference: FormerShares | None = Field(None, description="only a refresh: the former model")


class Earned(Exchanged):
    """What the posterior says is earned, in units of the dependent variable."""

    mean: float = Field(description="expected")
    q05: float = Field(description="90 % lie between this and q95")
    q50: float = Field(description="as likely too high as too low")
    q95: float = Field(description="see q05")


class Gain(Earned):
    """What is earned more with the answer than with what was spent."""

    above_zero: float = Field(description="probability that it is more than nothing")


class Figures(Exchanged):
    """What was spent and earned over the dates asked about.

    With the method `posterior`, earned is the mean of its draws.
    """

    spend: float = Field(description="in currency, over the dates")
    mean_spend: float = Field(description="in currency, per period")
    response: float | None = Field(
        description="contribution in the dates, in units of the dependent variable"
    )
    carry_out: float | None = Field(
        None,
        description="method posterior: what the spend of the dates still earns after them, in units of the "
        "dependent variable",
    )
    earned: Earned | None = Field(None, description="method posterior: response and carry_out together")
    roas: float | None = Field(
        None, description="response, and carry_out where there is one, per unit of currency"
    )
    cpa: float | None = Field(
        None, description="currency per unit of response, and of carry_out where there is one"
    )
    marginal_roas: float | None = Field(
        None, description="channels only: of one more unit of currency per period"
    )
    marginal_cpa: float | None = Field(
        None, description="channels only: of one more unit of currency per period"
    )


class SpendBounds(Exchanged):
    """How far the allocator could move a channel."""

    low: float | None = Field(description="as a factor of the historical spend; None: it had none")
    high: float | None = Field(description="as a factor of the historical spend; None: it had none")
    spend: list[float] = Field(description="lowest and highest spend over the dates, in currency")


class AllocatedChannel(Exchanged):
    """The budget answer for one paid channel."""

    name: str = Field(description="spend column")
    modelled: str = Field(description="column that was modelled")
    historical: Figures = Field(
        description="spend of the data, and contribution as the channel tables have it; what is still earned "
        "after the dates is not in it"
    )
    model: Figures | None = Field(
        None, description="method posterior: the same of the best model alone, as its one-pager has it"
    )
    bounds: SpendBounds | None = Field(None, description="how far it could move")
    before: Figures | None = Field(
        None, description="what was spent; method robyn: today, read off the response curve"
    )
    after: Figures | None = Field(None, description="the answer; method robyn: read off the response curve")
    gain: Gain | None = Field(None, description="method posterior: after over before, response and carry-out")


class AllocatedRegion(Exchanged):
    """The budget answer for one region."""

    name: str = Field(description="its name")
    historical: Figures = Field(description="see channels; of all of them in the region")
    before: Figures | None = Field(None, description="see channels; of all of them in the region")
    after: Figures | None = Field(None, description="see channels; of all of them in the region")
    gain: Gain | None = Field(None, description="see channels; of all of them in the region")
    channels: list[AllocatedChannel] = Field(
        [], description="the paid channels in the region; empty in a summary"
    )


class PlannedSpend(Exchanged):
    """What a plan spends and earns with one channel."""

    name: str = Field(description="spend column")
    after: Figures = Field(description="what is spent and earned")
    gain: Gain = Field(description="over what was spent, response and carry-out")


class PlannedRegion(Exchanged):
    """What a plan spends and earns in one region."""

    name: str = Field(description="as the data name it")
    after: Figures = Field(description="what its channels together spend and earn")
    gain: Gain = Field(description="over what was spent, response and carry-out")
    channels: list[PlannedSpend] = Field(description="the paid channels")


class PlanAnswer(Exchanged):
    """What a plan of the question would earn."""

    name: str = Field(description="as the question calls it")
    after: Figures = Field(description="what all channels together spend and earn")
    gain: Gain = Field(description="over what was spent, response and carry-out")
    channels: list[PlannedSpend] = Field(description="the paid channels")
    regions: list[PlannedRegion] = Field(
        [], description="asked by region: each of them; everything else here is their sum"
    )


class BudgetShort(Exchanged):
    """A budget answer in short, for messages."""

    name: str | None = Field(None, description="what the question is called; left out: it has no name")
    scenario: str = Field(description="`max_response`, `target_efficiency` or `historical`")
    feasible: bool = Field(description="whether there is an answer")
    reason: str | None = Field(None, description="why there is none, and what would help")
    start: date | None = Field(None, description="first day of the first period asked about")
    end: date | None = Field(None, description="first day of the last period asked about")
    before: float | None = Field(None, description="what was spent over the dates, in currency")
    after: float | None = Field(None, description="what is proposed, in currency")
    gain: Gain | None = Field(
        None, description="method posterior: what is earned more with the proposal, in units of the dependent"
    )
    plans: dict[str, Gain] = Field(
        {}, description="what is earned more with each plan of the question, by its name"
    )


class Allocation(Exchanged):
    """allocator.json: the answer to the request's budget question.

    The answers to the further questions of `budgets` are allocator-2.json, allocator-3.json, ...
    """

    schema_version: SchemaVersion = SCHEMA_VERSION
    name: str | None = Field(None, description="what the question is called; left out: it has no name")
    method: Literal["posterior", "robyn"] = Field(
        "robyn", description="what was asked: the posterior, or Robyn's allocator on the best model"
    )
    sol_id: str = Field(description="name of the best model; with the method robyn it was asked")
    scenario: str = Field(description="`max_response`, `target_efficiency` or `historical`")
    feasible: bool = Field(description="whether there is an answer")
    reason: str | None = Field(None, description="why there is none, and what would help")
    notes: list[str] = Field([], description="what must be known to read the answer")
    metric: str | None = Field(None, description="`roas` or `cpa`")
    start: date | None = Field(None, description="first day of the first period asked about")
    end: date | None = Field(None, description="first day of the last period asked about")
    interval: Interval | None = Field(None, description="length of a period")
    periods: int | None = Field(None, description="periods asked about")
    budget: float | None = Field(None, description="max_response: total to spend, in currency")
    target: float | None = Field(None, description="target_efficiency: ROAS or CPA to reach")
    historical: Figures | None = Field(None, description="see channels; of all of them")
    model: Figures | None = Field(None, description="see channels; of all of them")
    before: Figures | None = Field(None, description="see channels; of all of them")
    after: Figures | None = Field(None, description="see channels; of all of them")
    gain: Gain | None = Field(None, description="see channels; of all of them")
    channels: list[AllocatedChannel] = Field([], description="the paid channels")
    pattern: Pattern | None = Field(
        None,
        description="method posterior: how spends are spread over the dates, as they were spent, or after "
        "the data as in the same periods a year before, or evenly",
    )
    plans: list[PlanAnswer] = Field([], description="what the plans of the question would earn")
    region: str | None = Field(None, description="the region that was asked about; left out: all together")
    regions: list[AllocatedRegion] = Field(
        [], description="asked by region: each of them; everything else here is their sum"
    )

    def short(self) -> BudgetShort:
        """The answer in short."""
        return BudgetShort(
            name=self.name,
            scenario=self.scenario,
            feasible=self.feasible,
            reason=self.reason,
            start=self.start,
            end=self.end,
            before=self.before.spend if self.before else None,
            after=self.after.spend if self.after else None,
            gain=self.gain,
            plans={plan.name: plan.gain for plan in self.plans},
        )


class FormerModel(Exchanged):
    """One model of a chain of refreshes."""

    job: str = Field(description="id of its job")
    sol_id: str = Field(description="name of the model")


class RefreshReport(Exchanged):
    """refresh.json: what a refresh continues, and how far its window has moved on."""

    models: list[FormerModel] = Field(description="the models before it, oldest first")
    steps: int = Field(description="new periods")
    added_start: date = Field(description="first day of the first new period")
    window: ModelRows = Field(description="the modelling window")
    bounds_freedom: float = Field(
        description="how far hyperparameters could move, as a share of their ranges"
    )
    notes: list[str] = Field([], description="what a person should know of the data")
    warnings: list[ResultWarning] = Field(
        [], description="whether the model fits worse than the one it continues"
    )


class StepCost(Exchanged):
    """What one step of a training used."""

    seconds: float = Field(description="wall time, in seconds")
    cpu_s: float = Field(description="CPU time of all processes, in seconds")
    peak_memory_mb: float = Field(description="memory of the largest process so far, in MB")


class Timings(RootModel[dict[str, StepCost]]):
    """timings.json: what each step of a training used, by its name."""

    @property
    def cpu_s(self) -> float:
        """CPU time of all steps, in seconds."""
        return sum(step.cpu_s for step in self.root.values())

    @property
    def memory_mb(self) -> float:
        """Memory of the largest process, in MB."""
        return max((step.peak_memory_mb for step in self.root.values()), default=0.0)


REQUIRED = "best_model.json"
"""The document that every result has."""
_BY_NAME: dict[str, type[BaseModel]] = {
    REQUIRED: BestModel,
    "model.json": ModelFile,
    "refresh.json": RefreshReport,
    "timings.json": Timings,
    "posterior.json": PosteriorDocument,
    "trust.json": TrustDocument,
    "changes.json": ChangesDocument,
    "figures.json": ModelFigures,
    "curves.json": CurvesDocument,
    "curves_regions.json": RegionCurvesDocument,
}


def answer_number(name: str) -> int | None:
    """Which budget question a file answers, counted from 1; None if it is no such answer."""
    found = re.fullmatch(r"allocator(?:-([0-9]+))?\.json", name)
    return int(found[1] or 1) if found else None


def contract_of(name: str) -> type[BaseModel] | None:
    """The contract of a result's file; None if the file has none."""
    if name.startswith("RobynModel-") and name.endswith(".json"):
        return ModelFile
    if name.startswith("figures-") and name.endswith(".json"):
        return ModelFigures
    if answer_number(name):
        return Allocation
    return _BY_NAME.get(name)
