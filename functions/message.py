"""The push envelope of Pub/Sub, decoded."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from contracts.base import MAX_DEPTH, LeftOut, error_lines
from contracts.events import Event
from functions.errors import BadMessage

E = TypeVar("E", bound=Event)
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}
_READ_DEPTH = 100
_KEPT_DEPTH = MAX_DEPTH + 1  # one level more than allowed, so that the depth is reported
MAX_READ_BYTES = 1 << 20
"""Of larger messages only text fields are read, to tell which request is too large."""


@dataclass(frozen=True)
class Message:
    """One delivery of one message."""

    data: bytes
    attributes: dict[str, str]
    message_id: str
    subscription: str
    delivery_attempt: int

    @property
    def is_object_event(self) -> bool:
        """Whether the object store sent it."""
        return "objectId" in self.attributes

    def event(self, kind: type[E]) -> E:
        """Parse the data as an event.

        Raises:
            BadMessage: the data are no such event.
        """
        try:
            return kind.model_validate_json(self.data)
        except ValidationError as error:
            raise BadMessage(f"the data are not a {kind.__name__}", error_lines(error)) from error


def decode(envelope: Any) -> Message:
    """Decode a push envelope.

    Raises:
        ValueError: the value is no push envelope.
    """
    try:
        message = envelope["message"]
        return Message(
            data=base64.b64decode(message.get("data", ""), validate=True),
            attributes={
                _text(name): _text(value) for name, value in (message.get("attributes") or {}).items()
            },
            message_id=_text(message["messageId"]),
            subscription=_text(envelope["subscription"]).rsplit("/", 1)[-1],
            delivery_attempt=int(envelope.get("deliveryAttempt") or 1),
        )
    except (KeyError, TypeError, AttributeError, binascii.Error, ValueError, OverflowError) as error:
        raise ValueError(f"not a Pub/Sub push envelope: {error!r}") from error


def _text(value: Any) -> str:
    text = str(value)
    text.encode()  # half of a surrogate pair cannot be stored
    return text


def json_object(data: bytes) -> dict[str, Any]:
    """Parse the data as a JSON object; `LeftOut` replaces each value that cannot be kept as it was sent.

    Such values are numbers that are not finite or have thousands of digits, and fields given more than once.
    Of data longer than `MAX_READ_BYTES` no numbers are read.

    Raises:
        BadMessage: the data are not a JSON object.
    """
    try:
        text = data.decode(json.detect_encoding(data), "surrogatepass")
        numbers = _UNREAD if len(data) > MAX_READ_BYTES else _READ
        value = json.loads(_cut_deep(text), object_pairs_hook=_each_once, **numbers)
    except ValueError as error:
        raise BadMessage(f"the data are not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadMessage(f"the data are JSON, but not an object: {type(value).__name__}")
    return value


def _cut_deep(text: str) -> str:
    """Replace structures that are nested too deeply to parse by a text; cut off those that never close."""
    kept, depth, deepest, begin, end = [], 0, 0, 0, 0
    for token in _TOKEN.finditer(text):
        step = _STEPS.get(token[0], 0)
        depth += step
        deepest = max(deepest, depth)
        if step > 0 and depth == _KEPT_DEPTH + 1:
            begin, deepest = token.start(), depth
        elif step < 0 and depth == _KEPT_DEPTH and deepest > _READ_DEPTH:
            left_out = LeftOut("nested too deeply", text[begin : token.end()])
            kept += [text[end:begin], json.dumps(left_out)]
            end, deepest = token.end(), 0
    return "".join(kept) + text[end : begin if depth > _KEPT_DEPTH else len(text)]


def _finite(text: str) -> float | LeftOut:
    number = float(text)
    return number if math.isfinite(number) else LeftOut(f"{text[:40]} is out of range", text)


def _countable(text: str) -> int | LeftOut:
    try:
        return int(text)
    except ValueError:
        return LeftOut(f"a number of {len(text)} digits", text)


def _each_once(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    given: dict[str, list[Any]] = {}
    for name, value in fields:
        given.setdefault(name, []).append(value)
    return {
        name: values[0] if len(values) == 1 else LeftOut(f"given {len(values)} times", values)
        for name, values in given.items()
    }


_READ: dict[str, Any] = {
    "parse_constant": lambda constant: LeftOut(f"{constant} is not a JSON number", constant),
    "parse_float": _finite,
    "parse_int": _countable,
}
_UNREAD: dict[str, Any] = dict.fromkeys(_READ, len)
