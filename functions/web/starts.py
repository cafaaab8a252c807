"""Where a request that somebody writes can begin: an earlier job, the settings of a country, a file."""

from __future__ import annotations

import csv
import io

from contracts.mapping import DEFAULT
from functions.runtime import Runtime
from functions.web import mapping_checks
from functions.web.actions import job_of
from functions.web.country_settings import settings_of
from functions.web.drafts import Document, ordered
from functions.web.problems import Unknown

MAX_ANNOTATIONS_BYTES = 256 * 1024


def nothing(runtime: Runtime, person: str) -> Document:
    """A new request with a free id."""
    return _own(runtime, "", person)


def copied(runtime: Runtime, job_id: str, person: str) -> Document:
    """The request of a job, with an id of its own.

    Raises:
        Unknown: there is no such job.
    """
    job = job_of(runtime.ports, job_id)
    request = {name: value for name, value in job.request.items() if name != "validate_only"}
    if job.settings is not None:  # as it was: the mapping may say something else by now
        used = job.settings
        of_other = {"country": used.country} if used.country != job.country else {}
        request["settings"] = {"name": used.name, "version": used.version, **of_other}
    return ordered({**request, **_own(runtime, job.country, person)})


def continued(runtime: Runtime, job_id: str, person: str) -> Document:
    """The request that continues the model of a job with newer data.

    Raises:
        Unknown: there is no such job.
    """
    document = {**copied(runtime, job_id, person), "refresh_of": job_id}
    for path in ("source.generation", "window.start", "search.start_from", "search.best_by"):
        group, _, field = path.partition(".")
        if isinstance(document.get(group), dict):
            document[group] = {key: value for key, value in document[group].items() if key != field}
    return {key: value for key, value in document.items() if value != {}}


def from_settings(runtime: Runtime, country: str, person: str) -> Document:
    """The request that the settings of a country make.

    Raises:
        Unknown: it has none.
        BadQuery: that is no name of a country.
    """
    known = settings_of(runtime, country)
    if not known.generation:
        raise Unknown(f"there are no settings of {country}: it has no mapping '{DEFAULT}'")
    return ordered({**known.settings, "country": country, **_own(runtime, country, person)})


def from_mapping(runtime: Runtime, key: str, person: str) -> Document:
    """A request that refers to a mapping, given as `DE/weekly`.

    Raises:
        Unknown: there is no such mapping.
    """
    country, _, name = key.partition("/")
    mapping = mapping_checks.version_of(runtime.ports.jobs, country, name, None)
    return ordered({**_own(runtime, country, person), "country": country, "settings": mapping.name})


def from_file(runtime: Runtime, name: str, person: str) -> Document:
    """A request whose data are a file in the bucket."""
    country = name.split("/")[1] if name.count("/") > 1 else ""
    start = {"country": country} if country else {}
    return ordered({**_own(runtime, country, person), **start, "source": {"kind": "object", "name": name}})


def notes_of(text: bytes) -> tuple[list[dict[str, str]], list[str]]:
    """Dated notes from a CSV file of a date and a text in each line, and what is wrong with it."""
    try:
        lines = list(csv.reader(io.StringIO(text[:MAX_ANNOTATIONS_BYTES].decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        return [], [f"annotations: the file is no CSV in UTF-8: {error}"]
    if lines and [cell.strip().lower() for cell in lines[0][:2]] == ["date", "text"]:
        lines = lines[1:]
    wrong = [i for i, line in enumerate(lines, 1) if line and len(line) != 2]
    if len(text) > MAX_ANNOTATIONS_BYTES or wrong:
        why = f"row {wrong[0]} has not two columns" if wrong else "it is larger than 256 KiB"
        return [], [f"annotations: the file must have a date and a text in each row; {why}"]
    return [{"date": line[0].strip(), "text": line[1].strip()} for line in lines if line], []


def proposed_id(runtime: Runtime, country: str) -> str:
    """An id that no request has had."""
    return f"{country.lower() or 'request'}-{runtime.ports.clock.now():%Y%m%d-%H%M%S}"


def _own(runtime: Runtime, country: str, person: str) -> Document:
    return {"request_id": proposed_id(runtime, country), "requested_by": person}
