"""bury: stores a dead letter with its subscription, reason and time."""

from __future__ import annotations

import base64
import json

from contracts.job import DeadLetter
from functions.message import Message
from functions.ports import JobStore
from functions.runtime import Runtime

MAX_DATA = 600 * 1024
"""Bytes of a message that are kept: more than any valid message has, and few enough for a document."""
MAX_ATTRIBUTES = 100 * 1024
"""Bytes of JSON up to which attributes are kept; Pub/Sub allows about seven times as much."""
_OURS = ("subscription", "reason", "message_id")
_PLATFORM = "CloudPubSubDeadLetterSource"
"""Prefix of the attributes that Pub/Sub adds to a message that it gives up."""


def handle(message: Message, runtime: Runtime) -> None:
    """Store the message; a second delivery finds it stored."""
    attributes = {name: value for name, value in message.attributes.items() if not name.startswith(_PLATFORM)}
    subscription, reason, message_id = (attributes.pop(name, "") for name in _OURS)
    given_up = message.attributes.get(f"{_PLATFORM}Subscription")
    if given_up is not None:  # then ours came with the message, and are not to be trusted
        subscription, reason, message_id = given_up, "", ""
    reason = reason or "the platform gave up after the last delivery attempt"
    letter = DeadLetter(
        letter_id=message_id or message.message_id,
        subscription=subscription or "unknown",
        reason=reason + _cut(message, attributes),
        at=runtime.ports.clock.now(),
        data=base64.b64encode(message.data[:MAX_DATA]).decode(),
        attributes={} if _too_long(attributes) else attributes,
    )
    _store(runtime.ports.jobs, letter)
    runtime.log("ERROR", "dead letter", subscription=letter.subscription, reason=letter.reason)


def _store(jobs: JobStore, letter: DeadLetter) -> None:
    """Store a letter. Several subscriptions may give up the same message: each gets a letter of its own."""
    if jobs.create(letter) is None:
        known = jobs.get(DeadLetter, letter.letter_id)
        if known is not None and known.subscription != letter.subscription:
            its_own = f"{letter.letter_id}-{letter.subscription}"
            jobs.create(letter.model_copy(update={"letter_id": its_own}))


def _too_long(attributes: dict[str, str]) -> bool:
    return len(json.dumps(attributes)) > MAX_ATTRIBUTES


def _cut(message: Message, attributes: dict[str, str]) -> str:
    size = len(message.data)
    data = f" (only the first {MAX_DATA} of its {size} bytes are kept)" if size > MAX_DATA else ""
    return data + (" (its attributes are too long to be kept)" if _too_long(attributes) else "")
