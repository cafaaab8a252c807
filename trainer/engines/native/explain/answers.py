"""What one model answers: decomposition, shares, ROAS and CPA, carry-over, response curves, lift."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from trainer.engines.common import INTERCEPT, Floats
from trainer.engines.native.records import (
    SUMMARY_COLUMNS,
    Inputs,
    MediaAnswer,
    ModelAnswer,
    ResponseCurve,
    Split,
)
from trainer.engines.native.search import kernel
from trainer.engines.native.search.evaluator import Evaluator

_CURVE_POINTS = 100
"""Points of a response curve."""
_CURVE_REACH = 1.5
"""End of a response curve, as a multiple of the window's largest input."""


class Answers:
    """Answers about the candidates of one search, each evaluated again. Not for several threads at once."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._evaluator = Evaluator(inputs)

    def model(self, candidate: Mapping[str, Any]) -> ModelAnswer:
        """Everything about one row of `Result.candidates`."""
        inputs = self._inputs
        self._evaluate(candidate)
        beta, design = self._evaluator.beta, self._evaluator.work.design
        contributions = np.column_stack([np.full(len(design), beta[0]), design * beta[1:]])
        media = tuple(self._media(i) for i in range(len(inputs.media)))
        train, validated = kernel.split_rows(len(design), float(candidate["train_size"]))
        return ModelAnswer(
            solution=str(candidate["solID"]),
            candidate={name: float(value) for name, value in candidate.items() if name != "solID"},
            split=Split(train, validated - train, len(design) - validated),
            dates=inputs.window_dates,
            actual=self._evaluator.problem.dependent,
            fitted=self._evaluator.work.fitted.copy(),
            contributions=pd.DataFrame(
                contributions,
                index=pd.DatetimeIndex(inputs.window_dates, name="ds"),
                columns=[INTERCEPT, *inputs.columns],
            ),
            summary=_summary(inputs, beta, contributions, media),
            media=media,
        )

    def lift(self, candidate: Mapping[str, Any]) -> pd.DataFrame:
        """Predicted against measured lift, a row per calibration study."""
        self._evaluate(candidate)
        rows = [self._study(i) for i in range(len(self._inputs.studies))]
        return pd.DataFrame(rows).assign(solID=candidate["solID"])

    def response(self, candidate: Mapping[str, Any], name: str, total: float, periods: int) -> float:
        """Mean response per period if a media variable had had `total` over the last `periods` of the window.

        The input is split over these periods as it was in the data, and the inflexion stays as it was (Robyn:
        robyn_response with metric_value). In units of the dependent variable; `total` in currency, of an
        organic variable in its unit.
        """
        self._evaluate(candidate)
        inputs, i = self._inputs, self._inputs.media.index(name)
        media = self._media(i)
        rows = slice(inputs.stop - periods, inputs.stop)
        series = self._evaluator.problem.media[i].copy()
        series[rows] *= total / series[rows].sum()
        weights, adstocked = np.empty(len(series)), np.empty(len(series))
        first, second = (*media.adstock.values(), 0.0)[:2]
        kernel.adstock(self._evaluator.problem.family, series, first, second, weights, adstocked)
        mean = np.array([adstocked[rows].mean()])
        return float((media.coefficient * saturate(mean, media.alpha, media.inflexion))[0])

    def _evaluate(self, candidate: Mapping[str, Any]) -> None:
        evaluator = self._evaluator
        evaluator.hyper[:] = [candidate.get(name, 1.0) for name in evaluator.names]
        evaluator.evaluate()

    def _media(self, i: int) -> MediaAnswer:
        """The media variable i of the candidate that was evaluated last."""
        inputs, evaluator = self._inputs, self._evaluator
        name, beta = inputs.media[i], float(evaluator.beta[len(evaluator.beta) - len(inputs.media) + i])
        hyper = dict(zip(evaluator.names, evaluator.hyper.tolist(), strict=True))
        kinds = (
            {"theta": "thetas"} if inputs.adstock == "geometric" else {"shape": "shapes", "scale": "scales"}
        )
        parameters = {kind: hyper[f"{name}_{plural}"] for kind, plural in kinds.items()}
        alpha = hyper[f"{name}_alphas"]
        inflexion, inflation = evaluator.outcome[len(kernel.METRICS) :].reshape(2, -1)[:, i].tolist()
        weights = np.empty(len(inputs.dates))
        first, second = (*parameters.values(), 0.0)[:2]
        kernel.decay_weights(evaluator.problem.family, first, second, weights)
        adstocked = evaluator.work.adstocked[i, inputs.window].copy()
        immediate = weights[0] * evaluator.problem.media[i, inputs.window]
        carryover = adstocked - immediate
        response = beta * saturate(adstocked, alpha, inflexion)
        response_carryover = beta * saturate(carryover, alpha, inflexion)
        return MediaAnswer(
            name=name,
            spend_name=inputs.spend_names[i] if i < len(inputs.paid) else None,
            coefficient=beta,
            alpha=alpha,
            gamma=hyper[f"{name}_gammas"],
            inflexion=inflexion,
            inflation=inflation,
            adstock=parameters,
            weights=weights[: len(adstocked)],
            adstocked=adstocked,
            carryover=carryover,
            response=response,
            response_carryover=response_carryover,
            immediate_share=1.0 - _ratio(response_carryover.sum(), response.sum()),
            curve=_curve(
                float(evaluator.problem.media[i, inputs.window].max()),
                float(immediate.mean()),
                float(carryover.mean()),
                lambda value: beta * saturate(value, alpha, inflexion),
            ),
        )

    def _study(self, s: int) -> dict[str, Any]:
        inputs, study, evaluator = self._inputs, self._inputs.studies[s], self._evaluator
        predicted, total = kernel.study_effect(
            evaluator.problem, evaluator.hyper, evaluator.work, evaluator.outcome, evaluator.beta, s
        )
        return {
            "liftMedia": "+".join(study.media),
            "liftStart": study.start,
            "liftEnd": study.end,
            "liftAbs": study.lift,
            "decompStart": inputs.dates[study.first],
            "decompEnd": inputs.dates[study.stop - 1],
            "decompAbsScaled": predicted,
            "decompAbsTotalScaled": total,
            "calibrated_pct": _ratio(predicted, total),
            "mape_lift": abs(predicted - study.lift) / study.error_scale,
        }


def saturate(values: Floats, alpha: float, inflexion: float) -> Floats:
    """Hill saturation of inputs >= 0, in [0, 1); 0 stays 0."""
    power = np.asarray(values**alpha)
    saturated: Floats = np.divide(power, power + inflexion**alpha, out=np.zeros_like(power), where=values > 0)
    return saturated


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else np.nan


def _curve(
    largest: float, mean: float, carryover: float, respond: Callable[[Floats], Floats]
) -> ResponseCurve:
    """The curve over inputs from 0, upon the mean carry-over (robyn-spec §14)."""
    value = np.linspace(0.0, _CURVE_REACH * largest, _CURVE_POINTS)
    response = respond(value + carryover)
    at_mean, at_zero = respond(np.array([mean + carryover, carryover])).tolist()
    return ResponseCurve(
        value=value,
        response=response,
        marginal=respond(value + carryover + 1.0) - response,
        mean_value=mean,
        mean_carryover=carryover,
        mean_value_response=at_mean,
        carryover_response=at_zero,
    )


def _summary(
    inputs: Inputs, beta: Floats, contributions: Floats, media: tuple[MediaAnswer, ...]
) -> pd.DataFrame:
    """A row per variable with the columns of SUMMARY_COLUMNS (robyn-spec §7)."""
    first = 1 + len(inputs.prophet) + len(inputs.context)
    paid, last = slice(first, first + len(inputs.paid)), slice(first, None)
    total = contributions.sum(axis=0)
    mean_nonzero = np.array([_mean_nonzero(column) for column in contributions.T])
    spend, exposure = inputs.spend[inputs.window], inputs.exposure[inputs.window]
    effect = total[paid].sum()
    size = len(total)
    mean_spend = _placed(size, paid, spend.mean(axis=0))
    total_spend = _placed(size, paid, spend.sum(axis=0))
    mean_response = _placed(size, last, [answer.response.mean() for answer in media])
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "rn": [INTERCEPT, *inputs.columns],
            "coef": beta.copy(),
            "xDecompAgg": total,
            "xDecompPerc": total / total.sum(),
            "xDecompMeanNon0": mean_nonzero,
            "xDecompMeanNon0Perc": mean_nonzero / mean_nonzero.sum(),
            "pos": total >= 0,
            "spend_share": total_spend / spend.sum(),
            "mean_spend": mean_spend,
            "total_spend": total_spend,
            "mean_exposure": _placed(size, last, exposure.mean(axis=0)),
            "effect_share": _placed(size, paid, total[paid] / effect if effect else 0.0),
            "mean_response": mean_response,
            "mean_spend_adstocked": _placed(size, last, [answer.adstocked.mean() for answer in media]),
            "mean_carryover": _placed(size, last, [answer.carryover.mean() for answer in media]),
            "roi_mean": mean_response / mean_spend,
            "roi_total": total / total_spend,
            "cpa_mean": mean_spend / mean_response,
            "cpa_total": total_spend / total,
            "carryover_pct": _placed(size, last, [1.0 - answer.immediate_share for answer in media]),
        }
    return pd.DataFrame(columns, columns=list(SUMMARY_COLUMNS))


def _placed(size: int, rows: slice, values: ArrayLike) -> Floats:
    """An array of NaN but for these rows."""
    column = np.full(size, np.nan)
    column[rows] = values
    return column


def _mean_nonzero(contributions: Floats) -> float:
    if not (contributions > 0).any():
        return 0.0
    return float(contributions[contributions != 0].mean())
