"""Files in the drop-zone: data and settings, in whichever order they arrive.

The record of a data file is written before its settings are looked for, and settings exist before the records
that wait for them are looked for: whoever comes second finds the other.
"""

from __future__ import annotations

from typing import Any

from contracts.base import WHOLE, is_country
from contracts.batch import ANY_COUNTRY, is_batch_table
from contracts.job import KEEP_ENDED, FileVersion, Job, JobState, Upload
from contracts.mapping import DEFAULT
from contracts.names import PARTS_MARK, parts_mark
from contracts.request import SETTINGS_FIELDS, SettingsError, job_id_for, parse_settings, upload_key
from functions.acceptance.request import MAX_REQUEST_BYTES
from functions.errors import BadMessage
from functions.extract.accept import accept
from functions.extract.dataset import extract
from functions.extract.gathering import gather
from functions.extract.growing import forget_beginning, replace_beginning
from functions.extract.mapping import is_mapping, read_in, settings_of_country
from functions.extract.pairing import belong, data_for, is_of_country, is_settings, own_settings
from functions.extract.parts import folder_of, folders_for, is_part
from functions.message import Message
from functions.notifications import object_event
from functions.ports import Conflict, NotFound, ObjectInfo
from functions.runtime import Runtime


def handle_upload(message: Message, runtime: Runtime) -> None:
    """Start the job of an uploaded file once its settings are there too.

    Raises:
        BadMessage: the file lies where no country can be told from its name.
    """
    event = object_event(message.attributes, message.data)
    folder = None if is_settings(event.name) else folder_of(runtime.ports.objects, event.name)
    if folder is not None:
        _part_arrived(runtime, folder, event)
        return
    info = runtime.ports.objects.stat(event.name)
    if event.name.endswith("/") or info is None or info.generation != event.generation:
        runtime.log("INFO", "stale: the file is gone or was replaced", object=event.name)
        _finish_begun(runtime, event)
        return
    country = _country(event.name)
    if is_settings(event.name):
        _finish_begun(runtime, event)
        _settings_arrived(runtime, country, info)
    else:
        _begin(runtime, record(runtime, country, info))


def _finish_begun(runtime: Runtime, event: ObjectInfo) -> None:
    """Finish what this version of a file began to start: an earlier delivery may have died in between."""
    reference, country = f"{event.name}#{event.generation}", event.name.partition("/")[2].partition("/")[0]
    if is_settings(event.name):
        for upload in runtime.ports.jobs.find(Upload, state="WAITING", country=country):
            if reference in upload.begun:
                _start(runtime, upload, _version(reference))
        return
    begun = runtime.ports.jobs.get(Upload, reference)
    if begun is not None:
        _start_all(runtime, begun)


def _country(name: str) -> str:
    parts = name.split("/")
    if len(parts) >= 3 and parts[1] == ANY_COUNTRY:
        if not (is_batch_table(name) or is_settings(name)):
            raise BadMessage(f"'{name}' is no table of a batch; those are named <name>.batch.csv")
    elif len(parts) < 3 or not is_country(parts[1]):
        raise BadMessage(f"'{name}' is not in the folder of a country; put it at drop-zone/<country>/<file>")
    if parts[2:] == [PARTS_MARK]:
        raise BadMessage(f"'{name}' marks a folder of parts; put that folder at drop-zone/<country>/<folder>")
    return parts[1]


def _part_arrived(runtime: Runtime, folder: str, event: ObjectInfo) -> None:
    country = _country(folder)
    if is_part(folder, event.name) or event.name == parts_mark(folder):
        upload = gather(runtime, country, folder, event)
        if upload is not None:
            _begin(runtime, upload)


def _begin(runtime: Runtime, upload: Upload) -> None:
    """Start the jobs of an upload with the settings that it was started with, or that are there now."""
    forget_beginning(runtime, upload)
    if upload.settings:
        _start_all(runtime, upload)
        return
    if upload.state != "WAITING":
        return
    own = own_settings(runtime.ports.objects, upload.name)
    settings = _version_of(own) if own else settings_of_country(runtime, upload.country)
    if settings is not None:
        start(runtime, upload, settings)


def _settings_arrived(runtime: Runtime, country: str, settings: ObjectInfo) -> None:
    found = runtime.ports.jobs.find(Upload, country=country, state="WAITING")
    waiting = [upload for upload in found if not upload.settings]
    if is_of_country(settings.name, country):
        read_in(runtime, country, settings)
        said = settings_of_country(runtime, country)
        for upload in waiting:
            if said is not None and upload.generation:  # 0: a folder of parts that is incomplete
                start(runtime, upload, said)
        return
    its = _version_of(settings)
    for folder in folders_for(runtime.ports.objects, settings.name):
        gathered = gather(runtime, country, folder)
        if gathered is not None:
            start(runtime, gathered, its)
    for data in data_for(runtime.ports.objects, settings.name):
        start(runtime, record(runtime, country, data), its)
    for upload in waiting:
        newest = runtime.ports.objects.stat(upload.name) if belong(settings.name, upload.name) else None
        if newest is not None and newest.generation == upload.generation:
            start(runtime, record(runtime, country, newest), its)


