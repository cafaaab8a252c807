"""Deletions of old results."""

from __future__ import annotations

from contracts.api import ListQuery
from contracts.deletion import (
    DeletionAnswer,
    DeletionList,
    DeletionPreview,
    OldResults,
    ResultsDeletion,
)
from functions.runtime import Runtime
from functions.web import old_results
from functions.web.actions import known
from functions.web.people import asking
from functions.web.routes import Answered, expected
from functions.web.v1.paging import page


def preview_deletion(runtime: Runtime, body: OldResults) -> DeletionPreview:
    """The results that a deletion would delete, and those that it would keep, with what needs them."""
    return old_results.preview(runtime.ports, body)


def create_deletion(runtime: Runtime, body: OldResults) -> Answered:
    """Have the results of old jobs deleted, up to 20 a minute; the jobs stay.

    Kept is what a country uses, what a job continues that has not ended, and the newest model of each series
    and schedule. Asked for twice, it is one deletion (200).
    """
    deletion, is_new = old_results.ask(runtime, body, asking())
    return Answered(DeletionAnswer.of(deletion), 201 if is_new else 200)


def list_deletions(runtime: Runtime, query: ListQuery) -> DeletionList:
    """Deletions of old results, newest first."""
    found, token = page(runtime.ports.jobs, ResultsDeletion, query)
    return DeletionList(deletions=[DeletionAnswer.of(one) for one in found], next_page_token=token)


def get_deletion(runtime: Runtime, deletion_id: str) -> DeletionAnswer:
    """A deletion: how many results are gone, and which are kept for what."""
    return DeletionAnswer.of(known(runtime.ports, ResultsDeletion, deletion_id, "deletion"))


def stop_deletion(runtime: Runtime, deletion_id: str) -> DeletionAnswer:
    """Let a deletion end where it is. What is deleted stays deleted."""
    return DeletionAnswer.of(old_results.stop(runtime, deletion_id, asking(), expected))
