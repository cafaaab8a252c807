"""Pushing an envelope by HTTP."""

from __future__ import annotations

import threading
from http import HTTPStatus
from typing import Any

import requests

from functions.errors import Busy

_CONNECT_S = 5.0
_SHOWN = 500  # characters of an answer that go into the error


class Refused(Exception):
    """The receiver answered, but not with success."""


def check(status: int, text: str, *, ours: bool = True) -> None:
    """Raise unless a push was accepted; `ours`: a function answered it.

    Raises:
        functions.errors.Busy: a function has no room for it now.
        Refused: the answer was no 2xx.
    """
    if status == HTTPStatus.TOO_MANY_REQUESTS and ours:
        raise Busy(text[:_SHOWN].strip())
    if not 200 <= status < 300:
        raise Refused(f"{status} {text[:_SHOWN]}".strip())


class HttpPush:
    """POSTs envelopes as JSON, over connections that each thread keeps open."""

    def __init__(self, timeout_s: float, functions_url: str = "") -> None:
        """`functions_url`: under it the functions answer, each at its name."""
        self._functions_url = functions_url.rstrip("/")
        self._timeouts = (_CONNECT_S, timeout_s)
        self._local = threading.local()

    def __call__(self, endpoint: str, envelope: dict[str, Any]) -> None:
        """Push to a function's name or to a whole URL.

        Raises:
            functions.errors.Busy: a function has no room for it now.
            Refused: the answer was no 2xx.
            requests.RequestException: there was no answer.
        """
        url = endpoint if "://" in endpoint else f"{self._functions_url}/{endpoint}"
        answer = self._session().post(url, json=envelope, timeout=self._timeouts, allow_redirects=False)
        check(answer.status_code, answer.text, ours=url != endpoint)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # the receivers are on this machine: never through a proxy
            self._local.session = session
        return session
