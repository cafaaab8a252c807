"""What summarize says of a finished training, and of all trainings of a country."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from contracts.base import (
    SCHEMA_VERSION,
    Exchanged,
    OfAttempt,
    OfCountry,
    OfJob,
    OfRequest,
    OfRevision,
    SchemaVersion,
    Timestamp,
)
from contracts.posterior import PosteriorShort


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

    trial: int = Field(description="number of the trial, counted from 1")
    candidates: int = Field(description="candidates that were kept")


class BestModel(Exchanged):
    """The Pareto solution with the smallest error score."""

    sol_id: str = Field(description="name of the model, `trial_iteration_core`")
    nrmse: float = Field(
        description="root mean squared error over the range of the dependent variable, of the part that the "
        "model is judged on"
    )
    rssd: float | None = Field(description="DECOMP.RSSD; None if no paid channel has any effect")
    mape: float | None = Field(description="0 without calibration; None if no study has an error")
    train: Metrics = Field(description="fit of the rows that were trained on")
    validation: Metrics = Field(description="fit of the validation rows")
    test: Metrics = Field(description="fit of the test rows")
    channels: list[ChannelResult] = Field(description="paid channels, then organic ones")
    posterior: PosteriorShort | None = Field(
        None, description="what the data say about each paid channel, and how surely; left out: not known"
    )


class ModelSummary(Exchanged):
    """One training in short."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    job_id: OfJob
    request_id: OfRequest
    attempt: OfAttempt
    country: OfCountry
    revision: OfRevision
    accepted_at: Timestamp = Field(description="when the request was accepted, UTC")
    requested_by: str | None = Field(None, description="who asked for the job, as the request says")
    labels: dict[str, str] = Field({}, description="the labels of the request")
    dependent: str = Field(description="column of the dependent variable")
    dependent_type: str = Field(description="`revenue` or `conversion`")
    window_start: str = Field(description="first day of the modelling window, YYYY-MM-DD")
    window_end: str = Field(description="last day of the modelling window, YYYY-MM-DD")
    rows: int = Field(description="periods in the modelling window")
    candidates: int = Field(description="candidates evaluated, over all trials")
    partial_trials: list[PartialTrial] = Field([], description="trials that an error ended early")
    pareto_models: int = Field(description="models on the Pareto fronts that were kept")
    best_model: BestModel = Field(description="the model that the request's rule chose")
    inputs: dict[str, Any] = Field(description="the model configuration that was trained")
    provenance: dict[str, Any] = Field(description="engine, versions, seed, data fingerprint")
    files: list[str] = Field(description="names of the result's files")
    results: str = Field(description="prefix of the result's files in the bucket")


class CountryRun(Exchanged):
    """One line of a country's aggregate."""

    job_id: OfJob
    attempt: OfAttempt
    revision: OfRevision
    accepted_at: Timestamp = Field(description="when the request was accepted, UTC")
    engine: str = Field(description="engine that trained")
    nrmse: float = Field(description="NRMSE of the best model")
    rssd: float | None = Field(description="DECOMP.RSSD of the best model; None if no channel has any effect")
    r2: float | None = Field(description="adjusted R² of the best model on the rows that were trained on")
    model_summary: str = Field(description="object that holds the job's summary")


class CountrySummary(Exchanged):
    """All runs of a country, best first (smallest NRMSE)."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    country: OfCountry
    runs: list[CountryRun] = Field(description="smallest NRMSE first")
