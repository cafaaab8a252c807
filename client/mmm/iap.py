"""Calls through Identity-Aware Proxy, in the name of a service account and without a key file.

Each call carries a token that names the service account and the system's address. Google's IAM signs it for
whoever may sign for that account: a program that runs as it, or a person with the role Service Account Token
Creator on it. `OwnCredentials` is who runs this, for calls to Google itself.

Needs google-auth: `pip install 'mmm-trainer-client[iap]'`.
"""

from __future__ import annotations

import json
import time
from typing import Any

import requests
from requests.auth import AuthBase

from mmm.errors import MmmError

SIGN = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}:signJwt"
LIFETIME_S = 3600
"""As long as the proxy takes a token at most."""
_SPARE_S = 300


class IapServiceAccount(AuthBase):
    """Signs the calls of a client as a service account."""

    def __init__(self, account: str, url: str, session: requests.Session | None = None) -> None:
        """`account`: its address; `url`: that of the system. `session` calls IAM, as whoever runs this."""
        self._account = account
        self._audience = f"{url.rstrip('/')}/*"
        self._session = session or requests.Session()
        if session is None:
            self._session.auth = OwnCredentials("https://www.googleapis.com/auth/iam")
        self._token = ""
        self._until = 0.0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token to a call."""
        if time.time() >= self._until - _SPARE_S:
            self._sign()
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _sign(self) -> None:
        now = int(time.time())
        claims = {
            "iss": self._account,
            "sub": self._account,
            "aud": self._audience,
            "iat": now,
            "exp": now + LIFETIME_S,
        }
        answer = self._session.post(
            SIGN.format(account=self._account), json={"payload": json.dumps(claims)}, timeout=30
        )
        if not answer.ok:
            raise MmmError(
                f"IAM does not sign for {self._account} ({answer.status_code}): {answer.text[:300]}\n"
                "Whoever runs this needs the role Service Account Token Creator on it."
            )
        self._token, self._until = answer.json()["signedJwt"], now + LIFETIME_S


class OwnCredentials(AuthBase):
    """Signs calls with the credentials of this environment (Application Default Credentials)."""

    def __init__(self, scope: str) -> None:
        """`scope`: the only thing that the tokens are good for."""
        self._scope = scope
        self._found: Any = None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add a token to a call.

        Raises:
            MmmError: there are no credentials, or they do not work.
        """
        try:
            import google.auth
            from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
            from google.auth.transport.requests import Request
        except ImportError as error:
            raise MmmError(
                "signing in to Google needs google-auth: pip install 'mmm-trainer-client[iap]'"
            ) from error
        try:
            if self._found is None:
                self._found, _ = google.auth.default(scopes=[self._scope])
            self._found.before_request(Request(), request.method, request.url, request.headers)
        except DefaultCredentialsError as error:
            raise MmmError(
                f"no Google credentials: `gcloud auth application-default login` ({error})"
            ) from error
        except GoogleAuthError as error:
            raise MmmError(
                f"signing in to Google did not work: {error}\n"
                "If it does not work again: `gcloud auth application-default login`."
            ) from error
        return request
