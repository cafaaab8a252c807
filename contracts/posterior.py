"""The posterior, what the data say about each channel and how surely: how it is asked for, and its answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from contracts.base import SCHEMA_VERSION, Authored, ColumnName, Exchanged, SchemaVersion


class PosteriorConfig(Authored):
    """The posterior of the model's form, with a baseline that is fitted together with the media."""

    paid_share: float = Field(
        0.25,
        gt=0,
        le=10,
        description="scale of the half-Cauchy prior of a paid channel's ROAS, as a share of sales per spend",
    )
    roas: dict[ColumnName, tuple[float, float]] = Field(
        {},
        description="prior knowledge of a channel's ROAS, from experience or experiments, by spend column: "
        "[low, high] hold 90 % of the prior, in units of the dependent variable per unit of currency",
    )
    draws: int = Field(1000, ge=200, le=4000, description="joint draws that are kept in posterior.parquet")

    @field_validator("roas")
    @classmethod
    def _ranges(cls, roas: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for name, (low, high) in roas.items():
            if not 0 < low < high:
                raise ValueError(f"{name}: [{low}, {high}] must satisfy 0 < low < high")
        return roas


def _as_posterior(value: Any) -> Any:
    """`off`, which YAML reads as false, is None; `on` is the default."""
    if value in ("off", False):
        return None
    return {} if value in ("on", True) else value


AskedPosterior = Annotated[
    PosteriorConfig | None,
    BeforeValidator(
        _as_posterior, json_schema_input_type=PosteriorConfig | Literal["on", "off"] | bool | None
    ),
]


class Quantiles(Exchanged):
    """What the posterior says about one number."""

    mean: float = Field(description="of the draws in posterior.parquet")
    q05: float = Field(description="90 % lie between this and q95")
    q25: float = Field(description="half lie between this and q75")
    q50: float = Field(description="as likely too high as too low")
    q75: float = Field(description="see q25")
    q95: float = Field(description="see q05")


class PosteriorPrior(Exchanged):
    """What was assumed before the data were seen."""

    paid_share: float = Field(
        description="scale of the half-Cauchy prior of ROAS, as a share of sales per spend"
    )
    organic_share: float = Field(
        description="scale of that of an organic contribution, as a share of all sales"
    )
    roas: dict[str, tuple[float, float]] = Field({}, description="the request's own ranges, by spend column")


class PosteriorChannel(Exchanged):
    """What the data say about one channel, over the window."""

    name: str = Field(description="spend column, or organic column")
    modelled: str = Field(description="the column that was modelled")
    paid: bool = Field(description="whether it costs money")
    spend: float | None = Field(None, description="in the window, in currency; only of a paid channel")
    roas: Quantiles | None = Field(
        None, description="contribution per unit of currency; only of a paid channel, for revenue"
    )
    cpa: Quantiles | None = Field(
        None, description="currency per conversion, q05 the cheapest; only of a paid channel, for conversions"
    )
    contribution: Quantiles = Field(description="in units of the dependent variable")
    share: Quantiles = Field(description="of the dependent variable's sum")
    prior_q05: float = Field(description="of the prior of roas or cpa, of an organic channel of contribution")
    prior_q50: float = Field(description="see prior_q05")
    prior_q95: float = Field(description="see prior_q05")
    learned: float = Field(
        description="1 − width of the posterior / width of the prior, logarithmic; 0: the data say nothing"
    )
    r_hat: float = Field(description="split-R̂ of the chains; good below 1.05")
    ess: float = Field(description="effective number of draws; good from 200")
    converged: bool = Field(description="whether the chains agree on the channel")
    delayed: float | None = Field(
        None,
        description="probability that its effect has a delayed peak, as Weibull adstock has; left out: "
        "only the adstock that the request asks for was tried",
    )
    spread: Quantiles | None = Field(
        None,
        description="of data by region: sd of its log ROAS between regions; 0.3 is a third more or less",
    )
    verdict: str = Field("", description="what it earns, how sure that is, and how much of it was assumed")


class RegionChannel(Exchanged):
    """What the data say about one channel in one region, over the window."""

    name: str = Field(description="spend column, or organic column")
    paid: bool = Field(description="whether it costs money")
    spend: float | None = Field(None, description="in the window, in currency; only of a paid channel")
    roas: Quantiles | None = Field(None, description="as for the country")
    cpa: Quantiles | None = Field(None, description="as for the country")
    contribution: Quantiles = Field(description="in units of the dependent variable")
    share: Quantiles = Field(description="of the dependent variable's sum in the region")
    converged: bool = Field(description="whether the chains agree on it")


class PosteriorRegion(Exchanged):
    """What the data say about one region."""

    name: str = Field(description="as the data name it")
    dependent: float = Field(description="sum of the dependent variable in the window")
    baseline_share: Quantiles = Field(description="share of that which no channel earned")
    channels: list[RegionChannel] = Field(description="those with media in the region's window")


class ChosenModel(Exchanged):
    """How the best model of the search lies in the posterior."""

    sol_id: str = Field(description="the model")
    distance: float = Field(
        description="sum over paid channels of ((log ROAS − median) / sd)²; expected is one per channel"
    )
    roas: dict[str, float] = Field(
        description="its ROAS by spend column, units of the dependent variable per unit of currency"
    )
    inside: dict[str, bool] = Field(description="whether that lies between q05 and q95")


class ShortInterval(Exchanged):
    """What the data say that a paid channel earns, in a few numbers."""

    name: str = Field(description="spend column")
    metric: Literal["roas", "cpa"] = Field(description="what the numbers are")
    contribution: float | None = Field(
        None,
        description="expected over the window, in units of the dependent variable, the mean of all draws; "
        "left out: a former release did not say",
    )
    mean: float | None = Field(
        None, description="ROAS or CPA of that; left out: a former release did not say"
    )
    q05: float = Field(description="90 % lie between this and q95")
    q50: float = Field(description="as likely too high as too low")
    q95: float = Field(description="see q05")
    learned: float = Field(description="0: only what was assumed before; 1: all that there is to know")
    inside: bool | None = Field(
        None,
        description="whether the best model's value lies between q05 and q95; left out: no best model",
    )
    verdict: str = Field("", description="the same in words")


class PosteriorShort(Exchanged):
    """The posterior in short, for summaries and messages."""

    converged: bool = Field(description="if not, do not use it")
    channels: list[ShortInterval] = Field(description="the paid channels")
    sentences: list[str] = Field(description="the same in words, and which channel earns more how surely")


def chance(probability: float) -> str:
    """A probability that is estimated from draws, in words: no draw is a proof."""
    if probability > 0.99:
        return "more than 99 %"
    return "less than 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


CAUTION = (
    "90 % is right if the model's form is. On generated data of other forms 90 % of the intervals held the "
    "truth; where demand that nobody recorded moved spend and sales, 73 %: only an experiment shows that."
)
"""What remains beside the intervals, measured on generated worlds, see docs/trust.md."""
REGIONS_NOTE = (
    "where adstock or saturation differs between regions, 86 % of their 90 % intervals held the truth"
)
"""Measured on generated worlds, see docs/trust.md."""


class PosteriorDocument(Exchanged):
    """posterior.json: what the data say about each channel, and how surely."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    dependent: str = Field(description="column that is explained")
    dependent_type: str = Field(description="revenue or conversion")
    converged: bool = Field(description="whether the chains agree on every channel")
    prior: PosteriorPrior = Field(description="what was assumed before the data were seen")
    seed: int = Field(description="of the random numbers")
    chains: int = Field(description="independent chains")
    sweeps: int = Field(description="of each chain; they grow until the chains agree")
    draws: int = Field(description="rows of posterior.parquet")
    sigma: Quantiles = Field(description="sd of the noise, in units of the dependent variable")
    rho: Quantiles = Field(description="autocorrelation of the noise")
    kappa: Quantiles = Field(description="how bendy the trend is; 0 without trend")
    baseline_share: Quantiles = Field(description="share of the dependent variable that no channel earned")
    channels: list[PosteriorChannel] = Field(description="paid channels in the request's order, then organic")
    better: list[list[float | None]] = Field(
        description="probability that the paid channel of the row earns more per unit of currency than that "
        "of the column; null on the diagonal"
    )
    regions: list[PosteriorRegion] = Field(
        [], description="of data by region: each of them; everything else here is their sum, draw by draw"
    )
    best_model: ChosenModel | None = Field(None, description="left out where no model was chosen")
    next_study: str | None = Field(
        None, description="the paid channel of which a lift study would tell most: most money in doubt"
    )
    sentences: list[str] = Field(description="the same in words")
    notes: list[str] = Field([], description="what of the request has no part in the posterior, and why")

    def short(self) -> PosteriorShort:
        """The posterior in short."""
        inside = self.best_model.inside if self.best_model else {}
        channels = [
            ShortInterval(
                name=channel.name,
                metric="roas" if channel.roas else "cpa",
                contribution=channel.contribution.mean,
                mean=found.mean,
                q05=found.q05,
                q50=found.q50,
                q95=found.q95,
                learned=channel.learned,
                inside=inside.get(channel.name),
                verdict=channel.verdict,
            )
            for channel in self.channels
            if (found := channel.roas or channel.cpa)
        ]
        return PosteriorShort(converged=self.converged, channels=channels, sentences=self.sentences)
