"""The push envelope of Pub/Sub, decoded."""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from contracts.base import check_json, error_lines
from contracts.events import Event
from functions.errors import BadMessage

E = TypeVar("E", bound=Event)


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
        """The event that the data hold.

        Raises:
            BadMessage: they do not.
        """
        try:
            return kind.model_validate_json(self.data)
        except ValidationError as error:
            raise BadMessage(f"the data are not a {kind.__name__}", error_lines(error)) from error


def decode(envelope: Any) -> Message:
    """The message in a push envelope.

    Raises:
        ValueError: it is no push envelope.
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
    """The JSON object that the data hold: each field once, numbers finite, text valid Unicode.

    Raises:
        BadMessage: they hold something else.
    """
    try:
        value = json.loads(data, parse_constant=_refuse_number, object_pairs_hook=_each_once)
        check_json(value)
    except RecursionError as error:
        raise BadMessage("the data are nested too deeply") from error
    except ValueError as error:
        raise BadMessage(f"the data are not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadMessage(f"the data are JSON, but not an object: {type(value).__name__}")
    return value


def _refuse_number(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


def _each_once(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    repeated = [name for name, count in Counter(name for name, _ in fields).items() if count > 1]
    if repeated:
        raise ValueError(f"the field {repeated[0][:80]!a} is given twice")
    return dict(fields)
