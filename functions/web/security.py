"""Security headers of every answer, and the check that changes come from our own pages."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Request, Response

from functions.web.problems import CrossSite

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # `no-referrer` would send `Origin: null` with our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

MAX_FORM_BYTES = 4 << 20
MAX_FORM_FIELDS = 50_000
"""A request of 256 KiB has at most so many fields, and comes three times: shown, in fields and as text."""


def unlimited_fields(request: Request) -> None:
    """Let a form be as large as a whole request needs."""
    request.max_form_memory_size = MAX_FORM_BYTES
    request.max_content_length = MAX_FORM_BYTES
    request.max_form_parts = MAX_FORM_FIELDS


def harden(response: Response) -> Response:
    """Add the security headers, and keep answers about jobs out of caches."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response


def allow_form_to(response: Response, url: str) -> None:
    """Let a form of this page be sent to another site: to the store, with a file."""
    parts = urlsplit(url)
    if parts.netloc:
        allowed = f"form-action 'self' {parts.scheme}://{parts.netloc}"
        policy = HEADERS["Content-Security-Policy"].replace("form-action 'self'", allowed)
        response.headers["Content-Security-Policy"] = policy


def check_origin(request: Request) -> None:
    """Let a browser change something only from our own pages. Other clients send neither header.

    Raises:
        CrossSite: another site made the browser send this.
    """
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise CrossSite("the browser says that another site sent this form; use the buttons of this page")
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        raise CrossSite(f"origin '{origin}' is not this site ({request.host}); use the buttons of this page")
