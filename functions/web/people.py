"""Who asks, and what they may do: look, or also act."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import dataclass

from flask import Request, g

from functions.settings import PeopleSettings
from functions.web.problems import NotAllowed

HEALTH = "healthz"
"""The endpoint that anybody may ask; it tells nothing."""


@dataclass(frozen=True)
class Person:
    """A person, or a program in its own name."""

    address: str
    may_act: bool


Identify = Callable[[Request], Person]
"""Who sent a request.

Raises:
    NotAllowed: nobody who may.
"""


def local_user(request: Request) -> Person:
    """Whoever runs the system on this machine; nobody else reaches it."""
    del request
    return Person(getpass.getuser(), may_act=True)


def person_of(address: str, settings: PeopleSettings) -> Person:
    """What the owner of an address may do.

    Raises:
        NotAllowed: not even look.
    """
    name, _, domain = address.casefold().rpartition("@")
    if not (name and domain):
        raise NotAllowed("whoever asks has no address")
    known = {address.casefold(), domain}
    if known & _folded(settings.editors):
        return Person(address, may_act=True)
    allowed = not settings.viewers and domain in _folded(settings.allowed_domains)
    if allowed or known & _folded(settings.viewers):
        return Person(address, may_act=False)
    raise NotAllowed(f"{address} may not see this page; ask for MMM_VIEWERS or MMM_EDITORS to name it")


def require(request: Request, identify: Identify) -> None:
    """Let nobody in whom the installation does not know, and nobody act who may only look.

    Raises:
        NotAllowed: the request is refused.
    """
    if request.endpoint == HEALTH:
        return
    g.person = identify(request)
    if request.method not in ("GET", "HEAD", "OPTIONS") and not g.person.may_act:
        raise NotAllowed(f"{g.person.address} may look, but not act; ask for MMM_EDITORS to name it")


def asking() -> str:
    """The address of whoever sent the request that is being answered."""
    address: str = g.person.address
    return address


def _folded(names: list[str]) -> set[str]:
    return {name.casefold() for name in names}
