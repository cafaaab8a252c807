"""figures.json of the best model and the other winners, and single pictures of them, from a result's files.

One code for all engines: it reads the documents and tables that every engine leaves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from contracts.curves import FACTORS, CurveChannel, CurveDates, CurvesDocument
from contracts.figures import (
    FigureBand,
    FigureChannel,
    FigureCurve,
    FigureForecast,
    FigureModel,
    FigureTold,
    FigureVariable,
    ModelFigures,
    figures_name,
)
from contracts.model import Pictures
from contracts.posterior import PosteriorChannel, PosteriorDocument
from contracts.result import AllocatedChannel, Allocation, BestModel, Channel
from contracts.trust import TrustDocument
from trainer.engines.common import INTERCEPT, Floats
from trainer.engines.pictures import panels

_POINTS = 60
"""Of a response curve, closer together where it starts, as most curves bend there."""


def write(folder: Path, pictures: Pictures = "best") -> None:
    """Write the figures of the best model and the other winners into the folder of a result.

    `pictures` says of which models single pictures are drawn. All other files of the result must be there,
    also the tables as Parquet.
    """
    result = _Result.of(folder)
    for solution in dict.fromkeys([result.best.sol_id, *(one.sol_id for one in result.best.winners)]):
        found = result.figures(solution)
        if pictures == "winners" or (pictures == "best" and solution == result.best.sol_id):
            found = found.model_copy(update={"pictures": panels.draw(found, folder)})
        text = _six_digits(found.model_dump_json(exclude_none=True))
        (folder / figures_name(solution, result.best.sol_id)).write_text(text, encoding="utf-8")


def _six_digits(text: str) -> str:
    """A JSON document with its numbers rounded to six significant digits."""
    return json.dumps(json.loads(text, parse_float=_shortest), ensure_ascii=False, separators=(",", ":"))


def _shortest(number: str) -> float | int:
    """A number as it is rounded; one that is whole is written without `.0`."""
    rounded = float(f"{float(number):.6g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < _LONG else rounded


_LONG = 1e15
"""Numbers from here on are written with an exponent."""


@dataclass(frozen=True)
class _Result:
    """The files of a result that the figures come from."""

    best: BestModel
    posterior: PosteriorDocument | None
    window: CurveDates | None
    """Of curves.json."""
    budget: Allocation | None
    trust: TrustDocument | None
    models: pd.DataFrame
    aggregated: dict[tuple[str, str], dict[Any, Any]]
    periods: pd.DataFrame

    @classmethod
    def of(cls, folder: Path) -> _Result:
        def text(name: str) -> bytes | None:
            path = folder / name
            return path.read_bytes() if path.is_file() else None

        best = BestModel.model_validate_json((folder / "best_model.json").read_bytes())
        told = [best.sol_id, *(one.sol_id for one in best.winners)]

        def table(name: str, *, all_models: bool = False) -> pd.DataFrame:
            chosen = None if all_models else [("solID", "in", told)]
            found: pd.DataFrame = pq.read_table(folder / f"{name}.parquet", filters=chosen).to_pandas()
            return found

        posterior, curves, budget, trust = map(
            text, ("posterior.json", "curves.json", "allocator.json", "trust.json")
        )
        dates = CurvesDocument.model_validate_json(curves).dates if curves else []
        return cls(
            best,
            PosteriorDocument.model_validate_json(posterior) if posterior else None,
            next((one for one in dates if one.name == "window"), None),
            Allocation.model_validate_json(budget) if budget else None,
            TrustDocument.model_validate_json(trust) if trust else None,
            table("pareto_hyperparameters", all_models=True).set_index("solID", drop=False),
            {(row["solID"], row["rn"]): row for row in table("pareto_aggregated").to_dict("records")},
            table("pareto_alldecomp_matrix"),
        )

    def figures(self, solution: str) -> ModelFigures:
        """Of one model, in full precision and without pictures."""
        best, model = self.best, self.models.loc[solution].to_dict()
        periods = self.periods[self.periods["solID"] == solution]
        names = {channel.modelled: channel.name for channel in best.channels}
        variables = [
            FigureVariable(
                name=names.get(one.name, one.name),
                kind=one.kind,
                total=float(series.sum()),
                values=series.tolist(),
            )
            for one in best.contributions
            for series in (periods["intercept" if one.name == INTERCEPT else one.name],)
        ]
        return ModelFigures(
            sol_id=solution,
            best=best.sol_id,
            dependent=best.dependent,
            metric="roas" if best.dependent_type == "revenue" else "cpa",
            interval=best.interval,
            r2=_finite(model["rsq_train"]),
            nrmse=model["nrmse"],
            rssd=_finite(model["decomp.rssd"]),
            mape=_finite(model["mape"]),
            train=best.train.rows,
            validation=best.validation.rows,
            dates=list(periods["ds"]),
            actual=periods["dep_var"].tolist(),
            predicted=periods["depVarHat"].tolist(),
            forecast=self._forecast(),
            variables=variables,
            channels=[self._channel(channel, solution, model) for channel in best.channels],
            models=self._models(),
        )

    def _channel(self, channel: Channel, solution: str, model: Mapping[Any, Any]) -> FigureChannel:
        row = self.aggregated[(solution, channel.modelled)]
        told = self._posterior(channel.name) if channel.paid else None
        budget = self._budget(channel.name)
        respond = _Response(
            float(row["coef"]),
            float(model[f"{channel.modelled}_alphas"]),
            float(model[f"{channel.modelled}_inflexion"]),
            float(row["mean_carryover"]),
        )
        response = float(row["xDecompAgg"])
        today = max(float(row["mean_spend_adstocked"]) - respond.carryover, 0.0)
        return FigureChannel(
            name=channel.name,
            modelled=channel.modelled,
            paid=channel.paid,
            spend=channel.spend,
            response=response,
            share=_finite(row["xDecompPerc"]),
            efficiency=self._per_unit(response, channel.spend) if channel.spend else None,
            marginal=self._per_unit(respond.more(today), 1.0) if channel.paid else None,
            **_told(told),
            similar_low=_finite(row["ci_low"]),
            similar_high=_finite(row["ci_up"]),
            proposed=budget.after.spend if budget and budget.after else None,
            before=budget.before.spend if budget and budget.before else None,
            curve=_curve(respond, today, channel.curve.value[-1], budget),
            told=self._earned(told, budget) if told else None,
        )

    def _earned(self, channel: PosteriorChannel, budget: AllocatedChannel | None) -> FigureTold:
        """What the posterior says of a paid channel beside its ROAS or CPA."""
        known = self.window.channels if self.window else []
        curve = next((one for one in known if one.name == channel.name and one.spend > 0), None)
        return FigureTold(
            low=channel.contribution.q05,
            mean=channel.contribution.mean,
            high=channel.contribution.q95,
            share=channel.share.mean,
            next_unit=self._per_unit(*_next(curve)) if curve else None,
            band=_band(curve, self.window.periods, budget) if curve and self.window else None,
        )

    def _per_unit(self, response: float, spend: float) -> float | None:
        """ROAS or CPA."""
        over, under = (response, spend) if self.best.dependent_type == "revenue" else (spend, response)
        return over / under if under else None

    def _posterior(self, name: str) -> PosteriorChannel | None:
        known = self.posterior.channels if self.posterior and self.posterior.converged else []
        return next((channel for channel in known if channel.name == name), None)

    def _budget(self, name: str) -> AllocatedChannel | None:
        known = self.budget.channels if self.budget and self.budget.feasible else []
        return next((channel for channel in known if channel.name == name), None)

    def _forecast(self) -> FigureForecast | None:
        tried = self.trust.backtests if self.trust else []
        longest = max(tried, key=lambda one: one.periods, default=None)
        if longest is None or not longest.middle:
            return None
        return FigureForecast(low=longest.low, middle=longest.middle, high=longest.high)

    def _models(self) -> list[FigureModel]:
        """The Pareto models, each once, and the best one."""
        winners = {one.sol_id for one in self.best.winners}
        return [
            FigureModel(
                sol_id=str(one["solID"]),
                nrmse=one["nrmse"],
                rssd=_finite(one["decomp.rssd"]),
                front=_whole(one["robynPareto"]),
                cluster=_whole(one["cluster"]),
                winner=one["solID"] in winners,
            )
            for one in self.models.to_dict("records")
        ]


@dataclass(frozen=True)
class _Response:
    """The response curve of a channel, robyn-spec §14: Hill saturation upon the average carry-over."""

    coefficient: float
    alpha: float
    inflexion: float
    carryover: float

    def __call__(self, value: Floats | float) -> Floats:
        whole = np.atleast_1d(np.asarray(value, dtype=float)) + self.carryover
        with np.errstate(divide="ignore"):
            found: Floats = np.where(
                whole > 0, self.coefficient / (1 + (self.inflexion / whole) ** self.alpha), 0.0
            )
        return found

    def more(self, value: float) -> float:
        """What one more unit earns."""
        return float(self(value + 1)[0] - self(value)[0])


def _curve(respond: _Response, today: float, widest: float, budget: AllocatedChannel | None) -> FigureCurve:
    """The curve to the highest input that was seen and half as much again, or to what is proposed."""
    proposed = None
    if budget and budget.before and budget.after and budget.before.spend:
        proposed = today * budget.after.spend / budget.before.spend
    value = max(widest, proposed or 0.0) * np.linspace(0.0, 1.0, _POINTS) ** 2
    return FigureCurve(
        value=value.tolist(),
        response=[_finite(one) for one in respond(value)],
        today=today,
        today_response=_finite(respond(today)[0]),
        proposed=proposed,
        proposed_response=None if proposed is None else _finite(respond(proposed)[0]),
    )


def _expected(curve: CurveChannel) -> list[float]:
    """What each factor is expected to earn, in the window and after it."""
    return [sum(parts) for parts in zip(curve.response, curve.carry_out, strict=True)]


def _next(curve: CurveChannel) -> tuple[float, float]:
    """What the next step of spend earns, in the window and after it, and what it costs."""
    today, earned = FACTORS.index(1.0), _expected(curve)
    return earned[today + 1] - earned[today], curve.spend * (FACTORS[today + 1] - 1.0)


def _band(curve: CurveChannel, periods: int, budget: AllocatedChannel | None) -> FigureBand:
    """The curve of the window, per period, with 90 % of its draws."""
    value = curve.spend / periods * np.array(FACTORS)
    low, high = np.quantile(np.array(curve.draws()), (0.05, 0.95), axis=0) / periods
    mean = np.array(_expected(curve)) / periods
    proposed = None
    if budget and budget.before and budget.after and budget.before.spend:
        factor = budget.after.spend / budget.before.spend
        proposed = factor * curve.spend / periods if factor <= FACTORS[-1] else None
    return FigureBand(
        value=value.tolist(),
        low=low.tolist(),
        mean=mean.tolist(),
        high=high.tolist(),
        today=curve.spend / periods,
        today_response=float(mean[FACTORS.index(1.0)]),
        proposed=proposed,
        proposed_response=None if proposed is None else float(np.interp(proposed, value, mean)),
    )


def _told(channel: PosteriorChannel | None) -> dict[str, float]:
    """What the posterior says of a paid channel, as fields of its figures."""
    metric = channel and (channel.roas or channel.cpa)
    if not (channel and metric):
        return {}
    return {
        "low": metric.q05,
        "middle": metric.q50,
        "high": metric.q95,
        "prior_low": channel.prior_q05,
        "prior_high": channel.prior_q95,
        "learned": channel.learned,
    }


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _whole(value: Any) -> int | None:
    return int(value) if value is not None and math.isfinite(value) else None
