"""What makes a series unfit for a marketing mix model (robyn-spec §1.2), on the data as they will be trained.

`frame` has the model's columns, sorted by date; `inside` are its rows of the modelling window.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from contracts.base import some
from contracts.model import Columns, PaidMedia
from contracts.request import TrainRequest
from functions.validate.columns import Floats, Mask, Numbers
from functions.validate.findings import Findings

_LARGEST = 1e100
"""Largest value that is modelled, either sign."""
_DUST = 1e-9
"""Negative media above minus this share of the column's largest value are rounding errors."""
_MOST_LEVELS = 10
"""Levels of a factor that count, the most frequent ones."""
_LEVELS_PER_ROW = 0.9
"""Share of levels per row from which on a factor is no category."""


def _negative(values: Floats) -> Mask:
    return values < 0


def without_negatives(frame: pd.DataFrame, columns: Columns, findings: Findings) -> pd.DataFrame:
    """The frame with 0 in media where rounding left less; what is really negative is an error."""
    for name in Numbers.of(frame, columns.media_columns).where(_negative):
        _remove_dust(frame, name, findings)
        _check_negative(frame, name, findings)
    return frame


def _remove_dust(frame: pd.DataFrame, name: str, findings: Findings) -> None:
    """The sum of floats that cancel out leaves something like -1e-13."""
    values = frame[name]
    dust = values.lt(0) & values.gt(-_DUST * max(values.abs().max(), 1.0))
    if dust.any():
        frame[name] = values.mask(dust, 0.0)
        message = f"column '{name}': {int(dust.sum())} value(s) such as {values[dust].iloc[0]:g} are 0"
        findings.change("rounded-to-zero", message, "", name, frame.index[dust])


def _check_negative(frame: pd.DataFrame, name: str, findings: Findings) -> None:
    """Media cannot be negative: the saturation curve has no value there."""
    negative = frame[name] < 0
    if negative.any():
        findings.error(
            "negative-media",
            f"column '{name}' has {int(negative.sum())} negative value(s), for example "
            f"{some((f'{value:g}' for value in frame[name][negative].drop_duplicates()), 3)}",
            "media must be 0 or more; move refunds and corrections to the period that they belong to",
            name,
            frame.index[negative],
        )


def check_range(frame: pd.DataFrame, numbers: Numbers, findings: Findings) -> None:
    """Numbers whose squares and sums a computer can hold."""
    for name in numbers.where(lambda values: np.abs(values) > _LARGEST):
        huge = frame[name].abs() > _LARGEST
        findings.error(
            "out-of-range",
            f"column '{name}' has {int(huge.sum())} value(s) beyond {_LARGEST:g}, delivered or computed",
            "correct the values, or their unit",
            name,
            frame.index[huge],
        )


def check_constant(
    frame: pd.DataFrame,
    inside: pd.DataFrame,
    numbers: Numbers,
    numbers_inside: Numbers,
    request: TrainRequest,
    findings: Findings,
) -> None:
    """A column without variation explains nothing, and Robyn stops."""
    columns = request.columns
    paid = {name for channel in columns.paid_media for name in (channel.spend, channel.exposure) if name}
    varied = {*numbers.names}.difference(numbers.constant(), numbers_inside.constant())
    for _, name in columns.roles():
        if name == columns.date or name not in frame or name in varied:
            continue
        if name in paid and inside[name].notna().any() and inside[name].fillna(0).eq(0).all():
            findings.error(
                "zero-media",
                f"column '{name}' contains only 0 within the modelling window",
                "remove the channel, or choose a window in which it was used",
                name,
            )
            continue
        where = _constant_where(frame[name], inside[name])
        if where:
            findings.error(
                "constant-column",
                f"column '{name}' has the same value, {inside[name].dropna().iloc[0]}, in every row{where}",
                _advice_for_constant(name, request),
                name,
            )


def _constant_where(values: pd.Series[float], inside: pd.Series[float]) -> str:
    for part, where in ((values, " of the data"), (inside, " of the modelling window")):
        known = part.to_numpy()[part.notna().to_numpy()]
        if len(known) > 1 and len({*known.tolist()}) == 1:
            return where
    return ""


def _advice_for_constant(name: str, request: TrainRequest) -> str:
    if name == request.columns.dependent:
        return "name the column that the model is to explain; it must vary"
    if request.resample and request.resample.interval:
        return (
            f"resampling per {request.resample.interval} left one value: choose another rule for it in "
            "resample.aggregate (of a factor any, most, first or last), or remove the column"
        )
    return "remove the column from the request: what never changes explains nothing"


def check_exposures(frame: pd.DataFrame, columns: Columns, findings: Findings) -> None:
    """Spend and exposure of a channel belong together."""
    for channel in columns.paid_media:
        if channel.exposure and channel.spend in frame and channel.exposure in frame:
            _check_exposure(frame, channel, channel.exposure, findings)


def _check_exposure(frame: pd.DataFrame, channel: PaidMedia, exposure: str, findings: Findings) -> None:
    spend, seen = frame[channel.spend].to_numpy(), frame[exposure].to_numpy()
    if (spend > 0).any() and (seen == 0).all():
        findings.error(
            "exposure-never",
            f"'{channel.spend}' was spent, but its exposure '{exposure}' is 0 in every row",
            "deliver the exposure, or leave it out of the channel",
            exposure,
        )
        return
    for code, rows, what in (
        (
            "spend-without-exposure",
            (spend > 0) & (seen == 0),
            f"'{channel.spend}' was spent while '{exposure}' is 0",
        ),
        (
            "exposure-without-spend",
            (seen > 0) & (spend == 0),
            f"'{exposure}' is above 0 while '{channel.spend}' is 0",
        ),
    ):
        if rows.any():
            findings.warning(
                code,
                f"{what} in {int(rows.sum())} row(s)",
                "check that both are booked in the same period; the model uses the exposure",
                exposure,
                frame.index[rows],
            )


def check_factors(frame: pd.DataFrame, columns: Columns, findings: Findings) -> None:
    """A factor needs few levels, each seen several times."""
    for variable in columns.factors:
        if variable.name not in frame:
            continue
        levels = frame[variable.name].nunique()
        if levels >= _LEVELS_PER_ROW * len(frame) and levels > 1:
            findings.error(
                "too-many-levels",
                f"factor '{variable.name}' has {levels} levels in {len(frame)} rows",
                "group them into a few categories, or use a numeric context column",
                variable.name,
            )
        elif levels > _MOST_LEVELS:
            findings.warning(
                "rare-levels",
                f"factor '{variable.name}' has {levels} levels; only the {_MOST_LEVELS} most frequent count",
                "group rare levels yourself if that matters",
                variable.name,
            )
