"""What one marketing mix model is made of: columns, window, media transformations, search.

The field names are those of the field; where Robyn has a name for the same thing, the docstring says it.
Engines read these objects directly, so a new parameter is one field here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from contracts.base import Authored, ColumnName, FieldProblems, PlainName, Range, RegionName, spelled
from contracts.budget import BudgetQuestion
from contracts.posterior import AskedPosterior, PosteriorConfig
from contracts.trust import Checks

Day = date
"""A day; for fields that are themselves named `date`."""

Note = Annotated[
    str,
    StringConstraints(min_length=1, max_length=60),
    spelled(r"^[^\x00-\x1f\x7f]+$", "must be one line of text"),
]
"""A short text of one line."""

JobId = Annotated[
    str,
    spelled(
        r"^[a-z0-9][a-z0-9-]{0,39}-[0-9a-f]{12}$",
        "is not a job id, such as de-weekly-0123456789ab, which the job's page shows under Details and "
        "job-finished messages carry",
    ),
]
"""The id of a job, as `job-finished` messages and the status page show it."""

SolutionId = Annotated[
    str,
    spelled(
        r"^[1-9]\d{0,8}_[1-9]\d{0,8}_[1-9]\d{0,8}$",
        "is not a model, such as 3_812_1, named in the column solID of pareto_hyperparameters.csv",
    ),
]
"""The solID of a model."""

Sign = Literal["positive", "negative", "default"]
Adstock = Literal["geometric", "weibull_cdf", "weibull_pdf"]
Solver = Literal["robyn", "converged"]
ObjectiveWeight = Annotated[float, Field(ge=0, le=10)]
Pictures = Literal["best", "winners", "none"]
ProphetComponent = Literal["trend", "season", "monthly", "weekday", "holiday"]

HYPERPARAMETERS: dict[str, tuple[str, ...]] = {
    "geometric": ("alphas", "gammas", "thetas"),
    "weibull_cdf": ("alphas", "gammas", "shapes", "scales"),
    "weibull_pdf": ("alphas", "gammas", "shapes", "scales"),
}
"""The hyperparameters that each media variable has, by adstock family (robyn-spec §1.4)."""

DEFAULT_RANGES: dict[str, tuple[float, float]] = {
    "alphas": (0.5, 3.0),
    "gammas": (0.3, 1.0),
    "thetas": (0.0, 0.8),
    "shapes": (0.0001, 10.0),
    "scales": (0.0, 0.1),
}
"""The named default `default`: the ranges searched for a media variable unless the request narrows them."""

_LIMITS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "alphas": (lambda low, high: low > 0 and high < 10, "0 < alpha < 10"),
    "gammas": (lambda low, high: low > 0 and high <= 1, "0 < gamma <= 1"),
    "thetas": (lambda low, high: low >= 0 and high < 1, "0 <= theta < 1"),
    "shapes": (lambda low, high: low >= 0 and high < 20, "0 <= shape < 20"),
    "scales": (lambda low, high: low >= 0 and high <= 1, "0 <= scale <= 1"),
    "penalty": (lambda low, _: low >= 0, "penalty >= 0"),
    "lambda": (lambda low, high: low >= 0 and high <= 1, "0 <= lambda <= 1"),
}


RESERVED = frozenset(
    {"ds", "dep_var", "intercept", "(Intercept)", "depVarHat", "solID", "type", "cluster", "top_sol"}
    | {"refreshStatus"}
)
"""Names that engines give to columns of their own, beside the Prophet components."""


class Variable(Authored):
    """A column with the sign that its coefficient must have."""

    name: ColumnName = Field(description="name of the column")
    sign: Sign = Field("default", description="sign of its coefficient; `default`: either")


class PaidMedia(Authored):
    """One paid channel: what it cost, and, if known, how often it was seen (impressions, clicks)."""

    spend: ColumnName = Field(description="column of spend, in the currency of the data, per period")
    exposure: ColumnName | None = Field(
        None,
        description="column of exposures (impressions, clicks) per period, modelled instead of the spend; "
        "left out: the spend is modelled",
    )
    sign: Sign = Field("positive", description="sign of its coefficient; `default`: either")

    @property
    def selected(self) -> str:
        """The column that is modelled: the exposure where there is one, otherwise the spend."""
        return self.exposure or self.spend


def _as_variable(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _as_organic(value: Any) -> Any:
    value = _as_variable(value)
    return {"sign": "positive", **value} if isinstance(value, dict) else value


def _as_paid(value: Any) -> Any:
    return {"spend": value} if isinstance(value, str) else value


Paid = Annotated[PaidMedia, BeforeValidator(_as_paid, json_schema_input_type=PaidMedia | ColumnName)]
Organic = Annotated[Variable, BeforeValidator(_as_organic, json_schema_input_type=Variable | ColumnName)]
Named = Annotated[Variable, BeforeValidator(_as_variable, json_schema_input_type=Variable | ColumnName)]


class Columns(Authored):
    """Which column plays which part. A bare column name stands for the object with its defaults."""

    date: ColumnName = Field(description="column of the day on which a period begins")
    dependent: ColumnName = Field(description="what the model explains, per period (Robyn: dep_var)")
    dependent_type: Literal["revenue", "conversion"] = Field(
        description="`revenue`, in currency, is answered with ROAS; `conversion`, a count, with CPA"
    )
    paid_media: list[Paid] = Field(
        min_length=1,
        description="the paid channels; at least one (Robyn: paid_media_spends, paid_media_vars)",
    )
    organic: list[Organic] = Field(
        [], description="media without spend, with adstock and saturation (Robyn: organic_vars)"
    )
    context: list[Named] = Field(
        [], description="other numbers that explain the dependent variable (Robyn: context_vars)"
    )
    factors: list[Named] = Field([], description="context columns that hold categories (Robyn: factor_vars)")
    region: ColumnName | None = Field(
        None,
        description="column that names the region of each row, where the data have a row per period and "
        "region; the search gets their sums, the posterior each of them; left out: a row per period",
    )

    def roles(self) -> Iterator[tuple[str, str]]:
        """Every (path, column) that the request names, in the order of the fields."""
        yield "date", self.date
        yield "dependent", self.dependent
        for i, paid in enumerate(self.paid_media):
            yield f"paid_media[{i}].spend", paid.spend
            if paid.exposure:
                yield f"paid_media[{i}].exposure", paid.exposure
        for group in ("organic", "context", "factors"):
            for i, variable in enumerate(getattr(self, group)):
                yield f"{group}[{i}]", variable.name
        if self.region:
            yield "region", self.region

    @property
    def media(self) -> list[str]:
        """The modelled media columns, paid before organic (Robyn: all_media)."""
        return [paid.selected for paid in self.paid_media] + [variable.name for variable in self.organic]

    @property
    def media_columns(self) -> list[str]:
        """Every column of spend, exposure or organic media; none can be negative."""
        paid = [name for channel in self.paid_media for name in (channel.spend, channel.exposure) if name]
        return paid + [variable.name for variable in self.organic]

    @property
    def numeric(self) -> list[str]:
        """Every column that must hold numbers."""
        texts = {"date", "region", *(f"factors[{i}]" for i in range(len(self.factors)))}
        return [name for path, name in self.roles() if path not in texts]

    @model_validator(mode="after")
    def _each_column_once(self) -> Self:
        first: dict[str, str] = {}
        for path, name in self.roles():
            first.setdefault(name, path)
        twice = [(path, name) for path, name in self.roles() if first[name] != path]
        if twice:
            raise FieldProblems(
                f"{path}: column '{name}' is named twice, first as {first[name]}" for path, name in twice
            )
        return self


class Window(Authored):
    """The modelling window: the periods whose first day lies between `start` and `end`, both inclusive.

    If no first day does, it is the period that holds these days. Left out: all the data.
    """

    start: date | None = Field(None, description="first day; left out: that of the data")
    end: date | None = Field(None, description="last day, inclusive; left out: that of the data")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start and self.end and self.end < self.start:
            raise ValueError(f"window ends ({self.end}) before it starts ({self.start})")
        return self


class CustomHoliday(Authored):
    """One day that is special for this series (Robyn: dt_holidays).

    Days of one name share one effect. In weekly and monthly data all holidays of a period are one effect,
    that of their names together, as in Robyn.
    """

    date: Day = Field(description="the day")
    name: Note = Field(description="what it is called, in one line of at most 60 characters")


class Prophet(Authored):
    """The parts of the baseline that Prophet separates (Robyn: prophet_vars, prophet_country)."""

    components: list[ProphetComponent] = Field(
        ["trend", "season"], description="parts that are separated; [] for none; `season` is the yearly one"
    )
    holiday_country: (
        Annotated[str, spelled(r"^[A-Z]{2}$", "must be two capital letters, such as DE")] | None
    ) = Field(
        None,
        description="ISO code of a calendar of public holidays, for the component `holiday`; left out: none",
    )
    holidays: list[CustomHoliday] = Field(
        [], max_length=2000, description="additional holidays, past and future, for the component `holiday`"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.components)) != len(self.components):
            raise ValueError("a component is named twice")
        for name, given in (("holiday_country", self.holiday_country), ("holidays", self.holidays)):
            if given and "holiday" not in self.components:
                raise ValueError(f"{name} is given, but `holiday` is not among the components")
        if "holiday" in self.components and not (self.holiday_country or self.holidays):
            raise ValueError("the component `holiday` needs holiday_country, for example DE, or holidays")
        if len({(day.date, day.name) for day in self.holidays}) != len(self.holidays):
            raise ValueError("holidays: a day is given twice with the same name")
        return self


class Hyperparameters(Authored):
    """Ranges searched for each media variable: the preset, narrowed where `ranges` names one.

    Names are `<modelled column>_<alphas|gammas|thetas|shapes|scales>`, `lambda` (in [0, 1], scaled as in
    robyn-spec §4) and `<column>_penalty`. Two equal numbers, or one alone, fix the value.
    """

    preset: Literal["default"] = Field(
        "default",
        description="ranges of hyperparameters that `ranges` does not name: alphas 0.5 to 3, gammas 0.3 "
        "to 1, thetas 0 to 0.8, shapes 0.0001 to 10, scales 0 to 0.1",
    )
    ranges: dict[PlainName, Range] = Field(
        {}, description="[low, high] by hyperparameter, or one number that fixes it; none has a unit"
    )

    @field_validator("ranges")
    @classmethod
    def _within_limits(cls, ranges: dict[str, Range]) -> dict[str, Range]:
        problems = []
        for name, (low, high) in ranges.items():
            if low > high:
                problems.append(f"{name}: low {low} is above high {high}")
            allowed, rule = _LIMITS.get(name.rsplit("_", 1)[-1], (None, ""))
            if allowed and not allowed(low, high):
                problems.append(f"{name}: [{low}, {high}] is outside its limits, {rule}")
        if problems:
            raise FieldProblems(problems)
        return ranges


class Stop(Authored):
    """When to end before all iterations are done; whichever comes first."""

    unmoved_iterations: int | None = Field(
        None,
        ge=1,
        description="a trial ends when its Pareto front has not moved for this many iterations; left out: "
        "never",
    )
    seconds: float | None = Field(
        None,
        gt=0,
        description="wall time of the search in seconds, shared equally by the trials that run one after "
        "another, so that the result depends on the machine; left out: no limit",
    )


class Search(Authored):
    """How many candidates are tried, and what they are judged on."""

    iterations: int = Field(2000, ge=1, le=100_000, description="candidates per trial")
    trials: int = Field(5, ge=1, le=100, description="independent searches; trial k is seeded with seed + k")
    seed: int = Field(123, ge=0, le=2**31 - 1, description="the same seed gives the same result")
    time_series_validation: bool = Field(
        False, description="judge on a validation part (Robyn: ts_validation)"
    )
    train_size: Range = Field(
        (0.5, 0.8), description="share of the window that is trained on, above 0.1 to 1, searched"
    )
    penalty_factors: bool = Field(False, description="search a penalty factor per column too")
    objective_weights: list[ObjectiveWeight] | None = Field(
        None,
        min_length=2,
        max_length=3,
        description="how much NRMSE, DECOMP.RSSD and, with calibration, MAPE count, each 0 to 10; "
        "left out: the same",
    )
    solver: Solver = Field(
        "robyn", description="robyn: stops where Robyn stops, several percent off; converged: at the optimum"
    )
    best_by: Literal["posterior", "error_score", "nrmse"] | None = Field(
        None,
        description="the best model is the candidate (engine robyn: the Pareto model) nearest to the "
        "posterior, or the Pareto model with the smallest error_score, as Robyn, or nrmse; left out: "
        "posterior with the engine native where there is one, otherwise error_score",
    )
    baseline: Literal["prophet", "joint"] = Field(
        "prophet",
        description="prophet: trend and season are fitted before the media, as in Robyn; joint: they are "
        "columns of every model, fitted together with the media (engine native only)",
    )
    stop: Stop | None = Field(None, description="end early; left out: never, as Robyn")
    allow_partial_trials: bool = Field(
        False,
        description="keep what a trial found before an error of R ended it; left out: the attempt fails "
        "(engine robyn only)",
    )
    start_from: JobId | None = Field(
        None,
        description="id of a former job with the same media and adstock, whose Pareto front every trial "
        "tries first; left out: the search begins anew (engine native only)",
    )

    @field_validator("objective_weights")
    @classmethod
    def _some_weight(cls, value: list[float] | None) -> list[float] | None:
        if value is not None and not sum(value):
            raise ValueError("objective_weights: at least one must be above 0")
        return value

    @field_validator("train_size")
    @classmethod
    def _train_size_limits(cls, value: Range) -> Range:
        if not (0.1 < value[0] <= value[1] <= 1.0):
            raise ValueError(f"train_size must satisfy 0.1 < low <= high <= 1, got [{value[0]}, {value[1]}]")
        return value

    @model_validator(mode="after")
    def _train_size_is_used(self) -> Self:
        if self.train_size != Search.model_fields["train_size"].default and not self.time_series_validation:
            raise ValueError("train_size is only used with time_series_validation: true")
        return self


class CalibrationStudy(Authored):
    """One experiment that measured what channels earned (Robyn: a row of calibration_input)."""

    channels: list[ColumnName] = Field(min_length=1, description="spend or organic columns that were tested")
    start: date = Field(description="first day of the study")
    end: date = Field(description="last day of the study, inclusive")
    lift: float = Field(description="measured increase of the dependent variable over the study, in its unit")
    spend: float = Field(ge=0, description="what the tested channels cost in the study, in currency")
    confidence: float = Field(
        gt=0,
        le=1,
        description="confidence level of the lift, above 0 to 1; below 0.8 validation warns",
    )
    scope: Literal["immediate", "total"] = Field(
        "immediate",
        description="whether the lift holds the effect of the same periods only, or later ones too",
    )
    lift_se: float | None = Field(
        None,
        gt=0,
        description="standard error of the lift, in its unit; used by the posterior; "
        "left out: derived from `confidence`",
    )
    region: RegionName | None = Field(
        None,
        description="name of the region in which it was measured, where the data have regions; only the "
        "posterior uses such a study; left out: in all regions together",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"study ends ({self.end}) before it starts ({self.start})")
        return self


class Annotation(Authored):
    """A dated note that is drawn on the time axes of the pictures."""

    date: Day = Field(description="day of the note")
    text: Note = Field(description="one line of at most 60 characters")


class Refresh(Authored):
    """Continue a model of a former job with newer data (Robyn: robyn_refresh).

    The window keeps its length and moves on to the end of the data (or to `window.end`); hyperparameters are
    searched around those of the former model, within the request's ranges.
    """

    job: JobId = Field(description="id of the former job")
    solution: SolutionId | None = Field(None, description="a Pareto model of that job; left out: its best")
    bounds_freedom: float | None = Field(
        None,
        gt=0,
        le=1,
        description="how far a hyperparameter may move either way, as a share of its range, above 0 to 1; "
        "left out: new periods / periods of the window",
    )


def _as_refresh(value: Any) -> Any:
    return {"job": value} if isinstance(value, str) else value


MOST_QUESTIONS = 10
"""About budgets, in one request."""


class ModelConfig(Authored):
    """All that an engine needs besides the prepared data."""

    columns: Columns = Field(description="which column of the data plays which part")
    window: Window = Field(Window(), description="the days that are modelled; all of them unless narrowed")
    prophet: Prophet = Field(Prophet(), description="parts of the baseline that Prophet separates")
    adstock: Adstock = Field("geometric", description="how the effect of media is spread over later periods")
    hyperparameters: Hyperparameters = Field(
        Hyperparameters(), description="ranges in which adstock, saturation and penalties are searched"
    )
    search: Search = Field(Search(), description="how many candidates are tried, and what they are judged on")
    calibration: list[CalibrationStudy] = Field(
        [], description="experiments that the model is measured against"
    )
    budget: BudgetQuestion | None = Field(
        None, description="how to divide a budget, asked of the best model; left out: nothing is asked"
    )
    budgets: list[BudgetQuestion] = Field(
        [],
        max_length=MOST_QUESTIONS,
        description="several budget questions, instead of `budget`; each gets its own answer",
    )
    annotations: list[Annotation] = Field(
        [], max_length=200, description="dated notes, drawn on the time axes of the pictures"
    )
    pictures: Pictures = Field(
        "best",
        description="`best`: pictures of the best model and the search; `winners`: also a one-pager of each "
        "other winner, as the engine robyn draws them in any case; `none`: no picture at all",
    )
    posterior: AskedPosterior = Field(
        PosteriorConfig(),
        description="what the data say about each channel, and how surely; `off`: not asked",
    )
    checks: Checks = Field(
        "quick",
        description="how thoroughly the result is checked; `full` also fits generated data with a known "
        "truth, and placebo channels",
    )
    refresh_of: Annotated[
        Refresh | None, BeforeValidator(_as_refresh, json_schema_input_type=Refresh | JobId | None)
    ] = Field(
        None,
        description="former job, or one of its models, to continue with newer data; left out: a new model",
    )

    @property
    def national(self) -> ModelConfig:
        """The same of all regions together, as engines train it."""
        columns = self.columns.model_copy(update={"region": None})
        studies = [study for study in self.calibration if study.region is None]
        return self.model_copy(update={"columns": columns, "calibration": studies})

    @property
    def questions(self) -> list[tuple[str, BudgetQuestion]]:
        """The budget questions, each with its path in the request."""
        if self.budget:
            return [("budget", self.budget)]
        return [(f"budgets[{i}]", question) for i, question in enumerate(self.budgets)]

    @property
    def former(self) -> str | None:
        """The job whose result this training begins with, if there is one."""
        return self.refresh_of.job if self.refresh_of else self.search.start_from

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Ranges of the media hyperparameters, sorted by name (the order of the search's dimensions)."""
        names = [f"{media}_{hp}" for media in self.columns.media for hp in HYPERPARAMETERS[self.adstock]]
        ranges = self.hyperparameters.ranges
        return {name: ranges.get(name, DEFAULT_RANGES[name.rsplit("_", 1)[1]]) for name in sorted(names)}

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        problems = [*self._reserved(), *self._unknown_hyperparameters(), *self._unknown_channels()]
        problems += [
            *self._no_penalty(),
            *self._wrong_weights(),
            *self._wrong_former(),
            *self._no_posterior(),
        ]
        if problems:
            raise FieldProblems(problems)
        return self

    def _reserved(self) -> Iterator[str]:
        reserved = RESERVED.union(self.prophet.components)
        for path, name in self.columns.roles():
            if name in reserved and path not in ("date", "dependent"):
                yield f"columns.{path}: '{name}' is a name of the result's files; rename the column"

    def _unknown_hyperparameters(self) -> Iterator[str]:
        known = {f"{media}_{hp}" for media in self.columns.media for hp in HYPERPARAMETERS[self.adstock]}
        known |= {f"{name}_penalty" for name in self._design_names()} | {"lambda"}
        for name in self.hyperparameters.ranges:
            if name not in known:
                there = ", ".join(f"<modelled column>_{hp}" for hp in HYPERPARAMETERS[self.adstock])
                hint = self._meant(name, known) or f"with {self.adstock} adstock there are {there}"
                yield f"hyperparameters.ranges.{name}: unknown; {hint}"
            elif name.endswith("_penalty") and not self.search.penalty_factors:
                yield f"hyperparameters.ranges.{name}: is only used with search.penalty_factors: true"

    def _meant(self, name: str, known: set[str]) -> str:
        """The hyperparameter that is probably meant: of a channel's exposure, or one that is spelt alike."""
        column, _, kind = name.rpartition("_")
        for paid in self.columns.paid_media:
            if paid.exposure and column == paid.spend and f"{paid.exposure}_{kind}" in known:
                return (
                    f"did you mean {paid.exposure}_{kind}? '{paid.spend}' is modelled by its exposure, "
                    f"'{paid.exposure}'"
                )
        alike = sorted(other for other in known if other.endswith(f"_{kind}"))
        near = get_close_matches(name, alike, n=1, cutoff=0.8)
        return f"did you mean {near[0]}?" if near else ""

    def _no_penalty(self) -> Iterator[str]:
        ranges = self.hyperparameters.ranges
        highest = [ranges.get(f"{name}_penalty", (0.0, 1.0))[1] for name in self._design_names()]
        if self.search.penalty_factors and not any(highest):
            yield "hyperparameters.ranges: every penalty is fixed to 0; at least one must be positive"

    def _wrong_weights(self) -> Iterator[str]:
        weights, calibrated = self.search.objective_weights, bool(self.national.calibration)
        objectives = 3 if calibrated else 2
        if weights and len(weights) != objectives:
            names = "NRMSE and DECOMP.RSSD" + (" and MAPE" if calibrated else "")
            yield f"search.objective_weights: {len(weights)} weights for {objectives} objectives, {names}"

    def _wrong_former(self) -> Iterator[str]:
        if self.refresh_of and self.search.start_from:
            yield "refresh_of: a refresh begins at its former model; leave search.start_from out"
        if self.refresh_of and self.search.best_by not in (None, "error_score"):
            yield "refresh_of: the best model is one near to its former one; leave search.best_by out"
        if self.refresh_of and self.window.start:
            yield "refresh_of: the former window moves on, at its length; leave window.start out"

    def _no_posterior(self) -> Iterator[str]:
        if self.search.best_by == "posterior" and self.posterior is None:
            yield "search.best_by: there is no posterior to choose by; leave `posterior: off` out"

    def _unknown_channels(self) -> Iterator[str]:
        paid = {channel.spend for channel in self.columns.paid_media}
        organic = {variable.name for variable in self.columns.organic}
        for i, study in enumerate(self.calibration):
            for name in study.channels:
                if name not in paid | organic:
                    yield f"calibration[{i}].channels: '{name}' is neither a spend nor an organic column"
            if study.region and not self.columns.region:
                yield f"calibration[{i}].region: columns.region names no column; name it, or leave this out"
        for name in self.posterior.roas if self.posterior else ():
            if name not in paid:
                yield f"posterior.roas.{name}: not a spend column"
        if self.budget and self.budgets:
            yield "budgets: is given beside budget; give all questions in budgets"
        for path, question in self.questions:
            for field in ("channel_bounds", "channel_budgets"):
                for name in getattr(question, field):
                    if name not in paid:
                        yield f"{path}.{field}.{name}: not a spend column"
            if question.of_regions and not self.columns.region:
                field = "by_region" if question.by_region else "region"
                yield f"{path}.{field}: columns.region names no column; name it, or leave this out"
            for plan, spends in question.plans.items():
                for name in spends:
                    if name not in paid:
                        yield f"{path}.plans.{plan}.{name}: not a spend column"
            for plan, regions in question.region_plans.items():
                for region, spends in regions.items():
                    for name in spends:
                        if name not in paid:
                            yield f"{path}.region_plans.{plan}.{region}.{name}: not a spend column"
        names = [question.name for question in self.budgets if question.name]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"budgets: {names.count(name)} questions have the name '{name}'; give each its own"

    def _design_names(self) -> list[str]:
        context = [variable.name for variable in (*self.columns.context, *self.columns.factors)]
        return [*self.prophet.components, *context, *self.columns.media]
