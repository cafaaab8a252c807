"""What the engine is given and what it answers: plain frozen records, arrays and tables.

Notation: N rows of the whole data, n rows of the modelling window, p columns of the design matrix,
m media variables (paid before organic), k candidates. Money is in the currency of the data, time in
periods of the data's interval. Table columns have Robyn's names: tables are written to files as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.model import Adstock, Sign, Solver
from contracts.series import Interval
from trainer.engines.common import Floats, SearchRange
from trainer.engines.refresh.continuation import Reference

DependentType = Literal["revenue", "conversion"]
InterceptSign = Literal["non_negative", "unconstrained"]


SUMMARY_COLUMNS = {
    "rn": "variable; the intercept first, then the design columns",
    "coef": "coefficient; of a media variable the asymptotic response per period",
    "xDecompAgg": "contribution over the window, in units of the dependent variable",
    "xDecompPerc": "its share of the fitted total",
    "xDecompMeanNon0": "mean contribution per period in which there is one",
    "xDecompMeanNon0Perc": "its share of their sum",
    "pos": "whether the contribution is not negative",
    "spend_share": "share of the paid channels' spend in the window (NaN unless paid, and so on below)",
    "mean_spend": "raw spend per period, zero periods included, in currency",
    "total_spend": "raw spend over the window, in currency",
    "mean_exposure": "raw exposure or organic value per period (NaN where the spend is modelled)",
    "effect_share": "share of the paid channels' contribution",
    "mean_response": "contribution per period (media, as below)",
    "mean_spend_adstocked": "adstocked input per period",
    "mean_carryover": "the part of it that stems from earlier periods",
    "roi_mean": "mean_response / mean_spend: ROAS, per unit of currency (paid, as below)",
    "roi_total": "xDecompAgg / total_spend",
    "cpa_mean": "1 / roi_mean: currency per unit of the dependent variable, inf without response",
    "cpa_total": "1 / roi_total",
    "carryover_pct": "share of the response that stems from carry-over (media; NaN without response)",
}
"""The columns of `ModelAnswer.summary`, in order."""


@dataclass(frozen=True, eq=False)
class Study:
    """One calibration study, translated to rows and design columns."""

    media: tuple[str, ...]
    """Names of the media columns that were tested."""
    start: np.datetime64
    end: np.datetime64
    lift: float
    """Measured extra of the dependent variable over the study, in its unit."""
    scope: Literal["immediate", "total"]
    first: int
    """First row of the whole data inside the study (0-based)."""
    stop: int
    """One past the last row inside the study."""
    weights: tuple[float, ...]
    """(stop - first,) share of the days of each period that the study covers."""
    error_scale: float
    """What the distance from the measured lift is divided by, in units of the dependent variable."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Everything that a search needs, numeric (Robyn: dt_mod and the inputs that belong to it)."""

    dates: NDArray[np.datetime64]
    """(N,) first day of every period, ascending without gaps, datetime64[D]."""
    interval: Interval
    dependent_name: str
    dependent_type: DependentType
    dependent: Floats
    """(N,) what is explained, per period."""
    prophet: tuple[str, ...]
    """Design columns from Prophet; the design matrix is prophet, context, paid, organic, in this order."""
    context: tuple[str, ...]
    """Context columns, then factors (already numeric)."""
    paid: tuple[str, ...]
    """Modelled column of each paid channel: its exposure where there is one, otherwise its spend."""
    organic: tuple[str, ...]
    values: Floats
    """(N, p) design columns before adstock and saturation; paid columns in currency of the window."""
    signs: tuple[Sign, ...]
    """(p,) sign that each coefficient must have; ignored for prophet columns, whose limits are fixed."""
    spend_names: tuple[str, ...]
    """Spend column of each paid channel."""
    spend: Floats
    """(N, paid) raw spends, currency per period."""
    exposure: Floats
    """(N, m) raw exposures or organic values, in their unit; NaN for a channel modelled by its spend."""
    first: int
    """First row of the window (0-based)."""
    stop: int
    """One past the last row of the window; n = stop - first."""
    adstock: Adstock
    bounds: dict[str, SearchRange]
    """Media hyperparameters by name, sorted."""
    lambda_range: SearchRange = (0.0, 1.0)
    """SearchRange of lambda_hp, the position of lambda between its smallest and largest value."""
    train_size: SearchRange | None = None
    """SearchRange of the share of the window that is trained on; None: no validation, train on all of it."""
    penalties: dict[str, SearchRange] = field(default_factory=dict)
    """`<column>_penalty` for every design column, in that order; empty: all 1, not searched."""
    studies: tuple[Study, ...] = ()
    intercept_sign: InterceptSign = "non_negative"
    solver: Solver = "robyn"
    best_by: Literal["error_score", "nrmse"] = "error_score"
    """The best Pareto solution has the smallest of these; that of a refresh the smallest DECOMP.RSSD."""
    reference: Reference | None = None
    """Only of a refresh: DECOMP.RSSD is the distance to this former model."""

    @property
    def columns(self) -> tuple[str, ...]:
        """(p,) the design columns in order."""
        return self.prophet + self.context + self.media

    @property
    def media(self) -> tuple[str, ...]:
        """(m,) the media columns, paid before organic."""
        return self.paid + self.organic

    @property
    def window(self) -> slice:
        """The window as rows of the whole data."""
        return slice(self.first, self.stop)

    @property
    def window_dates(self) -> NDArray[np.datetime64]:
        """(n,) dates of the window."""
        return self.dates[self.window]


