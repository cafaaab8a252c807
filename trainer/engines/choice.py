"""The model of a search that is nearest to the posterior, and whether a model lies inside of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from contracts.posterior import ChosenModel, PosteriorChannel, PosteriorDocument
from trainer.engines.common import Floats

_NINETY_WIDTH = 3.29
"""Width of a normal distribution's 90 % interval, in standard deviations."""
_NOTHING = 1e-3
"""A ROAS below this share of the median counts as this share."""


def roas_of(channel: PosteriorChannel) -> tuple[float, float, float]:
    """The 5 %, 50 % and 95 % quantiles of a paid channel's ROAS, for conversions too: 1 / CPA."""
    if channel.roas:
        return channel.roas.q05, channel.roas.q50, channel.roas.q95
    assert channel.cpa  # noqa: S101 (a paid channel has one of both)
    return 1 / channel.cpa.q95, 1 / channel.cpa.q50, 1 / channel.cpa.q05


def distances(document: PosteriorDocument, roas: pd.DataFrame) -> Floats:
    """(k,) how far models are from the posterior, from their ROAS (k rows, a column per spend column).

    The sum over channels of ((log ROAS − median) / s)², s being the 90 % interval's width over 3.29. A
    channel that earns less than a thousandth of the median, or nothing, counts as if it earned that.
    """
    paid = [channel for channel in document.channels if channel.paid]
    middle, sd = np.array([_logarithmic(channel) for channel in paid]).T
    values = roas[[channel.name for channel in paid]].to_numpy(dtype=float)
    logs = np.maximum(np.log(np.maximum(values, np.finfo(float).tiny)), middle + np.log(_NOTHING))
    found: Floats = (((logs - middle) / sd) ** 2).sum(axis=1)
    return found


def _logarithmic(channel: PosteriorChannel) -> tuple[float, float]:
    """Median and s of a paid channel's log ROAS."""
    low, middle, high = (float(value) for value in np.log(roas_of(channel)))
    return middle, (high - low) / _NINETY_WIDTH


def aims(document: PosteriorDocument) -> list[dict[str, Any]]:
    """What R needs to compute `distances` itself, of each paid channel."""
    found = []
    for channel in document.channels:
        if channel.paid:
            middle, sd = _logarithmic(channel)
            floor = middle + float(np.log(_NOTHING))
            found.append({"modelled": channel.modelled, "middle": middle, "sd": sd, "floor": floor})
    return found


def chosen(document: PosteriorDocument, solution: str, roas: Mapping[str, float]) -> ChosenModel:
    """How a model with this ROAS by spend column lies in the posterior."""
    paid = [channel for channel in document.channels if channel.paid]
    inside = {c.name: roas_of(c)[0] <= roas[c.name] <= roas_of(c)[2] for c in paid}
    return ChosenModel(
        sol_id=solution,
        distance=float(distances(document, pd.DataFrame([roas]))[0]),
        roas={channel.name: float(roas[channel.name]) for channel in paid},
        inside={name: bool(within) for name, within in inside.items()},
    )
