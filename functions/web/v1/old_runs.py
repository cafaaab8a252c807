"""Trainings of the old system: they are listed, and nothing else is ever done with them."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Literal

from contracts.old_system import (
    KeptOldRuns,
    NewOldRuns,
    OldRun,
    OldRunDocument,
    OldRunList,
    OldRunsQuery,
)
from functions.ports import Conflict
from functions.retries import retry_on_conflict
from functions.runtime import Runtime
from functions.web.people import asking
from functions.web.v1.paging import page


def list_old_runs(runtime: Runtime, query: OldRunsQuery) -> OldRunList:
    """Trainings of the old system that were imported, the last imported first."""
    of_country = {} if query.country is None else {"country": query.country}
    found, token = page(runtime.ports.jobs, OldRunDocument, query, until=None, **of_country)
    return OldRunList(runs=found, next_page_token=token)


def keep_old_runs(runtime: Runtime, body: NewOldRuns) -> KeptOldRuns:
    """List trainings of the old system, as `mmm import` sends them.

    Sent twice, they are listed once; of a training that is told otherwise than before the last word counts.
    """
    person = asking()
    became = Counter(retry_on_conflict(partial(_keep, runtime, run, person)) for run in body.runs)
    return KeptOldRuns(new=became["new"], changed=became["changed"], known=became["known"])


def _keep(runtime: Runtime, run: OldRun, person: str) -> Literal["new", "changed", "known"]:
    jobs = runtime.ports.jobs
    document = OldRunDocument(**dict(run), by=person, imported_at=runtime.ports.clock.now())
    known = jobs.get(OldRunDocument, document.key)
    if known is None:
        if jobs.create(document) is None:
            raise Conflict(f"{document.key} was listed by somebody else")
        return "new"
    if all(getattr(known, name) == getattr(run, name) for name in OldRun.model_fields):
        return "known"
    jobs.replace(document, known.version)
    return "changed"
