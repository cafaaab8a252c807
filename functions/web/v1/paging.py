"""Lists in parts: an opaque token says where the next part begins."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import TypeVar

from contracts.api import ListQuery
from contracts.job import Document
from functions.ports import Equal, JobStore
from functions.web.problems import BadQuery

D = TypeVar("D", bound=Document)


def page(
    store: JobStore,
    kind: type[D],
    query: ListQuery,
    starting: str = "",
    until: datetime | None = None,
    **equals: Equal,
) -> tuple[list[D], str]:
    """A part of a list in the order of the store, and the token of the next one; empty at the end.

    Raises:
        BadQuery: the token is none of ours, or that of a document that is gone.
    """
    before = _key(query.page_token) if query.page_token else None
    if before is not None and store.get(kind, before) is None:
        raise _bad_token()
    found = store.find(
        kind, limit=query.page_size + 1, before=before, starting=starting, until=until, **equals
    )
    more = len(found) > query.page_size
    return found[: query.page_size], _token(found[query.page_size - 1].key) if more else ""


def _token(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _key(token: str) -> str:
    try:
        key = base64.b64decode(token + "=" * (-len(token) % 4), "-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise _bad_token() from error
    if _token(key) != token:
        raise _bad_token()
    return key


def _bad_token() -> BadQuery:
    line = "page_token: is none that a list answered; begin without one"
    return BadQuery("1 problem(s) in the parameters", [line])
