"""Who calls what: every call of the embedded adapters, noted with the identity that makes it in the cloud.

The identity is that of the function whose message is handled, the page while it answers, or the trainer. Each
right has the words of `contracts.cloud.Rights.flat`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any
from unittest.mock import patch

import flask

import functions.entry
import trainer.life
from contracts.cloud import RIGHTS
from functions.adapters.embedded.bus import SqliteBus
from functions.adapters.embedded.jobs import SqliteJobStore
from functions.adapters.embedded.launcher import SubprocessLauncher
from functions.adapters.embedded.objects import FileObjectStore

Recorded = dict[str, set[str]]
"""Identity → the rights that it used; those for objects with the whole names."""

_identity: ContextVar[str | None] = ContextVar("identity", default=None)


def _copied(source: str, target: str, *_: Any) -> list[str]:
    return [f"read:{source}", f"create:{target}"]


_Rights = Callable[..., list[str]]


def _creates(name: str, *_: Any, **__: Any) -> list[str]:
    return [f"create:{name}"]


def _reads(name: str, *_: Any, **__: Any) -> list[str]:
    return [f"read:{name}"]


def _document(document: Any, *_: Any, **__: Any) -> list[str]:
    return [f"document:{document.kind}"]


_CALLS: dict[type, dict[str, _Rights]] = {
    FileObjectStore: {
        **dict.fromkeys(("create", "replace", "writer", "delete"), _creates),
        **dict.fromkeys(("stat", "read", "reader", "link"), _reads),
        "list": lambda prefix: [f"list:{prefix}"],
        "copy": _copied,
    },
    SqliteBus: {"publish": lambda topic, *_, **__: [f"publish:{topic}"]},
    SqliteJobStore: dict.fromkeys(("create", "replace", "get", "find", "due", "in_turn"), _document),
    SubprocessLauncher: {
        "start": lambda *_: ["run:start"],
        **dict.fromkeys(("find", "get", "cancel"), lambda *_, **__: ["run:stop"]),
    },
}


@contextmanager
def recording() -> Iterator[Recorded]:
    """Note what each identity calls within the block."""
    recorded: Recorded = {identity: set() for identity in RIGHTS}
    with contextmanager(_patched)(recorded):
        yield recorded


def beyond(recorded: Recorded) -> dict[str, set[str]]:
    """What identities used without having the right."""
    used = {
        identity: {one for one in rights if not any(map(partial(_covers, one), RIGHTS[identity].flat()))}
        for identity, rights in recorded.items()
    }
    return {identity: rights for identity, rights in used.items() if rights}


def unused(recorded: Recorded) -> dict[str, set[str]]:
    """What identities may do, did not do, and do not have for rare moments."""
    spare = {
        name: {
            right
            for right in one.flat() - one.seldom.keys()
            if not any(_covers(used, right) for used in recorded[name])
        }
        for name, one in RIGHTS.items()
    }
    return {identity: rights for identity, rights in spare.items() if rights}


def _covers(used: str, right: str) -> bool:
    """Whether a right is the one that a call needs; those for objects end with a prefix."""
    return used.startswith(right) if right.endswith("/") else used == right


def _patched(recorded: Recorded) -> Iterator[None]:
    patches = [
        patch.object(kind, name, _noting(getattr(kind, name), rights, recorded))
        for kind, calls in _CALLS.items()
        for name, rights in calls.items()
    ]
    patches += [
        patch.object(functions.entry, "deliver", _as(lambda function, *_: function, functions.entry.deliver)),
        patch.object(trainer.life.Life, "live", _as(lambda *_: "trainer", trainer.life.Life.live)),
        patch.object(flask.Flask, "wsgi_app", _page(flask.Flask.wsgi_app)),
    ]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def _noting(call: Callable[..., Any], rights: _Rights, recorded: Recorded) -> Callable[..., Any]:
    @functools.wraps(call)
    def noted(self: Any, *args: Any, **options: Any) -> Any:
        identity = _identity.get()
        if identity is None:
            return call(self, *args, **options)
        recorded[identity] |= set(rights(*args, **options))
        token = _identity.set(None)  # what an adapter calls in its turn is no call of ours
        try:
            answer = call(self, *args, **options)
            return iter(list(answer)) if isinstance(answer, Generator) else answer
        finally:
            _identity.reset(token)

    return noted


def _as(whose: Callable[..., str], call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def scoped(*args: Any, **options: Any) -> Any:
        token = _identity.set(whose(*args))
        try:
            return call(*args, **options)
        finally:
            _identity.reset(token)

    return scoped


def _page(call: Callable[..., Any]) -> Callable[..., Any]:
    """The application of the page answers as `web`, to the last byte."""

    @functools.wraps(call)
    def answered(app: flask.Flask, *args: Any) -> Any:
        if app.import_name != "functions.web.app":
            return call(app, *args)
        return list(_as(lambda *_: "web", lambda: list(call(app, *args)))())

    return answered
