"""What summarize says of a finished training, and of all trainings of a country."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from contracts.base import SCHEMA_VERSION, Exchanged, Timestamp


class Metrics(Exchanged):
    """How well a model fits one part of the window; None where there is no such part."""

    r2: float | None = Field(None, description="adjusted R²")
    nrmse: float | None = Field(
        None, description="root mean squared error over the range of the dependent variable"
    )


class ChannelResult(Exchanged):
    """What one media channel cost and earned in the window, according to the best model."""

    name: str = Field(description="spend column of a paid channel, or the organic column")
    spend: float | None = Field(None, description="in the currency of the data; None for organic channels")
    response: float = Field(description="contribution, in units of the dependent variable")
    response_share: float = Field(description="contribution over the fitted total")
    roas: float | None = Field(None, description="response per unit of currency (dependent type revenue)")
    cpa: float | None = Field(None, description="currency per unit of response (dependent type conversion)")


class PartialTrial(Exchanged):
    """A trial that an error ended, whose candidates were kept as the request allows."""

    trial: int
    candidates: int


class BestModel(Exchanged):
    """The Pareto solution with the smallest error score."""

    sol_id: str
    nrmse: float
    rssd: float | None = Field(description="DECOMP.RSSD; None if no paid channel has any effect")
    mape: float | None = Field(description="0 without calibration; None if no study has an error")
    train: Metrics
    validation: Metrics
    test: Metrics
    channels: list[ChannelResult]


class ModelSummary(Exchanged):
    """One training in short."""

    schema_version: int = SCHEMA_VERSION
    job_id: str
    request_id: str
    attempt: int
    country: str
    revision: str
    accepted_at: Timestamp
    requested_by: str | None = None
    labels: dict[str, str] = {}
    dependent: str
    dependent_type: str
    window_start: str
    window_end: str
    rows: int = Field(description="periods in the modelling window")
    candidates: int
    partial_trials: list[PartialTrial] = []
    pareto_models: int
    best_model: BestModel
    inputs: dict[str, Any] = Field(description="the model configuration that was trained")
    provenance: dict[str, Any] = Field(description="engine, versions, seed, data fingerprint")
    files: list[str] = Field(description="names of the result's files")
    results: str = Field(description="prefix of the result's files in the bucket")


class CountryRun(Exchanged):
    """One line of a country's aggregate."""

    job_id: str
    attempt: int
    revision: str
    accepted_at: Timestamp
    engine: str
    nrmse: float
    rssd: float | None
    r2: float | None
    model_summary: str


class CountrySummary(Exchanged):
    """All runs of a country, best first (smallest NRMSE)."""

    schema_version: int = SCHEMA_VERSION
    country: str
    runs: list[CountryRun]
