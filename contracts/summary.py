"""What summarize says of a finished training, and of all trainings of a country."""

from __future__ import annotations

from typing import Any, Literal

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
from contracts.result import Allocation, ChannelResult, ModelInBrief, PartialTrial
from contracts.trust import TrustLine, Word


class JudgedChannel(ChannelResult):
    """A channel of the best model, beside what the posterior says of it; left out where it says nothing."""

    roas_low: float | None = Field(None, description="5 % of the posterior: it is as unlikely to be lower")
    roas_high: float | None = Field(None, description="95 % of the posterior")
    cpa_low: float | None = Field(None, description="5 % of the posterior, the cheap end")
    cpa_high: float | None = Field(None, description="95 % of the posterior")
    verdict: str | None = Field(None, description="what it earns and how sure that is, a sentence or two")


class SummarizedModel(ModelInBrief):
    """The best model, each channel beside the posterior."""

    channels: list[JudgedChannel] = Field(description="paid channels, then organic ones")  # type: ignore[assignment]


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
    best_model: SummarizedModel = Field(description="the model that the request's rule chose")
    budget: Allocation | None = Field(
        None, description="the answer to the request's budget question; left out: it asks none"
    )
    further_budgets: list[Allocation] = Field(
        [], description="the answers to the further questions of `budgets`, in their order"
    )
    trust: list[TrustLine] = Field([], description="what speaks for and against the result, by topic")
    inputs: dict[str, Any] = Field(description="the model configuration that was trained")
    provenance: dict[str, Any] = Field(description="engine, versions, seed, data fingerprint")
    files: list[str] = Field(description="names of the result's files")
    results: str = Field(description="prefix of the result's files in the bucket")


class RunChannel(Exchanged):
    """What one run says of a paid channel."""

    name: str = Field(description="spend column")
    share: float = Field(description="contribution over the fitted total, by the best model")
    efficiency: float | None = Field(None, description="ROAS or CPA of the best model, see `metric`")
    low: float | None = Field(None, description="5 % of the posterior of ROAS or CPA; left out: not known")
    middle: float | None = Field(None, description="50 % of it")
    high: float | None = Field(None, description="95 % of it")


class CountryRun(Exchanged):
    """One run of a country in short."""

    job_id: OfJob
    attempt: OfAttempt
    revision: OfRevision
    accepted_at: Timestamp = Field(description="when the request was accepted, UTC")
    succeeded_at: Timestamp = Field(description="when the job succeeded, UTC")
    engine: str = Field(description="engine that trained")
    nrmse: float = Field(description="NRMSE of the best model")
    rssd: float | None = Field(description="DECOMP.RSSD of the best model; None if no channel has any effect")
    r2: float | None = Field(description="adjusted R² of the best model on the rows that were trained on")
    model_summary: str = Field(description="object that holds the job's summary")
    sol_id: str = Field("", description="name of the best model; empty: a former release did not say")
    metric: Literal["roas", "cpa"] | None = Field(None, description="what `channels` tell; left out: nothing")
    worst: Word | None = Field(
        None, description="worst verdict of the trust checks; left out: nothing was checked"
    )
    channels: list[RunChannel] = Field([], description="the paid channels")


class CountryMonth(Exchanged):
    """All runs of a country that succeeded in one month."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    country: OfCountry
    month: str = Field(description="the month, YYYY-MM")
    runs: list[CountryRun] = Field(description="newest success first")


class CountrySummary(Exchanged):
    """The runs of a country, in a bounded size; beside it are all, each alone or all of a month together."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    country: OfCountry
    counts: dict[str, int] = Field(description="YYYY-MM → runs that succeeded in it; closed months only")
    uncounted: str = Field(description="the first month, YYYY-MM, that is not closed and counted yet")
    best: list[CountryRun] = Field(description="the best 20, smallest NRMSE first")
    latest: list[CountryRun] = Field(description="the latest 50, newest success first")
