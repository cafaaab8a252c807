"""What a message asks for, as far as it can be stored; the same message always gives the same."""

from __future__ import annotations

from typing import Any

from contracts.base import WHOLE, LeftOut, canonical_json, storable
from contracts.request import TrainRequest
from functions.acceptance.request import MAX_REQUEST_BYTES
from functions.message import MAX_READ_BYTES, json_object

_KEPT_CHARACTERS = 200
"""How long a text of a request that is too large may be to be kept all the same."""


def readable(data: bytes) -> tuple[dict[str, Any], list[str]]:
    """The request in a message, and what is wrong with it as JSON, as `path: why`.

    A text stands for each value that cannot be stored; it tells such values apart, so that a request with
    another one is another request, and so is the same request put right.

    Raises:
        functions.errors.BadMessage: the data are no JSON object.
    """
    body = json_object(data)
    if len(data) > MAX_READ_BYTES:
        return storable(_shortened(body, MAX_READ_BYTES, data))
    return kept(body)


def kept(body: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The part of a request that can be stored, and what is wrong with the rest, as `path: why`."""
    body, problems = storable(_bounded(body))
    if not problems:
        return body, problems
    body, more = storable(_bounded(body))  # such texts take more room than what they stand for
    return body, problems + more


def _bounded(body: dict[str, Any]) -> dict[str, Any]:
    text = canonical_json(body)
    large = len(text.encode(errors="surrogatepass")) > MAX_REQUEST_BYTES
    return _shortened(body, MAX_REQUEST_BYTES, text) if large else body


def _shortened(body: dict[str, Any], limit: int, content: str | bytes) -> dict[str, Any]:
    """Of a request that is too large the short texts, by which people know it."""
    texts = {name: body[name] for name in TrainRequest.model_fields if isinstance(body.get(name), str)}
    kept = {name: text for name, text in texts.items() if len(text) <= _KEPT_CHARACTERS}
    return {**kept, WHOLE: LeftOut(f"the request is larger than {limit >> 10} KiB", content)}
