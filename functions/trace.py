"""Which trace a request belongs to, in the field that Cloud Logging joins lines by."""

from __future__ import annotations

import re

from werkzeug.datastructures import Headers

from functions.settings import GcpSettings, Settings

FIELD = "logging.googleapis.com/trace"
_HEADERS = {
    "traceparent": re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}"),
    "X-Cloud-Trace-Context": re.compile(r"([0-9a-f]{32})(?:/[0-9]+)?(?:;o=[0-9]+)?"),
}
"""The W3C's header and Google's older one, each with the trace id in the first group."""


def trace(headers: Headers, settings: Settings) -> dict[str, str]:
    """The field of a log line that names the request's trace; none outside Google Cloud."""
    if not isinstance(settings, GcpSettings):
        return {}
    for name, pattern in _HEADERS.items():
        if match := pattern.fullmatch(headers.get(name, "")):
            return {FIELD: f"projects/{settings.project}/traces/{match[1]}"}
    return {}
