"""The model of the posterior: from prepared data and a request to the sampler's arrays."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts.model import DEFAULT_RANGES, HYPERPARAMETERS, CalibrationStudy, ModelConfig
from contracts.posterior import PosteriorConfig
from contracts.series import SMALLEST_LIFT, study_rows
from trainer.engines.native.records import Inputs
from trainer.engines.native.search import kernel as engine
from trainer.posterior import baseline, kernel
from trainer.posterior.baseline import Baseline
from trainer.posterior.kernel import Floats

ORGANIC_SHARE = 0.05
"""Scale of the half-Cauchy prior of an organic channel's contribution, as a share of all sales."""
DELAYED = 0.2
"""Prior probability that an effect is delayed (Weibull PDF adstock), where the request asks for geometric."""
ALIKE = 0.9
"""From this correlation on, two channels may stand in for each other."""
SPARE_ROWS = 3
"""Rows that a window must have beyond the columns of baseline and media."""
_NINETY = NormalDist().inv_cdf(0.95)


class NotOffered(Exception):
    """There is no posterior for this request; the text says why."""


@dataclass(frozen=True, eq=False)
class Channel:
    """A media variable of the posterior."""

    name: str
    """Its spend column, of an organic variable its column."""
    modelled: str
    """The column that is modelled."""
    paid: bool
    spend: float
    """In the window, in currency; 0 for an organic variable."""
    series: Floats
    """(N,) the modelled column, in currency or the organic unit."""
    delayed: float = 0.0
    """Prior probability that its effect has a delayed peak, which geometric adstock has not."""


class Study(NamedTuple):
    """A calibration study that the likelihood takes in."""

    channels: tuple[str, ...]
    immediate: bool
    lift: float
    """In units of the dependent variable."""
    error: float
    """Standard error of the lift."""
    weight: Floats
    """(n,) share of each period of the window that it covers."""


@dataclass(frozen=True, eq=False)
class Prior:
    """Of one channel's contribution over the window, in units of the dependent variable."""

    kind: int
    """kernel.HALF_CAUCHY or kernel.LOG_NORMAL."""
    location: float
    """The half-Cauchy's scale, or the mean of the logarithm."""
    spread: float = 0.0
    """Of a log-normal: sd of the logarithm."""

    def quantile(self, share: float) -> float:
        """The contribution below which the prior has this share."""
        if self.kind == kernel.HALF_CAUCHY:
            return float(self.location * np.tan(np.pi / 2 * share))
        return float(np.exp(self.location + self.spread * NormalDist().inv_cdf(share)))


@dataclass(frozen=True, eq=False)
class Model:
    """Everything that the sampler needs, and what its answers are read with."""

    inputs: Inputs
    channels: tuple[Channel, ...]
    """(m,) paid before organic."""
    priors: tuple[Prior, ...]
    """(m,)."""
    baseline: Baseline
    studies: tuple[Study, ...]
    problem: kernel.Problem
    scale: float
    """Mean of the dependent variable in the window; the sampler divides by it."""
    notes: tuple[str, ...]
    """What of the request has no part in the posterior, and why."""

    @property
    def total(self) -> float:
        """The dependent variable's sum over the window."""
        return self.scale * len(self.problem.dependent)


def build(data: pd.DataFrame, config: ModelConfig, inputs: Inputs, settings: PosteriorConfig) -> Model:
    """The posterior's model of `inputs`, which were prepared from `data` and `config`.

    Raises:
        NotOffered: a sign, sales that do not add up to more than 0, or too few rows.
    """
    _check(config, inputs)
    found = baseline.build(data, config, inputs)
    channels, silent = _channels(inputs, config.hyperparameters.ranges)
    studies, unused = _studies(config.calibration, inputs, {channel.name for channel in channels})
    _check_rows(inputs, found, channels)
    priors = tuple(_prior(channel, channels, inputs, settings) for channel in channels)
    ignored = [f"posterior: the sign of {', '.join(_signed(config))} is not used"] if _signed(config) else []
    constant = [
        f"posterior: '{name}' is constant or follows from others, and is left out" for name in found.left_out
    ]
    window = inputs.dependent[inputs.window]
    return Model(
        inputs=inputs,
        channels=channels,
        priors=priors,
        baseline=found,
        studies=studies,
        problem=assemble(inputs, channels, priors, found, studies),
        scale=float(window.mean()),
        notes=(*silent, *unused, *ignored, *constant),
    )


