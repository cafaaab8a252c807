"""Mappings: what many requests have in common, and what came of it in a job."""

from __future__ import annotations

from flask import request

from contracts.api import ListQuery
from contracts.mapping import (
    EffectiveRequest,
    MappingCheck,
    MappingDocument,
    MappingEntry,
    MappingHistory,
    MappingList,
    MappingNote,
    MappingQuestion,
    MappingRow,
    MappingsQuery,
    MappingVersion,
    NewMapping,
    VersionQuery,
)
from functions import mappings
from functions.errors import BadRequest
from functions.retries import retry_on_conflict
from functions.runtime import Runtime
from functions.web import effective, mapping_checks
from functions.web.actions import job_of
from functions.web.people import asking
from functions.web.problems import BadBody, Changed, Refused, Unreadable
from functions.web.routes import Answered, expected
from functions.web.v1.paging import page


def list_mappings(runtime: Runtime, query: MappingsQuery) -> MappingList:
    """Mappings that requests can refer to, the newest created first."""
    of_country = {} if query.country is None else {"country": query.country}
    found, token = page(runtime.ports.jobs, MappingDocument, query, state="ACTIVE", until=None, **of_country)
    return MappingList(mappings=[MappingRow.of(one) for one in found], next_page_token=token)


def get_mapping(runtime: Runtime, country: str, mapping: str, query: VersionQuery) -> MappingDocument:
    """A mapping in its newest version, or in another one."""
    return mapping_checks.version_of(runtime.ports.jobs, country, mapping, query.version)


def put_mapping(runtime: Runtime, country: str, mapping: str, body: NewMapping) -> Answered:
    """Write a mapping: a new one, or the next version of the one whose ETag `If-Match` names.

    The same settings as before are no new version. Without `If-Match` only a new one is written.
    """

    def new_or_seen(known: MappingDocument | None) -> None:
        if known is not None and known.state == "ACTIVE" and not request.if_match:
            told = f"it is there, in version {known.version}; say that you have seen that version"
            raise Changed(f"{told} (`If-Match` with its ETag, or of `mmm mapping put` --version)")
        _seen(known)

    key = (country, mapping)
    try:
        written = retry_on_conflict(
            lambda: mappings.write(runtime, key, body.settings, asking(), body.note, new_or_seen)
        )
    except BadRequest as error:
        raise BadBody(error.problem.detail, error.problem.errors) from error
    mappings.start_waiting(runtime, written)
    return Answered(written, 201 if written.version == 1 else 200)


def _seen(known: MappingDocument | None) -> None:
    if known is not None:
        expected(known)
    elif request.if_match and not request.if_match.star_tag:
        raise Changed("it is not there, in no version")


def delete_mapping(runtime: Runtime, country: str, mapping: str, body: MappingNote) -> MappingDocument:
    """End a mapping that nothing uses. Its versions stay, and requests can still name them by number."""
    key = mapping_checks.version_of(runtime.ports.jobs, country, mapping, None).key
    try:
        return retry_on_conflict(lambda: mappings.delete(runtime, key, asking(), body.note, _seen))
    except mappings.InUse as error:
        raise Refused(error.problem.detail) from error


def list_mapping_history(runtime: Runtime, country: str, mapping: str, query: ListQuery) -> MappingHistory:
    """Who changed what: the versions of a mapping, newest first."""
    return history(runtime, mapping_checks.version_of(runtime.ports.jobs, country, mapping, None), query)


def history(runtime: Runtime, newest: MappingDocument, query: ListQuery) -> MappingHistory:
    """A part of the versions of a mapping, newest first."""
    former, token = page(runtime.ports.jobs, MappingVersion, query, mapping=newest.key)
    entries = [MappingEntry.of(one) for one in former if one.number < newest.number]
    first = [] if query.page_token else [MappingEntry.of(newest)]
    return MappingHistory(versions=[*first, *entries], next_page_token=token)


def check_mapping(runtime: Runtime, country: str, mapping: str, body: MappingQuestion) -> MappingCheck:
    """Look into a source for the columns that a mapping names: missing, renamed and new ones.

    Nothing is trained. Waits up to 20 seconds; each person asks one at a time.
    """
    found = mapping_checks.version_of(runtime.ports.jobs, country, mapping, body.version)
    source = body.source.model_dump(mode="json", by_alias=True, exclude_none=True)
    answer = mapping_checks.check(runtime, asking(), found, source, body.sheet)
    if not isinstance(answer, MappingCheck):
        raise Unreadable(answer.detail, answer.errors, answer.violations)
    return answer


def get_effective_request(runtime: Runtime, job_id: str) -> EffectiveRequest:
    """What a job trains: its request, the mapping frozen into it and defaults, and who said each value."""
    return effective.request_of(job_of(runtime.ports, job_id))
