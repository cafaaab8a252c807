"""Sources: what is in them, before a request asks for them."""

from __future__ import annotations

from flask import request

from contracts.api import CountrySettings, NewSettings, NewUpload, SelfTest, UploadTarget
from contracts.preview import Preview, SourceQuestion
from functions.errors import BadRequest
from functions.runtime import Runtime
from functions.web import country_settings, looking, receiving, selftest
from functions.web.people import asking
from functions.web.problems import BadBody, Unreadable
from functions.web.routes import expected


def preview_source(runtime: Runtime, body: SourceQuestion) -> Preview:
    """Look into a source: its columns, what is in them, the first rows.

    Nothing is kept but the answer, for some weeks. Waits up to 20 seconds; each person asks one at a time.
    """
    source = body.source.model_dump(mode="json", by_alias=True, exclude_none=True)
    found = looking.look(runtime, asking(), source, body.sheet, body.wanted)
    if found.problem is not None:
        raise Unreadable(found.problem.detail, found.problem.errors, found.problem.violations)
    return found


def get_settings(runtime: Runtime, country: str) -> CountrySettings:
    """The settings of a country: its mapping `default`, for uploads and requests that name none."""
    return country_settings.settings_of(runtime, country)


def put_settings(runtime: Runtime, country: str, body: NewSettings) -> CountrySettings:
    """Make settings the next version of the country's mapping `default`. Uploads that wait for them start.

    Which ones were read is said by `If-Match` with their ETag, or by `generation`.
    """
    if body.generation is None and not request.if_match:
        line = "generation: is missing; say which settings are replaced, here or with If-Match"
        raise BadBody("1 problem(s) in the body", [line])
    now = country_settings.settings_of(runtime, country)
    expected(now)
    seen = now.generation if body.generation is None else body.generation
    try:
        return country_settings.save(runtime, country, body.settings, seen, asking())
    except BadRequest as error:
        raise BadBody(error.problem.detail, error.problem.errors) from error


def create_upload(runtime: Runtime, body: NewUpload) -> UploadTarget:
    """Where to send a file: a form that goes straight into the object store, or on one machine to this page.

    The address takes the form for an hour. A file that is there is never replaced.
    """
    return receiving.target(runtime, request, body)


def run_selftest(runtime: Runtime) -> SelfTest:
    """Try whether bucket, store, bus, functions, launcher, warehouses and clock work together.

    Waits up to 20 seconds. What it writes lies under `scratch/`, and is gone afterwards or after some weeks.
    """
    return selftest.run(runtime, asking())
