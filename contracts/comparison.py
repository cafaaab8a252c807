"""What the JSON API answers about models: those of a job, of a country, and of several jobs side by side."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from contracts.api import AnId, JobRow
from contracts.base import Authored, Exchanged, OfCountry, OfJob, spelled
from contracts.figures import FigureModel
from contracts.job import ModelInUse
from contracts.summary import CountryRun, RunChannel
from contracts.trust import Word

Weight = Annotated[float, Field(ge=0, le=10)]
SolId = Annotated[
    str, spelled(r"^[0-9]{1,9}(_[0-9]{1,9}){2}$", "is no name of a model; one looks like 1_17_1")
]


class CompareQuery(Authored):
    """Which jobs to compare."""

    job: Annotated[list[AnId], Field(min_length=2, max_length=5)] = Field(
        description="two to five job ids; repeat the parameter"
    )


class Difference(Exchanged):
    """A field that the requests do not all say alike."""

    path: str = Field(description="the field, such as `search.trials`")
    values: list[str | None] = Field(description="one for each job, defaults filled in; None: not asked")


class ChannelComparison(Exchanged):
    """One paid channel in several runs."""

    name: str = Field(description="spend column")
    runs: list[RunChannel | None] = Field(description="one for each run; None where it has no such channel")
    spread: float | None = Field(
        description="highest less lowest ROAS or CPA, over their mean; None with fewer than two"
    )
    word: Word | None = Field(description="how stable that is; None with fewer than two")
    change: Literal["real", "not told apart", "unknown"] = Field(
        description="`real`: two runs differ, probably at 0.9; `unknown`: fewer than two have intervals"
    )


class ComparisonAnswer(Exchanged):
    """Two to five jobs side by side."""

    jobs: list[JobRow] = Field(description="in the order asked for")
    differences: list[Difference] = Field(description="only what was asked differently")
    metric: Literal["ROAS", "CPA"] = Field(description="what the channels' values are")
    channels: list[ChannelComparison] = Field(description="every paid channel of any of them")
    unlike: list[str] = Field(description="what makes the comparison unfair, such as other data")


class ModelList(Exchanged):
    """The models of a result."""

    job_id: OfJob
    best: str = Field(description="name of the best model")
    in_use: bool = Field(description="whether the country uses the best model of this job")
    models: list[FigureModel] = Field(
        description="the models on the Pareto fronts; empty in results of old releases"
    )


class CountryList(Exchanged):
    """The countries that have had usable data."""

    countries: list[str] = Field(description="by name")


class WeightsQuery(Authored):
    """How much each part of a model's score counts."""

    r2: Weight = Field(1.0, description="weight of R², from 0 to 10")
    nrmse: Weight = Field(1.0, description="weight of the prediction error")
    rssd: Weight = Field(1.0, description="weight of the business error")
    trust: Weight = Field(2.0, description="weight of the worst verdict of the trust checks")


class CountryQuery(WeightsQuery):
    """What counts how much, and which runs are ranked."""

    month: (
        Annotated[str, spelled(r"^[0-9]{4}-(0[1-9]|1[0-2])$", "must be a month, such as 2026-10")] | None
    ) = Field(
        None,
        description="closed month whose runs are ranked; left out: the best and the latest runs",
    )


class RankedRun(Exchanged):
    """A run with its score."""

    score: float = Field(description="from 0 to 1, by the weights")
    run: CountryRun = Field(description="the run")


class CountryModels(Exchanged):
    """The models of a country: which is best, and how stable its channels are."""

    country: OfCountry
    in_use: ModelInUse | None = Field(description="the model that its people use; None: they have not said")
    ranked: list[RankedRun] = Field(description="the best 25 runs, best score first")
    metric: Literal["ROAS", "CPA"] = Field(description="what the channels' values are")
    channels: list[ChannelComparison] = Field(
        description="each paid channel over the latest runs, newest first"
    )


class UseModel(Authored):
    """Which model a country is to use."""

    job_id: AnId = Field(description="the job")
    sol_id: SolId | None = Field(None, description="a winner of it; left out: its best model")
