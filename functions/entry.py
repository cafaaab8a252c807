"""One delivery: decode → handler → answer. The status code says whether the message is delivered again."""

from __future__ import annotations

import resource
import time
import traceback

from flask import Request, Response

from contracts.events import DEAD_LETTERS
from functions.errors import Busy, Failure, Permanent, Transient
from functions.handlers import HANDLERS
from functions.message import Message, decode
from functions.ports import Conflict
from functions.retries import MAX_RACES, retry_on_conflict
from functions.runtime import Runtime, current
from functions.trace import trace

MAX_REASON_BYTES = 1024
"""Longest value of an attribute that Pub/Sub allows."""


def answer(function: str, request: Request) -> Response:
    """Handle one push request of a function: 204 acknowledges, 429 and 5xx ask for redelivery."""
    try:
        message = decode(request.get_json(silent=True))
    except (ValueError, RecursionError) as error:
        return Response(f"{error}\n", 400)
    runtime = current()
    started = time.monotonic()
    status, text = deliver(function, message, runtime)
    runtime.log(
        "INFO" if status == 204 else "WARNING",
        text or "handled",
        function=function,
        message_id=message.message_id,
        delivery_attempt=message.delivery_attempt,
        duration_ms=round((time.monotonic() - started) * 1000, 1),
        memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **trace(request.headers, runtime.settings),
    )
    return Response(f"{text}\n" if text else "", status)


def deliver(function: str, message: Message, runtime: Runtime) -> tuple[int, str]:
    """Let a function handle a message; return the HTTP status and, on failure, the reason."""
    handler = HANDLERS[function]()
    try:
        retry_on_conflict(lambda: handler(message, runtime))
    except Permanent as error:  # the same message would fail again
        lines = [error.problem.detail, *error.problem.errors]
        if function == "bury":  # a dead letter of a dead letter would come back to it
            return 503, "; ".join(lines)
        try:
            _to_dead_letters(message, runtime, "; ".join(lines))
        except Failure as obstacle:  # once more; the last time, the platform makes a dead letter of it
            return 503, f"no dead letter, because {obstacle.problem.detail}; {'; '.join(lines)}"
        return 204, f"dead letter: {'; '.join(lines)}"
    except Busy as error:
        return 429, f"{error.problem.title}: {error.problem.detail}"
    except Transient as error:
        return 503, f"{error.problem.title}: {error.problem.detail}"
    except Conflict as error:
        return 503, f"lost {MAX_RACES} races: {error}"
    except Exception as error:  # noqa: BLE001 (a bug: told in full, delivered again, at last a dead letter)
        runtime.log("ERROR", traceback.format_exc(), function=function, message_id=message.message_id)
        return 500, f"{type(error).__name__}: {error}"
    return 204, ""


def _to_dead_letters(message: Message, runtime: Runtime, reason: str) -> None:
    attributes = {
        **message.attributes,
        "subscription": message.subscription,
        "message_id": message.message_id,
        "reason": reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore"),
    }
    runtime.ports.bus.publish(DEAD_LETTERS, message.data, attributes)