@dataclass(frozen=True)
class TrialProgress:
    """How far one trial is."""

    trial: int
    """1-based."""
    trials: int
    iteration: int
    """Candidates of this trial evaluated so far."""
    iterations: int
    nrmse: float
    """Smallest NRMSE of this trial so far."""
    rssd: float
    """Smallest DECOMP.RSSD of this trial so far."""


@dataclass(frozen=True)
class Split:
    """Rows of the window that a model was trained, validated and tested on, in this order; they sum to n."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True, eq=False)
class ResponseCurve:
    """Response to one period's input, given the average carry-over (Robyn: robyn_response)."""

    value: Floats
    """(100,) input per period, 0 to 1.5 times the window's largest, in currency or the organic unit."""
    response: Floats
    """(100,) total response per period, in units of the dependent variable; at 0 it is the carry-over's."""
    marginal: Floats
    """(100,) response to one more unit of input, R(x + 1) - R(x)."""
    mean_value: float
    """Mean input per period in the window (immediate part after adstock); the point to draw on the curve."""
    mean_carryover: float
    """Mean carry-over per period in the window, in the unit of `value`."""
    mean_value_response: float
    """Response at `mean_value`."""
    carryover_response: float
    """Response to the mean carry-over alone, the curve's value at 0."""


@dataclass(frozen=True, eq=False)
class MediaAnswer:
    """What one media variable did in the window, in one model."""

    name: str
    spend_name: str | None
    """Its spend column; None for an organic variable."""
    coefficient: float
    """Asymptotic response per period, in units of the dependent variable."""
    alpha: float
    gamma: float
    inflexion: float
    """Adstocked input at half saturation, gamma times its largest value in the window."""
    inflation: float
    """Sum of the adstocked over the sum of the raw input, all data."""
    adstock: dict[str, float]
    """The adstock's own hyperparameters: {"theta": ...} or {"shape": ..., "scale": ...}."""
    weights: Floats
    """(n,) weight with which one period's input works in the same period, one, two, ... periods later."""
    adstocked: Floats
    """(n,) input after adstock, currency per period (organic: its unit)."""
    carryover: Floats
    """(n,) the part of `adstocked` that stems from earlier periods."""
    response: Floats
    """(n,) contribution, in units of the dependent variable."""
    response_carryover: Floats
    """(n,) the part of `response` that the carry-over alone would have earned; the rest is immediate."""
    immediate_share: float
    """Share of the response that is immediate, 1 - carryover_pct; NaN if there is no response."""
    curve: ResponseCurve


@dataclass(frozen=True, eq=False)
class ModelAnswer:
    """One model in full: what was paid, what it earned, how well it fits."""

    solution: str
    """solID, `<trial>_<iteration>_1`."""
    candidate: dict[str, float]
    """Its row of `Result.candidates` without solID: hyperparameters, lambda, metrics, front, error score."""
    split: Split
    dates: NDArray[np.datetime64]
    """(n,) the window's dates."""
    actual: Floats
    """(n,) the dependent variable."""
    fitted: Floats
    """(n,) the model's value of it; the sum of `contributions`."""
    contributions: pd.DataFrame
    """(n, 1 + p) columns `(Intercept)` and the design columns, by date, in units of the dependent."""
    summary: pd.DataFrame
    """(1 + p rows) a row per variable, the intercept first; its columns are SUMMARY_COLUMNS."""
    media: tuple[MediaAnswer, ...]
    """(m,) in design order, paid before organic."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Groups of similar Pareto solutions (Robyn: robyn_clusters), numbered from 1."""

    members: pd.DataFrame
    """(Pareto solutions in the order of proposals; the first of those with the same media hyperparameters)
    the hyperparameters scaled to [0, 1], `nrmse`, `decomp.rssd`, `mape`, `solID`, `cluster`, `n` (its size),
    `top_sol` (True: the winner)."""
    confidence: pd.DataFrame
    """(paid channels × clusters rows) `rn`, `cluster`, `n`, `boot_mean`, `boot_se`, `ci_low`, `ci_up`, `sd`
    of ROAS (of CPA for conversions) within the cluster; `n` counts models with a finite value. NaN without
    any, and in a cluster of fewer than three models."""
    wss: Floats
    """Within-cluster sum of squares with 1, 2, ... clusters; one entry if there are too few models."""
    winners: tuple[str, ...]
    """solID of the smallest error score of each cluster; scores are scaled over the clustered solutions."""
