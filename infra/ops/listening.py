"""What the system tells its consumers, through a subscription of our own that is gone afterwards."""

from __future__ import annotations

import base64
import json
import queue
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from functions.adapters.embedded.bus import SqliteBus
from infra.ops.gcloud import gcloud
from infra.ops.place import Place

Hear = Callable[[], list[dict[str, Any]]]
"""Waits a moment (on Google Cloud up to 90 s) for messages, and returns those that came, possibly none."""
_WAIT_S = 1.0


@contextmanager
def listening(place: Place, topic: str) -> Iterator[Hear]:
    """Hear every message of a topic that is published from now on, until the block ends.

    Raises:
        CloudRefused: the subscription could not be made, read or deleted.
    """
    name = f"ops-{uuid.uuid4().hex[:12]}"
    hear = _pushed if isinstance(place.ports.bus, SqliteBus) else _pulled
    with hear(place, name, topic) as heard:
        yield heard


@contextmanager
def _pulled(place: Place, name: str, topic: str) -> Iterator[Hear]:
    project, words = str(place.project), ("pubsub", "subscriptions")
    # It expires by itself if this process dies before it has deleted it.
    options = (f"--topic={topic}", "--expiration-period=1d", "--message-retention-duration=10m")
    gcloud(project, *words, "create", name, *options)
    try:
        yield lambda: [
            _decoded(one["message"])
            for one in gcloud(project, *words, "pull", name, "--auto-ack", "--limit=100") or []
        ]
    finally:
        gcloud(project, *words, "delete", name)


@contextmanager
def _pushed(place: Place, name: str, topic: str) -> Iterator[Hear]:
    came: queue.Queue[dict[str, Any]] = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            envelope = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            came.put(_decoded(envelope["message"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    def heard() -> list[dict[str, Any]]:
        try:
            return [came.get(timeout=_WAIT_S)]
        except queue.Empty:
            return []

    bus = place.ports.bus
    assert isinstance(bus, SqliteBus)  # noqa: S101 (`listening` asked)
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        bus.subscribe(name, topic, f"http://127.0.0.1:{server.server_port}")
        try:
            yield heard
        finally:
            bus.unsubscribe(name)
            server.shutdown()


def _decoded(message: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(base64.b64decode(message["data"]))
    return document