def record(runtime: Runtime, country: str, data: ObjectInfo) -> Upload:
    """The record of an uploaded data file, created if absent."""
    jobs = runtime.ports.jobs
    continues = data.metadata.get("continues")
    new = Upload(
        name=data.name,
        generation=data.generation,
        country=country,
        since=data.updated,
        continues=int(continues) if continues else None,
    )
    upload = jobs.create(new) or jobs.get(Upload, new.key)
    if upload is None:
        raise Conflict(f"the record of {data.name} appeared and vanished")
    return upload


def start(runtime: Runtime, upload: Upload, settings: FileVersion) -> None:
    """Freeze the settings of an upload, then start its job; both may be done again.

    It is STARTED when the job of each of its settings is made; until then a death leaves it to be found.
    """
    reference = f"{settings.name}#{settings.generation}"
    if reference not in upload.settings:
        frozen = {
            "state": "WAITING",
            "settings": [*upload.settings, reference],
            "begun": [*upload.begun, reference],
            "reason": "its job is being made",
            "expires": None,
        }
        upload = runtime.ports.jobs.replace(upload.model_copy(update=frozen), upload.version)
    _start(runtime, upload, settings)


def _version_of(file: ObjectInfo) -> FileVersion:
    return FileVersion(name=file.name, generation=file.generation)


def _version(reference: str) -> FileVersion:
    name, _, generation = reference.rpartition("#")
    return FileVersion(name=name, generation=int(generation))


def _start_all(runtime: Runtime, upload: Upload) -> None:
    for reference in upload.settings:
        upload = _start(runtime, upload, _version(reference))


def _start(runtime: Runtime, upload: Upload, settings: FileVersion) -> Upload:
    if is_batch_table(upload.name):
        from functions.extract.batches import open_table

        open_table(runtime, upload, settings)
        return _started(runtime, upload, f"{settings.name}#{settings.generation}")
    key = upload_key(upload.name, upload.generation, settings.name, settings.generation)
    job_id = job_id_for(key)
    known = runtime.ports.jobs.get(Job, job_id)  # its settings may have been replaced since
    body, errors = (known.request, []) if known else _request(runtime, upload, settings, job_id)
    data = FileVersion(name=upload.name, generation=upload.generation)
    job = accept(runtime, job_id, key, body, data, errors)
    replace_beginning(runtime, upload, job_id)
    current = runtime.ports.jobs.get(Job, job_id) if job else None
    if current is not None and current.state is JobState.ACCEPTED:  # no other delivery was faster
        extract(runtime, current)
    return _started(runtime, upload, f"{settings.name}#{settings.generation}")


def _started(runtime: Runtime, upload: Upload, reference: str) -> Upload:
    """The record after the job of one of its settings was made."""
    begun = [one for one in upload.begun if one != reference]
    if begun == upload.begun:
        return upload
    changed: dict[str, Any] = {"begun": begun}
    if not begun:
        changed |= {"state": "STARTED", "reason": "", "expires": runtime.ports.clock.now() + KEEP_ENDED}
    return runtime.ports.jobs.replace(upload.model_copy(update=changed), upload.version)


def _request(
    runtime: Runtime, upload: Upload, settings: FileVersion, job_id: str
) -> tuple[dict[str, Any], list[str]]:
    """The request that settings and file make together, and what is wrong with the settings as such."""
    given = {
        "request_id": job_id,
        "source": {"kind": "object", "name": upload.name, "generation": upload.generation},
    }
    alone = {"country": upload.country, **given}
    if is_mapping(settings):
        return {**alone, "settings": {"name": DEFAULT, "version": settings.generation}}, []
    try:
        with runtime.ports.objects.reader(settings.name, settings.generation) as stream:
            text = stream.read(MAX_REQUEST_BYTES + 1)
        if len(text) > MAX_REQUEST_BYTES:
            raise SettingsError(f"is larger than {MAX_REQUEST_BYTES // 1024} KiB")
        written = parse_settings(text)
    except NotFound:
        return alone, [f"{WHOLE}: {settings.name} was replaced before it was read"]
    except SettingsError as error:
        return alone, [f"{WHOLE}: {settings.name} {error}"]
    errors = [
        f"{name}: the uploaded file gives it; remove it from the settings"
        for name in sorted(given.keys() & written.keys() - SETTINGS_FIELDS)
    ]
    if written.get("country", upload.country) != upload.country:
        errors.append(f"country: '{written['country']}' is not the folder's, '{upload.country}'")
    if is_of_country(settings.name, upload.country):  # they are the mapping themselves
        written = {"settings": None, **written}
    return {**written, "country": upload.country, **given}, errors
