"""Sources: what is in them, before a request asks for them."""

from __future__ import annotations

from contracts.preview import Preview, SourceQuestion
from functions.runtime import Runtime
from functions.web import looking
from functions.web.people import asking
from functions.web.problems import Unreadable


def preview_source(runtime: Runtime, body: SourceQuestion) -> Preview:
    """Look into a source: its columns, what is in them, the first rows.

    Nothing is kept but the answer, for some weeks. Waits up to 20 seconds; each person asks one at a time.
    """
    source = body.source.model_dump(mode="json", by_alias=True, exclude_none=True)
    found = looking.look(runtime, asking(), source, body.sheet, body.wanted)
    if found.problem is not None:
        raise Unreadable(found.problem.detail, found.problem.errors, found.problem.violations)
    return found