def _check(config: ModelConfig, inputs: Inputs) -> None:
    columns = config.columns
    free = [paid.spend for paid in columns.paid_media if paid.sign != "positive"]
    free += [variable.name for variable in columns.organic if variable.sign != "positive"]
    if free:
        raise NotOffered(
            f"{', '.join(free)}: the posterior takes it that media sell; leave the sign out, or say positive"
        )
    if not inputs.dependent[inputs.window].sum() > 0:
        raise NotOffered(f"'{inputs.dependent_name}' does not add up to more than 0 in the window")


def _check_rows(inputs: Inputs, found: Baseline, channels: Sequence[Channel]) -> None:
    rows, columns = inputs.stop - inputs.first, len(found.names) + len(channels)
    if not channels:
        raise NotOffered("no channel has spend in the window")
    if rows < columns + SPARE_ROWS:
        raise NotOffered(
            f"{rows} rows are too few for {columns} variables; {columns + SPARE_ROWS} are needed"
        )


def _signed(config: ModelConfig) -> list[str]:
    return [variable.name for variable in config.columns.context if variable.sign != "default"]


def _channels(inputs: Inputs, given: Container[str]) -> tuple[tuple[Channel, ...], list[str]]:
    """The channels with media and, if paid, spend in the window; and a note on each of the others.

    A channel whose range of theta is `given` has geometric adstock for sure.
    """
    found, silent = [], []
    for i, modelled in enumerate(inputs.media):
        paid = i < len(inputs.paid)
        series = inputs.values[:, len(inputs.columns) - len(inputs.media) + i]
        spend = float(inputs.spend[inputs.window, i].sum()) if paid else 0.0
        name = inputs.spend_names[i] if paid else modelled
        if series[inputs.window].any() and (spend > 0 or not paid):
            free = inputs.adstock == "geometric" and f"{modelled}_thetas" not in given
            found.append(Channel(name, modelled, paid, spend, series, DELAYED if free else 0.0))
        else:
            silent.append(f"posterior: '{name}' has no media in the window, and is left out")
    return tuple(found), silent


def _prior(channel: Channel, channels: Sequence[Channel], inputs: Inputs, settings: PosteriorConfig) -> Prior:
    total = float(inputs.dependent[inputs.window].sum())
    if not channel.paid:
        return Prior(kernel.HALF_CAUCHY, ORGANIC_SHARE * total)
    if channel.name in settings.roas:
        low, high = np.log(settings.roas[channel.name])
        location = float((low + high) / 2 + np.log(channel.spend))
        return Prior(kernel.LOG_NORMAL, location, float((high - low) / (2 * _NINETY)))
    spend = sum(other.spend for other in channels)
    return Prior(kernel.HALF_CAUCHY, settings.paid_share * total * channel.spend / spend)


def _studies(
    asked: Sequence[CalibrationStudy], inputs: Inputs, channels: set[str]
) -> tuple[tuple[Study, ...], list[str]]:
    """The studies that tell something, and a note on each of the others."""
    found, unused = [], []
    for study in asked:
        weight = _covered(study, inputs)
        reason = _useless(study, inputs, weight, channels)
        if reason:
            tested = f"{', '.join(study.channels)} from {study.start} to {study.end}"
            unused.append(f"posterior: the study of {tested} is left out: {reason}")
            continue
        error = study.lift_se or abs(study.lift) / NormalDist().inv_cdf((1 + study.confidence) / 2)
        found.append(Study(tuple(study.channels), study.scope == "immediate", study.lift, error, weight))
    return tuple(found), unused


def _useless(study: CalibrationStudy, inputs: Inputs, weight: Floats, channels: set[str]) -> str | None:
    silent = sorted(set(study.channels) - channels)
    if silent:
        return f"{', '.join(silent)} has no posterior"
    if not weight.any():
        return "it is outside the window"
    if study.lift_se:
        return None
    if study.confidence == 1:
        return "a confidence of 1 tells no error; give lift_se"
    sold = float(np.abs(inputs.dependent[inputs.window] @ weight))
    if abs(study.lift) < SMALLEST_LIFT * sold:
        return (
            f"its lift is below {SMALLEST_LIFT:.1%} of what was sold, so its error is unknown; give lift_se"
        )
    return None


