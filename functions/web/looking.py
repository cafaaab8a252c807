"""Looking into a source: a message to extract, which holds the secrets of warehouses, and its answer."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from contracts import names
from contracts.cloud import WEB
from contracts.events import SOURCE_CHECKS
from contracts.preview import Checked, Preview, SourceCheck
from functions.errors import Unavailable
from functions.ports import NotFound
from functions.runtime import Runtime
from functions.steps import publish
from functions.web.problems import TooMany

PATIENCE_S = 20.0
"""How long the page waits for an answer."""
MOST_WAITING = WEB.concurrency // 2
"""People who wait for answers at a time in one process."""
_POLL_S = 0.2
C = TypeVar("C", bound=Checked)
_lock = threading.Lock()
_waiting: set[str] = set()


def look(
    runtime: Runtime,
    person: str,
    source: dict[str, Any],
    sheet: str | None = None,
    wanted: list[str] | None = None,
) -> Preview:
    """What is in a source.

    Raises:
        TooMany: this person waits for another answer, in this process.
        Unavailable: there is no answer in time.
    """
    check = SourceCheck(check_id=new_id(), source=source, sheet=sheet, wanted=wanted or [])
    with one_at_a_time(person):
        return ask(runtime, check)


def ask(runtime: Runtime, check: SourceCheck) -> Preview:
    """The answer of extract to a check.

    Raises:
        Unavailable: there is none in time.
    """
    publish(runtime, SOURCE_CHECKS, check)
    return awaited(runtime, check.check_id, Preview)


def awaited(runtime: Runtime, check_id: str, kind: type[C]) -> C:
    """The answer to a check that was published.

    Raises:
        Unavailable: there is none in time.
    """
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        found = _read(runtime, check_id, kind)
        if found is not None:
            return found
        time.sleep(_POLL_S)
    raise Unavailable(f"there was no answer in {PATIENCE_S:g} s: it may be busy; try again in a minute")


def answered(runtime: Runtime, check_id: str) -> Preview | None:
    """The answer to a look into a source; None if there is none, yet or any more."""
    return _read(runtime, check_id, Preview)


def new_id() -> str:
    """The id of a new check."""
    return uuid.uuid4().hex


def _read(runtime: Runtime, check_id: str, kind: type[C]) -> C | None:
    if not re.fullmatch(r"[0-9a-f]{32}", check_id):
        return None
    try:
        return kind.model_validate_json(runtime.ports.objects.read(names.preview(check_id)))
    except NotFound:
        return None


@contextmanager
def one_at_a_time(person: str) -> Iterator[None]:
    """Let each person wait for one answer at a time, and few of them together.

    Every wait holds one of few threads, and the others are for all other pages.

    Raises:
        TooMany: they do already, or too many others do.
    """
    with _lock:
        if person in _waiting:
            raise TooMany("your last question is still being answered; wait for it")
        if len(_waiting) >= MOST_WAITING:
            raise TooMany("others are looking into sources now; try again in some seconds")
        _waiting.add(person)
    try:
        yield
    finally:
        with _lock:
            _waiting.discard(person)
