"""bury: stores a dead letter with its subscription, reason and time."""

from __future__ import annotations

import base64

from contracts.job import DeadLetter
from functions.message import Message
from functions.runtime import Runtime

_OURS = ("subscription", "reason", "message_id")


def handle(message: Message, runtime: Runtime) -> None:
    """Store the message; a second delivery finds it stored."""
    attributes = dict(message.attributes)
    subscription, reason, message_id = (attributes.pop(name, "") for name in _OURS)
    letter = DeadLetter(
        letter_id=message_id or message.message_id,
        subscription=subscription or attributes.get("CloudPubSubDeadLetterSourceSubscription", "unknown"),
        reason=reason or "the platform gave up after the last delivery attempt",
        at=runtime.ports.clock.now(),
        data=base64.b64encode(message.data).decode(),
        attributes=attributes,
    )
    runtime.ports.jobs.create(letter)
    runtime.log("ERROR", "dead letter", subscription=letter.subscription, reason=letter.reason)
