"""What a country says of all its uploads: its mapping `default`, and the settings in its folder."""

from __future__ import annotations

from contracts.batch import ANY_COUNTRY
from contracts.job import KEEP_ENDED, FileVersion, Upload
from contracts.mapping import DEFAULT, MappingDocument, MappingVersion, is_whole
from contracts.request import SettingsError, parse_settings
from functions.acceptance.request import MAX_REQUEST_BYTES
from functions.errors import BadRequest
from functions.extract.pairing import settings_of_folder
from functions.mappings import from_file, write
from functions.ports import NotFound, ObjectInfo
from functions.runtime import Runtime

_MAPPINGS = "mappings/"
_MAX_REASON = 2000
"""Characters of a reason that are kept."""
_VERSIONS = 50
"""How many versions are looked through for a file that was read before."""


def settings_of_country(runtime: Runtime, country: str) -> FileVersion | None:
    """What starts uploads without settings of their own: what was said last of their country.

    The settings in its folder, or its mapping `default` if that was written since, or if there are none. None
    if there is neither, or if the mapping leaves open what a request must say.
    """
    info = settings_of_folder(runtime.ports.objects, country)
    file = FileVersion(name=info.name, generation=info.generation) if info else None
    mapping = runtime.ports.jobs.get(MappingDocument, f"{country}/{DEFAULT}")
    if mapping is None or mapping.state == "DELETED":
        return file
    if file is not None and (mapping.file != file or mapping.by == file.name):
        return file
    if not is_whole(mapping.settings, country):
        return None
    return FileVersion(name=f"{_MAPPINGS}{mapping.key}", generation=mapping.number)


def is_mapping(settings: FileVersion) -> bool:
    """Whether an upload is started with a mapping, and not with a file."""
    return settings.name.startswith(_MAPPINGS)


def read_in(runtime: Runtime, country: str, settings: ObjectInfo) -> None:
    """Make what the settings say the next version of the mapping, unless it is what was read last.

    Settings that are not valid are no version: the record of the file says why, as do jobs of its uploads.
    """
    if country == ANY_COUNTRY:
        return
    key, file = f"{country}/{DEFAULT}", FileVersion(name=settings.name, generation=settings.generation)
    known = runtime.ports.jobs.get(MappingDocument, key)
    if known is not None and (known.file == file or _was_read(runtime, key, file)):
        return  # the message came again; what was changed since stays
    try:
        with runtime.ports.objects.reader(settings.name, settings.generation) as stream:
            text = stream.read(MAX_REQUEST_BYTES + 1)
        if len(text) > MAX_REQUEST_BYTES:
            raise SettingsError(f"is larger than {MAX_REQUEST_BYTES >> 10} KiB")
        said = parse_settings(text)
        if said.get("country", country) != country:
            raise SettingsError(f"says `country: {said['country']}`, but lies in the folder of {country}")
        written = from_file(said)
        if written is not None:
            write(runtime, (country, DEFAULT), written, settings.name, file=file)
    except NotFound:
        runtime.log("INFO", "stale: the settings were replaced before they were read", object=settings.name)
    except SettingsError as error:
        _not_read(runtime, country, settings, f"the file {error}")
    except BadRequest as error:
        _not_read(runtime, country, settings, "; ".join(error.problem.errors))


def _was_read(runtime: Runtime, key: str, file: FileVersion) -> bool:
    """Whether one of the last versions that were replaced is this version of a file."""
    versions = runtime.ports.jobs.find(MappingVersion, limit=_VERSIONS, mapping=key)
    return any(version.file == file for version in versions)


def _not_read(runtime: Runtime, country: str, settings: ObjectInfo, why: str) -> None:
    """Keep why settings are no version of the mapping, so that people see it."""
    runtime.log("WARNING", "settings are not read in as a mapping", object=settings.name, reason=why)
    rejected = Upload(
        name=settings.name,
        generation=settings.generation,
        country=country,
        state="REJECTED",
        since=settings.updated,
        reason=f"not read in as the mapping {country}/{DEFAULT}: {why}"[:_MAX_REASON],
        expires=runtime.ports.clock.now() + KEEP_ENDED,
    )
    runtime.ports.jobs.create(rejected)
