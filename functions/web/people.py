"""Who sent a request, and what they may do: view, or also act."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import dataclass

from flask import Request, g

from functions.settings import PeopleSettings
from functions.web.problems import NotAllowed

HEALTH = "healthz"
"""The endpoint that needs no identity; it reveals nothing."""
API = "api"
"""The blueprint whose table of routes says who may ask what."""


@dataclass(frozen=True)
class Person:
    """A person, or a program in its own name."""

    address: str
    may_act: bool


Identify = Callable[[Request], Person]
"""Who sent a request.

Raises:
    NotIdentified: nobody vouches for the sender.
    NotAllowed: the sender has no access.
"""


def local_user(request: Request) -> Person:
    """The user who runs the system on this machine; nobody else can reach it."""
    del request
    return Person(getpass.getuser(), may_act=True)


def person_of(address: str, settings: PeopleSettings) -> Person:
    """What the owner of an address may do.

    Raises:
        NotAllowed: they may not even view the page.
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
    raise NotAllowed(f"{address} may not view this page; ask to be added to MMM_VIEWERS or MMM_EDITORS")


def require(request: Request, identify: Identify) -> None:
    """Refuse people whom the installation does not know, and actions of people who may only view.

    Raises:
        NotAllowed: the request is refused.
    """
    if request.endpoint == HEALTH:
        return
    g.person = identify(request)
    if request.blueprint != API and request.method not in ("GET", "HEAD", "OPTIONS"):
        require_editor()


def require_editor() -> None:
    """Refuse the request that is being answered if its sender may only view.

    Raises:
        NotAllowed: the request is refused.
    """
    if not g.person.may_act:
        raise NotAllowed(f"{g.person.address} may view, but not act; ask to be added to MMM_EDITORS")


def asking() -> str:
    """The address of whoever sent the request that is being answered."""
    address: str = g.person.address
    return address


def _folded(names: list[str]) -> set[str]:
    return {name.casefold() for name in names}
