"""Identity-Aware Proxy's signed assertion: who asks, as the proxy has found out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import requests
from flask import Request
from google.auth import jwt
from google.auth.exceptions import GoogleAuthError

from functions.adapters.gcp.errors import TIMEOUT_S, calling
from functions.settings import PeopleSettings
from functions.web.people import Person, person_of
from functions.web.problems import NotIdentified

HEADER = "x-goog-iap-jwt-assertion"
ISSUER = "https://cloud.google.com/iap"
KEYS_URL = "https://www.gstatic.com/iap/verify/public_key"
KEYS_AGE_S = 3600.0
"""The proxy's keys change every few weeks, and are published a while before they are used."""
SKEW_S = 30

Keys = Mapping[str, str]
"""Key id → public key, PEM."""


def fetch_keys() -> Keys:
    """The public keys of the proxy."""
    with calling("reading the keys of Identity-Aware Proxy"):
        answer = requests.get(KEYS_URL, timeout=TIMEOUT_S)
        answer.raise_for_status()
        keys: Keys = answer.json()
        return keys


class IapPeople:
    """Tells who sent a request; for `functions.web.people.Identify`."""

    def __init__(self, settings: PeopleSettings, fetch: Callable[[], Keys] = fetch_keys) -> None:
        self._settings = settings
        self._fetch = fetch
        self._keys: Keys = {}
        self._until = 0.0

    def __call__(self, request: Request) -> Person:
        """The person whom the assertion names.

        Raises:
            NotIdentified: there is no valid assertion.
            functions.web.problems.NotAllowed: the installation does not know the person.
            functions.errors.Unavailable: the proxy's keys cannot be read now.
        """
        assertion = request.headers.get(HEADER)
        if not assertion:
            raise NotIdentified("the request did not come through Identity-Aware Proxy")
        try:
            claims = jwt.decode(
                assertion,
                certs=self._current_keys(),
                audience=self._settings.iap_audience,
                clock_skew_in_seconds=SKEW_S,
            )  # type: ignore[no-untyped-call]
        except (GoogleAuthError, ValueError) as error:
            raise NotIdentified(f"the assertion of Identity-Aware Proxy is not valid: {error}") from error
        address = claims.get("email")
        if claims.get("iss") != ISSUER or not isinstance(address, str):
            raise NotIdentified("the assertion of Identity-Aware Proxy names no issuer or no person")
        return person_of(address, self._settings)

    def _current_keys(self) -> Keys:
        if time.monotonic() >= self._until:
            self._keys = self._fetch()
            self._until = time.monotonic() + KEYS_AGE_S
        return self._keys
