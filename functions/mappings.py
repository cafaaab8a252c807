"""Mappings: each change is a new version; those before it stay, with who made them.

The newest version is one document. Whoever replaces it first keeps a copy of it under its number (created if
absent), so that no version is ever missing, wherever a writer dies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from contracts.base import canonical_json
from contracts.batch import Batch, BatchRequest, BatchState, FrozenBatch, request_of_row, requests_of
from contracts.job import FileVersion, Job, JobState, Upload
from contracts.mapping import (
    DEFAULT,
    MappingDocument,
    MappingVersion,
    changes,
    sample_request,
    settings_problems,
)
from contracts.names import frozen_batch
from contracts.request import MAPPING_FIELDS, SETTINGS_FIELDS, TrainRequest
from contracts.schedule import Schedule
from functions.acceptance.mapping import referred
from functions.acceptance.request import MAX_REQUEST_BYTES, installation_errors
from functions.errors import BadRequest, Permanent
from functions.ports import Conflict, JobStore, NotFound
from functions.runtime import Runtime
from functions.steps import announce_object, uploaded_file

Check = Callable[[MappingDocument | None], None]
"""Raises if the newest version is not the one that somebody saw."""
_WAITING = tuple(state.value for state in JobState if not state.terminal)


class InUse(Permanent):
    """A mapping that something refers to cannot be deleted."""

    type = "mapping-in-use"
    title = "The mapping is in use"


def write(
    runtime: Runtime,
    key: tuple[str, str],
    settings: Mapping[str, Any],
    by: str,
    note: str = "",
    check: Check = lambda _: None,
    file: FileVersion | None = None,
) -> MappingDocument:
    """The mapping of a country and name after it says these settings; the same settings are no new version.

    Raises:
        BadRequest: no request could use them; with every problem.
        Conflict: somebody else has just written it; look again.
    """
    country, name = key
    problems = problems_of(runtime, settings, country)
    if problems:
        raise BadRequest(f"{len(problems)} problem(s) in the mapping", problems)
    known = runtime.ports.jobs.get(MappingDocument, f"{country}/{name}")
    check(known)
    said = known.settings if known else {}
    if known and known.state == "ACTIVE" and canonical_json(said) == canonical_json(settings):
        return known
    new = MappingDocument(
        country=country,
        name=name,
        settings=dict(settings),
        by=by,
        at=runtime.ports.clock.now(),
        note=note,
        file=file or (known.file if known else None),
        changes=changes(said, settings) if known else [],
    )
    return _stored(runtime.ports.jobs, known, new)


def delete(
    runtime: Runtime, key: str, by: str, note: str = "", check: Check = lambda _: None
) -> MappingDocument:
    """End a mapping: no request can refer to it without a version any more. Its versions stay.

    Raises:
        KeyError: there is none.
        InUse: a schedule refers to it, or a job that has not ended was accepted with it.
        Conflict: somebody else has just written it; look again.
    """
    known = runtime.ports.jobs.get(MappingDocument, key)
    if known is None:
        raise KeyError(key)
    check(known)
    if known.state == "DELETED":
        return known
    users = list(used_by(runtime, key))
    if users:
        raise InUse(f"mapping {key} is used by {', '.join(users)}; let them end, or change them, first")
    end = {
        "settings": {},
        "by": by,
        "at": runtime.ports.clock.now(),
        "note": note,
        "changes": changes(known.settings, {}),
        "state": "DELETED",
    }
    return _stored(runtime.ports.jobs, known, known.model_copy(update=end))


def start_waiting(runtime: Runtime, mapping: MappingDocument) -> None:
    """Have the uploads looked at again that wait for settings of their country; it may be done again."""
    if mapping.name != DEFAULT:
        return
    for upload in runtime.ports.jobs.find(Upload, country=mapping.country, state="WAITING"):
        info = uploaded_file(runtime.ports, FileVersion(name=upload.name, generation=upload.generation))
        if info is not None and upload.generation:  # 0: a folder of parts that is incomplete
            announce_object(runtime, info)


def used_by(runtime: Runtime, key: str, most: int = 5) -> Iterator[str]:
    """What uses a mapping: schedules, rows that are no jobs yet, and some of the jobs that have not ended."""
    for schedule in runtime.ports.jobs.find(Schedule, state=("ENABLED", "DISABLED")):
        if key in _references(schedule):
            yield f"schedule {schedule.name}"
    for batch in runtime.ports.jobs.find(Batch, state=BatchState.UNFOLDING.value):
        if key in _rest_of(runtime, batch):
            yield f"batch {batch.batch_id}"
    for job in runtime.ports.jobs.find(Job, limit=most, mapping=key, state=_WAITING):
        yield f"job {job.job_id}"


def _references(schedule: Schedule) -> set[str]:
    """The mappings that the requests of a schedule refer to, by country and name."""
    bodies = [schedule.request] if schedule.request is not None else []
    if schedule.batch is not None:
        batch = BatchRequest(name=schedule.name, base=schedule.batch.base, rows=[*schedule.batch.rows])
        bodies += [row.body for row in requests_of(batch)]
    return {key for body in bodies if (key := referred(body)) is not None}


def _rest_of(runtime: Runtime, batch: Batch) -> set[str]:
    """The mappings that the rows of a batch refer to which are no jobs yet."""
    try:
        frozen = FrozenBatch.model_validate_json(runtime.ports.objects.read(frozen_batch(batch.batch_id)))
    except NotFound:  # nothing can become of them any more
        return set()
    numbers = range(batch.unfolded + 1, batch.rows + 1)
    bodies = (request_of_row(frozen.batch, number, frozen.country).body for number in numbers)
    return {key for body in bodies if (key := referred(body)) is not None}


def problems_of(runtime: Runtime, settings: Mapping[str, Any], country: str) -> list[str]:
    """What is wrong with settings, whatever a request adds to them."""
    size = len(canonical_json(settings).encode())
    if size > MAX_REQUEST_BYTES:
        return [f"settings: is larger than {MAX_REQUEST_BYTES >> 10} KiB"]
    problems = settings_problems(settings, country)
    if problems:
        return problems
    try:
        request = TrainRequest.model_validate(sample_request(settings, country))
    except ValidationError:  # requests say the rest
        return []
    return list(installation_errors(runtime, request))


def from_file(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the settings of a country's folder say as a mapping; None if they only refer to one."""
    if settings.get("settings") is not None:
        return None
    only_of_uploads = SETTINGS_FIELDS - MAPPING_FIELDS
    return {name: value for name, value in settings.items() if name not in only_of_uploads}


def _stored(jobs: JobStore, known: MappingDocument | None, new: MappingDocument) -> MappingDocument:
    if known is None:
        created = jobs.create(new)
        if created is None:
            raise Conflict(f"mapping {new.key} was created by somebody else")
        return created
    former = {**dict(known), "version": 0, "mapping": known.key, "number": known.number}
    jobs.create(MappingVersion.model_validate(former))
    return jobs.replace(new, known.version)
