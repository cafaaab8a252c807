"""What the clients of Google's services raise, as the errors of this system."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import google.auth.exceptions as identity
import requests
from google.api_core import exceptions as api
from google.api_core.retry import Retry, if_transient_error
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from functions.errors import Failure, Permanent, Unavailable

TIMEOUT_S = 30.0
"""How long one request may take."""

RETRY = Retry(predicate=if_transient_error, initial=0.2, maximum=5.0, timeout=TIMEOUT_S)
"""A short trouble is waited out; after a longer one the message is delivered again."""

STORAGE_RETRY = DEFAULT_RETRY.with_delay(initial=0.2, maximum=5.0).with_timeout(TIMEOUT_S)
"""The same for Cloud Storage, whose client knows refusals of its own."""

_NO_ANSWER = (requests.RequestException, ConnectionError, TimeoutError, DataCorruption, api.RetryError)
_TRY_AGAIN = (api.TooManyRequests, api.ServerError, api.Conflict, api.Cancelled)
_FORGOTTEN = (404, 410)
"""What Cloud Storage answers to a part of an upload that it gave up: begin anew."""
_NOT_ALLOWED = (api.Forbidden, api.Unauthorized)
_NO_IDENTITY = (identity.DefaultCredentialsError, identity.MalformedError)


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Turn the errors of Google's clients within the block into ours; `what` was being done.

    Raises:
        Unavailable: too many requests, a fault of the server, no answer in time, no connection, no identity,
            or the call is not allowed (yet: a right that was granted takes minutes to spread).
        Permanent: the call is wrong.
    """
    try:
        yield
    except InvalidResponse as error:
        if error.response.status_code in _FORGOTTEN and error.response.request.method == "PUT":
            raise Unavailable(f"{what} did not work for now: the upload was lost: {told(error)}") from error
        refusal = api.from_http_status(status_of(error), str(error))  # type: ignore[no-untyped-call]
        raise _failure(what, refusal) from error
    except (api.GoogleAPICallError, identity.GoogleAuthError, *_NO_ANSWER) as error:
        raise _failure(what, error) from error


def told(error: Exception) -> str:
    """What an error says, without the address of an upload: whoever knows it may go on with the upload."""
    return re.sub(r"upload_id=[^&\s'\")]+", "upload_id=…", str(error))


def status_of(error: Exception) -> int | None:
    """The HTTP status with which a service refused; None if it did not answer."""
    if isinstance(error, InvalidResponse):
        return int(error.response.status_code)
    return error.code if isinstance(error, api.GoogleAPICallError) else None


def _failure(what: str, error: Exception) -> Failure:
    said = told(error)
    if isinstance(error, _NOT_ALLOWED):
        return Unavailable(
            f"{what} is not allowed: {said}; a right that was granted takes minutes to "
            "spread; if it goes on, give the service account the role that it needs"
        )
    if isinstance(error, _NO_IDENTITY):  # or the metadata server is not up yet, which looks the same
        return Unavailable(f"{what} needs an identity, and there is none: {said}")
    if isinstance(error, (*_NO_ANSWER, *_TRY_AGAIN, identity.GoogleAuthError)):
        return Unavailable(f"{what} did not work for now: {said}")
    return Permanent(f"{what} is refused: {said}")
