"""bury: stores a dead letter with its subscription, reason and time."""

from __future__ import annotations

import base64

from contracts.job import DeadLetter
from functions.message import Message
from functions.runtime import Runtime

MAX_DATA = 600 * 1024
"""Bytes of a message that are kept: more than any message that works has, and little enough to be stored."""
_OURS = ("subscription", "reason", "message_id")
_PLATFORM = "CloudPubSubDeadLetterSource"
"""How the names of the attributes begin that Pub/Sub adds to a message that it gives up."""


def handle(message: Message, runtime: Runtime) -> None:
    """Store the message; a second delivery finds it stored."""
    attributes = {name: value for name, value in message.attributes.items() if not name.startswith(_PLATFORM)}
    subscription, reason, message_id = (attributes.pop(name, "") for name in _OURS)
    given_up = message.attributes.get(f"{_PLATFORM}Subscription")
    if given_up is not None:  # then ours were set by whoever published the message, and say nothing
        subscription, reason, message_id = given_up, "", ""
    letter = DeadLetter(
        letter_id=message_id or message.message_id,
        subscription=subscription or "unknown",
        reason=f"{reason or 'the platform gave up after the last delivery attempt'}{_cut(message)}",
        at=runtime.ports.clock.now(),
        data=base64.b64encode(message.data[:MAX_DATA]).decode(),
        attributes=attributes,
    )
    runtime.ports.jobs.create(letter)
    runtime.log("ERROR", "dead letter", subscription=letter.subscription, reason=letter.reason)


def _cut(message: Message) -> str:
    size = len(message.data)
    return f" (only the first {MAX_DATA} of its {size} bytes are kept)" if size > MAX_DATA else ""
