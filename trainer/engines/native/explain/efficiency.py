"""What a channel brings for its money: ROAS for revenue, CPA for conversions."""

from __future__ import annotations

import math
from typing import Literal

from trainer.engines.native.records import DependentType, MediaAnswer

METRIC: dict[DependentType, Literal["roas", "cpa"]] = {"revenue": "roas", "conversion": "cpa"}


def efficiency(response: float, spend: float, dependent_type: DependentType) -> float:
    """ROAS, response / spend, for revenue; CPA, spend / response, for conversions.

    `response` is in units of the dependent variable, `spend` in currency. A division by zero gives inf, or
    nan if both are zero.
    """
    top, bottom = (response, spend) if dependent_type == "revenue" else (spend, response)
    if bottom:
        return float(top / bottom)
    return math.inf if top else math.nan


def marginal_efficiency(media: MediaAnswer, dependent_type: DependentType) -> float:
    """ROAS or CPA of one more unit of currency per period at the window's average spend.

    The carry-over stays at its average, as in robyn-spec §15.1: R(mean + 1) - R(mean).
    """
    mean = media.curve.mean_value
    return efficiency(_response(media, mean + 1) - _response(media, mean), 1.0, dependent_type)


def _response(media: MediaAnswer, value: float) -> float:
    """The response curve, robyn-spec §14: coefficient / (1 + (inflexion / (value + carry-over)) ** alpha)."""
    x = value + media.curve.mean_carryover
    return media.coefficient / (1 + (media.inflexion / x) ** media.alpha) if x else 0.0