def _covered(study: CalibrationStudy, inputs: Inputs) -> Floats:
    """(n,) share of each period of the window that a study covers."""
    touched = study_rows(inputs.dates.tolist(), inputs.interval, study.start, study.end)
    weights = np.zeros(len(inputs.dates))
    weights[touched.first : touched.stop] = touched.weights
    return weights[inputs.window]


def assemble(
    inputs: Inputs,
    channels: Sequence[Channel],
    priors: Sequence[Prior],
    found: Baseline,
    studies: Sequence[Study],
    sigma: float = 0.0,
) -> kernel.Problem:
    """The sampler's arrays; `sigma`, in units of the dependent variable, fixes the noise."""
    window = inputs.dependent[inputs.window]
    scale = float(window.mean())
    grid = baseline.whiten(found.columns[inputs.window], found.bends[inputs.window])
    ranges = _ranges(inputs, channels)
    locations = [
        p.location / scale if p.kind == kernel.HALF_CAUCHY else p.location - np.log(scale) for p in priors
    ]
    return kernel.Problem(
        family=engine.FAMILY[inputs.adstock],
        media=np.array([channel.series / channel.series.max() for channel in channels]),
        first=inputs.first,
        dependent=window / scale,
        low=np.ascontiguousarray(ranges[..., 0]),
        width=np.ascontiguousarray(ranges[..., 1] - ranges[..., 0]),
        delayed=np.array([channel.delayed for channel in channels]),
        prior=np.array([prior.kind for prior in priors], dtype=np.int64),
        prior_location=np.array(locations, dtype=float),
        prior_spread=np.array([prior.spread for prior in priors], dtype=float),
        rho=baseline.RHO,
        columns=grid.columns,
        directions=np.ascontiguousarray(grid.columns.transpose(0, 2, 1)),
        eigenvalues=grid.eigenvalues,
        kappa=grid.kappa,
        log_weight=grid.log_weight,
        baseline=len(found.names),
        sigma=sigma / scale,
        alike=_alike(inputs, channels),
        study_weight=np.array([study.weight for study in studies]).reshape(-1, len(window)),
        study_media=_tested(studies, channels),
        study_immediate=np.array([study.immediate for study in studies], dtype=bool),
        study_lift=np.array([study.lift / scale for study in studies], dtype=float),
        study_error=np.array([study.error / scale for study in studies], dtype=float),
    )


def _ranges(inputs: Inputs, channels: Sequence[Channel]) -> Floats:
    """(2, m, 4, 2) lowest and highest hyperparameters: of the family asked for, and of a delayed effect."""
    ranges = np.zeros((2, len(channels), 4, 2))
    for i, channel in enumerate(channels):
        for k, kind in enumerate(HYPERPARAMETERS[inputs.adstock]):
            ranges[0, i, k] = inputs.bounds[f"{channel.modelled}_{kind}"]
    ranges[1, :, :2] = ranges[0, :, :2]
    ranges[1, :, 2:] = [DEFAULT_RANGES[kind] for kind in ("shapes", "scales")]
    return ranges


def _alike(inputs: Inputs, channels: Sequence[Channel]) -> NDArray[np.int64]:
    """(pairs, 2) of channels whose series are correlated in the window by ALIKE or more."""
    series = np.array([channel.series[inputs.window] for channel in channels])
    centred = series - series.mean(axis=1, keepdims=True)
    norms = np.sqrt(np.einsum("it,it->i", centred, centred))
    norms[norms == 0] = np.inf
    correlation = np.einsum("it,jt->ij", centred, centred) / norms[:, None] / norms
    return np.ascontiguousarray(np.argwhere(np.triu(correlation >= ALIKE, 1)), dtype=np.int64)


def _tested(studies: Sequence[Study], channels: Sequence[Channel]) -> NDArray[np.bool_]:
    names = [channel.name for channel in channels]
    return np.array([[name in s.channels for name in names] for s in studies], dtype=bool).reshape(
        -1, len(names)
    )
