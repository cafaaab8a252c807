"""What a push subscription pushes to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """Records what comes, and answers as `answer` says."""

    url: str = ""
    answer: Callable[[str, dict[str, Any]], int] = lambda _, __: 204  # the status, 0: none; may take its time
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # (path, envelope)
    times: list[float] = field(default_factory=list)  # of their arrival

    def wait_for(self, count: int, patience_s: float = 90) -> list[tuple[str, dict[str, Any]]]:
        """What came, once it is so many."""
        until = time.monotonic() + patience_s
        while len(self.got) < count:
            assert time.monotonic() < until, f"{len(self.got)} deliveries instead of {count}"
            time.sleep(0.02)
        return self.got


class Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        envelope = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.strip("/")
        self.receiver.times.append(time.monotonic())
        self.receiver.got.append((path, envelope))
        status = self.receiver.answer(path, envelope)
        if not status:
            return
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver, while the block lasts."""
    receiver = Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"receiver": receiver}))
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
