"""Signs for the service account that this program runs as, without a key: IAM's signBlob does it.

The account needs roles/iam.serviceAccountTokenCreator on itself, and the project the IAM Credentials API.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import google.auth
from google.auth import iam
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from functions.adapters.gcp.errors import TIMEOUT_S

ADVICE = (
    "grant the service account roles/iam.serviceAccountTokenCreator on itself and enable the API "
    "iamcredentials.googleapis.com"
)
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


class _Request(Request):
    """A transport whose own time limit is two minutes."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return super().__call__(*args, **{"timeout": TIMEOUT_S, **options})  # type: ignore[no-untyped-call]


class Signer:
    """The identity of this program, asked for when it first signs."""

    @cached_property
    def _identity(self) -> Credentials:
        identity, _ = google.auth.default(scopes=_SCOPES)
        return identity

    def credentials(self) -> service_account.Credentials:
        """What signs in the name of our service account, each time with a call of IAM.

        Raises:
            GoogleAuthError: there is no identity, or it is no service account, or it gives no token now.
        """
        identity, request = self._identity, _Request()
        if not identity.valid:
            identity.refresh(request)  # type: ignore[no-untyped-call]
        email = getattr(identity, "service_account_email", None)  # the platform's is known after a refresh
        if not email:
            raise GoogleAuthError("this program does not run as a service account")  # type: ignore[no-untyped-call]
        signer = iam.Signer(request, identity, email)  # type: ignore[no-untyped-call]
        return service_account.Credentials(signer, email, token_uri="")  # type: ignore[no-untyped-call]
