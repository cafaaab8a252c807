"""From a source to the dataset of a job."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from contracts import names
from contracts.job import KEEP_EXTRACT, Extract, Job, JobState
from contracts.request import ObjectSource, SqlSource, TableSource, TrainRequest
from functions.errors import Permanent
from functions.patience import saying_what_is_awaited
from functions.ports import AlreadyExists, Conflict, NotFound, ObjectInfo, ObjectWriter
from functions.runtime import Runtime
from functions.steps import commit, existing, refuse, request_of

if TYPE_CHECKING:
    from functions.extract.queries import Query


def extract(runtime: Runtime, job: Job) -> None:
    """Make the dataset of an accepted job, unless it is there, and commit EXTRACTED."""
    name = names.dataset(job.country, job.job_id)
    try:
        with saying_what_is_awaited(runtime, job):
            info = runtime.ports.objects.stat(name) or _make(runtime, job, request_of(job), name)
    except Permanent as error:
        refuse(runtime, job, error)
        return
    commit(runtime, job, JobState.EXTRACTED, fingerprint=info.fingerprint)


def _make(runtime: Runtime, job: Job, request: TrainRequest, name: str) -> ObjectInfo:
    metadata = {"job_id": job.job_id, "attempt": str(job.attempt)}
    try:
        if isinstance(request.source, ObjectSource):
            return _from_object(runtime, request, request.source, name, metadata)
        return _from_warehouse(runtime, request, request.source, name, metadata)
    except AlreadyExists:
        return existing(runtime, name)


def _from_object(
    runtime: Runtime, request: TrainRequest, source: ObjectSource, name: str, metadata: dict[str, str]
) -> ObjectInfo:
    from functions.extract.decode import write_batches
    from functions.extract.rows import rows_of_object
    from functions.validate.source import possible_names

    objects = runtime.ports.objects
    read = rows_of_object(objects, source, possible_names(request), request.sheet)
    with read as rows, objects.writer(name, metadata) as out:
        write_batches(rows, out)
    return existing(runtime, name)


def _from_warehouse(
    runtime: Runtime,
    request: TrainRequest,
    source: TableSource | SqlSource,
    name: str,
    metadata: dict[str, str],
) -> ObjectInfo:
    from functions.extract.queries import query_for

    warehouse = runtime.ports.warehouses[source.connection]
    query = query_for(source, warehouse, warehouse.dialect, request.window)
    asked = "\0".join((source.connection, query.sql, *map(str, query.parameters)))
    key = hashlib.sha256(asked.encode()).hexdigest()
    known = runtime.ports.jobs.get(Extract, key)
    if request.cache == "use" and known is not None and _is_fresh(runtime, known):
        try:
            info = runtime.ports.objects.copy(known.object_name, name, metadata)
            runtime.log("INFO", "an extract is reused", source=known.object_name, target=name)
            return info
        except NotFound:
            runtime.log("INFO", "the extract is gone: the source is read anew", source=known.object_name)
    with runtime.ports.objects.writer(name, metadata) as out:
        _stream(runtime, source.connection, query, out)
    info = existing(runtime, name)
    _remember(runtime, known, key, info)
    return info


def _stream(runtime: Runtime, connection: str, query: Query, out: ObjectWriter) -> None:
    from functions.extract.decode import write_batches

    warehouse = runtime.ports.warehouses[connection]
    with warehouse.query(query.sql, runtime.settings.extract_timeout_s, query.parameters) as batches:
        write_batches(batches, out)


def _is_fresh(runtime: Runtime, known: Extract) -> bool:
    age = runtime.ports.clock.now() - known.at
    info = runtime.ports.objects.stat(known.object_name)
    in_time = age <= timedelta(seconds=runtime.settings.extract_max_age_s)
    return in_time and info is not None and info.fingerprint == known.fingerprint


def _remember(runtime: Runtime, known: Extract | None, key: str, info: ObjectInfo) -> None:
    now = runtime.ports.clock.now()
    keep = max(KEEP_EXTRACT, timedelta(seconds=runtime.settings.extract_max_age_s))
    entry = Extract(
        source_hash=key, object_name=info.name, fingerprint=info.fingerprint, at=now, expires=now + keep
    )
    try:
        if known is None:
            runtime.ports.jobs.create(entry)
        else:
            runtime.ports.jobs.replace(entry, known.version)
    except Conflict:
        runtime.log("DEBUG", "another extract of the same source was remembered first", source=info.name)
