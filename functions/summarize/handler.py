"""summarize: writes the summary of a result, adds it to the aggregate of its country, and tells upstream."""

from __future__ import annotations

import json
from statistics import median
from typing import Any

from contracts import names
from contracts.attempt import Manifest, TrainingConfig
from contracts.changes import ChangesDocument, ChangesShort
from contracts.events import TrainingFinished
from contracts.job import Finding, Job, JobResult, JobState
from contracts.posterior import PosteriorShort
from contracts.result import NO_EFFECT, Allocation, BestModel, Timings, answer_number
from contracts.series import last_days
from contracts.summary import ModelSummary, SummarizedModel
from contracts.trust import TrustDocument, TrustLine, worst
from functions.message import Message
from functions.months import is_recorded, record
from functions.patience import saying_what_is_awaited
from functions.ports import NotFound, Ports
from functions.runtime import Runtime
from functions.steps import announce, commit_end, create_once, most_severe
from functions.summarize.country import bring_up_to_date, run_of
from functions.versions import read_ours


def handle(message: Message, runtime: Runtime) -> None:
    """Summarise the result of the attempt that the message announces."""
    event = message.event(TrainingFinished)
    job = runtime.ports.jobs.get(Job, event.job_id)
    if job is None or job.attempt != event.attempt or job.state not in (JobState.TRAINED, JobState.SUCCEEDED):
        runtime.log("INFO", "stale: nothing to summarize", job_id=event.job_id, attempt=event.attempt)
        return
    if job.state is JobState.TRAINED:
        with saying_what_is_awaited(runtime, job):
            best, summary = write_summary(runtime, job)
        job = _succeed(runtime, job, best, summary)
    if not is_recorded(runtime.ports, job):
        announce(runtime, job)
        record(runtime.ports, job, run_of(runtime.ports, job))
    bring_up_to_date(runtime.ports, job)


def write_summary(runtime: Runtime, job: Job) -> tuple[BestModel, ModelSummary]:
    """Write the summary of a job's result, unless it is there; return it and the best model.

    Raises:
        functions.ports.NotFound: the result is not whole.
    """
    best = BestModel.model_validate_json(runtime.ports.objects.read(f"{names.results(job)}best_model.json"))
    summary = summarize(runtime.ports, job, best)
    create_once(runtime, names.model_summary(job), summary.model_dump_json(indent=2).encode())
    return best, summary


def _succeed(runtime: Runtime, job: Job, best: BestModel, summary: ModelSummary) -> Job:
    budgets = ([summary.budget] if summary.budget else []) + summary.further_budgets
    return commit_end(
        runtime,
        job,
        JobState.SUCCEEDED,
        _first_line(best),
        figures(runtime.ports, job, best),
        findings=most_severe([*model_findings(job, best), *job.findings]),
        posterior=best.posterior,
        budgets=[answer.short() for answer in budgets],
        changes=_changes(runtime.ports, names.results(job)),
        result=JobResult(
            sol_id=best.sol_id,
            r2=best.train.r2,
            nrmse=best.nrmse,
            rssd=best.rssd,
            worst=worst(summary.trust),
        ),
    )


def model_findings(job: Job, best: BestModel) -> list[Finding]:
    """What the result warns of and the job does not know yet from its data."""
    known = {(finding.code, finding.message) for finding in job.findings}
    new = [warning for warning in best.warnings if (warning.code, warning.message) not in known]
    return [Finding(severity="warning", **warning.model_dump()) for warning in new]


def _first_line(best: BestModel) -> str:
    """What nobody may overlook, to stand beside the state; empty where there is nothing like that."""
    return next((warning.message for warning in best.warnings if warning.code == NO_EFFECT), "")


def figures(ports: Ports, job: Job, best: BestModel) -> dict[str, Any]:
    """What the log says of a job's result: how well the model fits, and what the training used."""
    timings = Timings.model_validate_json(ports.objects.read(f"{names.results(job)}timings.json"))
    return {
        "r2": best.train.r2,
        "nrmse": best.train.nrmse,
        "converged": best.converged,
        "interval_width": best.posterior and _width(best.posterior),
        "cpu_s": round(timings.cpu_s, 1),
        "memory_mb": timings.memory_mb,
    }


def _width(posterior: PosteriorShort) -> float | None:
    """How wide the 90 % intervals of the paid channels are, over their middles: the median channel."""
    widths = [(one.q95 - one.q05) / one.q50 for one in posterior.channels if one.q50 > 0]
    return round(median(widths), 3) if widths else None


def summarize(ports: Ports, job: Job, best: BestModel) -> ModelSummary:
    """The summary of a job's present attempt, from its best model and the other files of the engine."""
    folder = names.results(job)
    manifest = Manifest.model_validate_json(ports.objects.read(f"{folder}manifest.json"))
    answers = _answers(ports, folder, manifest)
    config = read_ours(TrainingConfig, ports.objects.read(names.attempt_of(job).config))
    return ModelSummary(
        job_id=job.job_id,
        request_id=job.request_id,
        attempt=job.attempt,
        country=job.country,
        revision=job.revision,
        accepted_at=job.accepted_at,
        requested_by=job.requested_by,
        labels=job.asked.get("labels", {}),
        dependent=best.dependent,
        dependent_type=best.dependent_type,
        window_start=str(best.window.start),
        window_end=str(last_days([best.window.end], best.interval)[0]),
        rows=best.window.rows,
        candidates=best.candidates,
        partial_trials=best.partial_trials,
        pareto_models=best.pareto_models,
        best_model=judged(best),
        budget=answers[0] if answers else None,
        further_budgets=answers[1:],
        trust=_trust(ports, folder),
        inputs=config.model.model_dump(mode="json"),
        provenance={**_json(ports, f"{folder}provenance.json"), "fingerprint": config.fingerprint},
        files=[file.name for file in manifest.files],
        results=folder,
    )


def judged(best: BestModel) -> SummarizedModel:
    """The best model in brief, each channel beside what the posterior says of it."""
    posterior = best.posterior if best.posterior and best.posterior.converged else None
    told = {channel.name: channel for channel in posterior.channels} if posterior else {}
    model = best.model_dump()
    for channel in model["channels"]:
        if found := told.get(channel["name"]):
            limits = {f"{found.metric}_low": found.q05, f"{found.metric}_high": found.q95}
            channel.update(limits, verdict=found.verdict)
    return SummarizedModel.model_validate(model)


def _answers(ports: Ports, folder: str, manifest: Manifest) -> list[Allocation]:
    """The answers to the budget questions of the request, in their order; of regions without channels."""
    numbers = {answer_number(file.name): file.name for file in manifest.files}
    found = [
        Allocation.model_validate_json(ports.objects.read(f"{folder}{name}"))
        for number, name in sorted((number, name) for number, name in numbers.items() if number)
    ]
    return [
        answer.model_copy(
            update={"regions": [region.model_copy(update={"channels": []}) for region in answer.regions]}
        )
        for answer in found
    ]


def _trust(ports: Ports, folder: str) -> list[TrustLine]:
    try:
        return TrustDocument.model_validate_json(ports.objects.read(f"{folder}trust.json")).lines
    except NotFound:  # a result of an engine or a release that has none
        return []


def _changes(ports: Ports, folder: str) -> ChangesShort | None:
    try:
        return ChangesDocument.model_validate_json(ports.objects.read(f"{folder}changes.json")).short()
    except NotFound:  # a result of a release that has none
        return None


def _json(ports: Ports, name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(ports.objects.read(name))
    return value
