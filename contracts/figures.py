"""What the charts and single pictures of one model show: figures.json and figures-<solID>.json."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from contracts.base import SCHEMA_VERSION, Exchanged, SchemaVersion
from contracts.series import Interval


class FigureVariable(Exchanged):
    """What one variable contributes, in all and in each period."""

    name: str = Field(description="spend column of a paid channel, otherwise the column or component")
    kind: str = Field(description="`intercept`, `prophet`, `context`, `paid` or `organic`")
    total: float = Field(description="over the window, in units of the dependent variable")
    values: list[float] = Field(description="per period, in units of the dependent variable")


class FigureCurve(Exchanged):
    """The response of a channel to what is put in per period, upon the average carry-over."""

    value: list[float] = Field(description="input per period, in currency (organic: its unit)")
    response: list[float | None] = Field(description="response to each value, in units of the dependent")
    today: float = Field(description="average input per period of the window")
    today_response: float | None = Field(description="response to `today`")
    proposed: float | None = Field(
        None, description="input per period that the budget answer proposes; left out: there is none"
    )
    proposed_response: float | None = Field(None, description="response to `proposed`, by this curve")

    @property
    def mean(self) -> list[float | None]:
        """The response, as it is called where it has an interval."""
        return self.response


class FigureBand(Exchanged):
    """What a paid channel earns by the posterior with 0 to 3 times its spend in the window, also after it."""

    value: list[float] = Field(description="spend per period, in currency; ascending from 0")
    low: list[float] = Field(description="5 % of what each spend earns per period, in units of the dependent")
    mean: list[float] = Field(
        description="expected of each spend; what was spent before the window still earns in it"
    )
    high: list[float] = Field(description="95 % of what each spend earns")
    today: float = Field(description="average spend per period of the window")
    today_response: float = Field(description="expected of `today`")
    proposed: float | None = Field(
        None, description="spend per period that the budget answer proposes; left out: none, or above all"
    )
    proposed_response: float | None = Field(None, description="expected of `proposed`")


class FigureTold(Exchanged):
    """What a paid channel earned in the window by the posterior, in units of the dependent variable."""

    low: float = Field(description="5 % of the contribution")
    mean: float = Field(description="expected contribution")
    high: float = Field(description="95 % of the contribution")
    share: float = Field(description="expected share of the dependent variable's sum")
    next_unit: float | None = Field(
        None,
        description="ROAS or CPA of a tenth more spend, expected, with what it earns after the window; left "
        "out: nothing was spent",
    )
    band: FigureBand | None = Field(
        None, description="response curve with its interval; left out: nothing was spent"
    )


class FigureChannel(Exchanged):
    """One media channel in one model, beside what the posterior and similar models say of it."""

    name: str = Field(description="spend column, or organic column")
    modelled: str = Field(description="the column that was modelled: the exposure where there is one")
    paid: bool = Field(description="whether it has spend")
    spend: float | None = Field(None, description="over the window, in currency; left out: it costs nothing")
    response: float = Field(description="contribution over the window, in units of the dependent variable")
    share: float | None = Field(description="contribution over the predicted total")
    efficiency: float | None = Field(None, description="ROAS or CPA of the model, see `metric`")
    marginal: float | None = Field(
        None, description="ROAS or CPA of one more unit of currency per period, at the average spend"
    )
    low: float | None = Field(None, description="5 % of the posterior of ROAS or CPA; left out: not known")
    middle: float | None = Field(None, description="50 % of the posterior of ROAS or CPA")
    high: float | None = Field(None, description="95 % of the posterior of ROAS or CPA")
    prior_low: float | None = Field(None, description="5 % of what was assumed before the data were seen")
    prior_high: float | None = Field(None, description="95 % of what was assumed before")
    learned: float | None = Field(None, description="0: only what was assumed; 1: all that there is to know")
    similar_low: float | None = Field(
        None, description="from here to `similar_high` lie 95 % of similar models; left out: fewer than three"
    )
    similar_high: float | None = Field(None, description="see `similar_low`")
    proposed: float | None = Field(
        None, description="spend that the budget answer proposes over its dates, in currency"
    )
    before: float | None = Field(None, description="what was spent over the same dates, in currency")
    curve: FigureCurve = Field(description="response curve")
    told: FigureTold | None = Field(
        None, description="the posterior, whatever the model; left out: it has none, or has not converged"
    )

    @property
    def best_curve(self) -> FigureBand | FigureCurve:
        """The response curve that says most: the posterior's, or the model's where there is none."""
        return self.told.band if self.told and self.told.band else self.curve

    @property
    def inside(self) -> bool | None:
        """Whether the model lies inside of the posterior's 90 %; None if one of them does not exist."""
        if self.efficiency is None or self.low is None or self.high is None:
            return None
        return self.low <= self.efficiency <= self.high


class FigureForecast(Exchanged):
    """What a posterior that has not seen the last periods forecast of them, in units of the dependent."""

    low: list[float] = Field(description="5 %, per period; the last one is the last of the window")
    middle: list[float] = Field(description="50 %")
    high: list[float] = Field(description="95 %")


class FigureModel(Exchanged):
    """One model of the Pareto fronts, or the best one."""

    sol_id: str = Field(description="name of the model")
    nrmse: float = Field(description="NRMSE")
    rssd: float | None = Field(description="DECOMP.RSSD; None if no channel has any effect")
    front: int | None = Field(None, description="number of its front, counted from 1; left out: on none")
    cluster: int | None = Field(
        None, description="number of its cluster of similar models; left out: in none"
    )
    winner: bool = Field(False, description="the best model of its cluster")


class ModelFigures(Exchanged):
    """figures.json, of the best model, and figures-<solID>.json, of each other winner; six digits."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    sol_id: str = Field(description="name of the model")
    best: str = Field(description="name of the best model")
    dependent: str = Field(description="column of the dependent variable")
    metric: Literal["roas", "cpa"] = Field(description="ROAS for revenue, CPA for conversions")
    interval: Interval = Field(description="length of a period")
    r2: float | None = Field(description="adjusted R² on the rows that were trained on")
    nrmse: float = Field(description="NRMSE")
    rssd: float | None = Field(description="DECOMP.RSSD; None if no channel has any effect")
    mape: float | None = Field(description="calibration error; 0 without calibration")
    train: int = Field(description="first periods of the window that were trained on; validation follows")
    validation: int = Field(description="periods of validation; the rest of the window is for the test")
    dates: list[date] = Field(description="first day of each period of the window")
    actual: list[float] = Field(description="the dependent variable, per period")
    predicted: list[float] = Field(description="what the model says it is, per period")
    forecast: FigureForecast | None = Field(
        None, description="backtest of the posterior; left out: there is none"
    )
    variables: list[FigureVariable] = Field(description="they add up to `predicted`")
    channels: list[FigureChannel] = Field(description="paid channels, then organic ones")
    models: list[FigureModel] = Field(description="the models of the Pareto fronts, and the best one")
    pictures: list[str] = Field(
        [], description="which of roas, curves, contributions, fit and allocation are drawn of this model"
    )


def figures_name(solution: str, best: str) -> str:
    """The file with the figures of a model."""
    return "figures.json" if solution == best else f"figures-{solution}.json"


def picture_name(picture: str, solution: str, best: str) -> str:
    """The file with a single picture of a model, of `roas`, `curves` and so on."""
    return f"{picture}.png" if solution == best else f"{solution}_{picture}.png"
