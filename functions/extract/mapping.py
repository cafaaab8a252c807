"""The settings of a country's folder are read in as the next version of its mapping `default`."""

from __future__ import annotations

from contracts.job import FileVersion
from contracts.mapping import DEFAULT, MappingDocument
from contracts.request import SettingsError, parse_settings
from functions.acceptance.request import MAX_REQUEST_BYTES
from functions.errors import BadRequest
from functions.mappings import from_file, write
from functions.ports import NotFound, ObjectInfo
from functions.runtime import Runtime


def read_in(runtime: Runtime, country: str, settings: ObjectInfo) -> None:
    """Make what the settings say the next version of the mapping, unless it is what was read last.

    Settings that are not valid, or of another country, are no version: the jobs of its uploads say why.
    """
    file = FileVersion(name=settings.name, generation=settings.generation)
    known = runtime.ports.jobs.get(MappingDocument, f"{country}/{DEFAULT}")
    if known is not None and known.file == file:
        return  # the message came twice; what was changed since stays
    try:
        with runtime.ports.objects.reader(settings.name, settings.generation) as stream:
            text = stream.read(MAX_REQUEST_BYTES + 1)
        said = parse_settings(text) if len(text) <= MAX_REQUEST_BYTES else None
        written = from_file(said) if said is not None else None
        if said is None or written is None or said.get("country", country) != country:
            return
        write(runtime, (country, DEFAULT), written, settings.name, file=file)
    except (NotFound, SettingsError) as error:
        _not_read(runtime, settings, str(error))
    except BadRequest as error:
        _not_read(runtime, settings, "; ".join(error.problem.errors))


def _not_read(runtime: Runtime, settings: ObjectInfo, why: str) -> None:
    told = "settings are not read in as a mapping"
    runtime.log("WARNING", told, object=settings.name, reason=why)
