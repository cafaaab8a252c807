"""validate: a dataset becomes prepared data, or a rejection with every reason."""

from __future__ import annotations

from contracts import names
from contracts.job import Job, JobState
from contracts.request import TrainRequest
from contracts.validation import ValidationReport
from functions.errors import BadData, BadMessage, BadRequest
from functions.message import Message
from functions.notifications import object_event
from functions.patience import saying_what_is_awaited
from functions.ports import AlreadyExists, Conflict, NotFound, ObjectInfo
from functions.runtime import Runtime
from functions.steps import (
    announce,
    announce_ready,
    commit,
    create_once,
    end,
    most_severe,
    refuse,
    request_of,
)
from functions.validate.countries import new_country, remember_country


def handle(message: Message, runtime: Runtime) -> None:
    """Prepare the dataset that the message announces, and commit what came of it.

    Raises:
        BadMessage: the object is no dataset of ours.
    """
    name = object_event(message.attributes, message.data).name
    job, info = _job_of(runtime, name), runtime.ports.objects.stat(name)
    if info is None:
        raise BadMessage(f"{name} does not exist")
    if job.state is JobState.ACCEPTED:  # extract has not committed yet; the object proves that it is done
        job = commit(runtime, job, JobState.EXTRACTED, fingerprint=info.fingerprint)
    if job.state is JobState.EXTRACTED:
        _validate(runtime, job, info)
    elif job.state is JobState.QUEUED:
        announce_ready(runtime, job)
    elif job.state is JobState.REJECTED or _only_validated(job):
        announce(runtime, job)
    else:
        runtime.log("INFO", "stale: validated before", job_id=job.job_id, state=job.state)


def _only_validated(job: Job) -> bool:
    return job.state is JobState.SUCCEEDED and request_of(job).validate_only


def _job_of(runtime: Runtime, name: str) -> Job:
    try:
        job_id = names.job_of_dataset(name)
    except ValueError as error:
        raise BadMessage(str(error)) from error
    job = runtime.ports.jobs.get(Job, job_id)
    if job is None:
        raise BadMessage(f"{name} belongs to no job")
    return job


def _validate(runtime: Runtime, job: Job, info: ObjectInfo) -> None:
    try:
        request = request_of(job)
        with saying_what_is_awaited(runtime, job):
            report = _known_report(runtime, job) or _prepare(runtime, job, request, info)
    except (BadData, BadRequest) as error:
        refuse(runtime, job, error)
        return
    errors = [finding for finding in report.findings if finding.severity == "error"]
    if report.valid:
        remember_country(runtime, job.country)
    if not report.valid:
        lines = [finding.message for finding in errors]
        problem = BadData(f"{len(errors)} problem(s) in the data", lines).problem
        end(runtime, job, JobState.REJECTED, problem, report.findings)
    elif request.validate_only:
        end(runtime, job, JobState.SUCCEEDED, None, report.findings)
    else:
        found = most_severe(report.findings)
        job = commit(runtime, job, JobState.QUEUED, findings=found, rows=report.rows_out)
        announce_ready(runtime, job)


def _known_report(runtime: Runtime, job: Job) -> ValidationReport | None:
    try:
        text = runtime.ports.objects.read(names.validation(job.country, job.job_id))
    except NotFound:
        return None
    return ValidationReport.model_validate_json(text)


def _prepare(runtime: Runtime, job: Job, request: TrainRequest, info: ObjectInfo) -> ValidationReport:
    """Write the prepared data, then the report, whose existence says that both are there."""
    from functions.validate.findings import by_severity
    from functions.validate.former import former_model
    from functions.validate.prepare import prepare, to_parquet

    objects = runtime.ports.objects
    request = request.model_copy(update={"engine": request.engine or runtime.settings.engines[0]})
    former = former_model(runtime, request)
    with objects.reader(info.name, info.generation) as stream:
        prepared = prepare(stream, request, info.fingerprint, former)
    report = prepared.report
    if warning := new_country(runtime, job.country):
        report = report.model_copy(update={"findings": by_severity([*report.findings, warning])})
    metadata = {"job_id": job.job_id, "fingerprint": info.fingerprint}
    if prepared.regions is not None:
        data = to_parquet(prepared.regions)
        create_once(runtime, names.prepared_regions(job.country, job.job_id), data, metadata)
    if prepared.table is not None:
        data = to_parquet(prepared.table)
        create_once(runtime, names.prepared(job.country, job.job_id), data, metadata)
    try:
        text = report.model_dump_json(indent=2).encode()
        objects.create(names.validation(job.country, job.job_id), text, metadata)
    except AlreadyExists as error:
        raise Conflict("validated by somebody else at the same time") from error
    return report
