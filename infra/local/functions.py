"""Where the functions run on one machine: in the host's own process, and in others while it is busy.

A message goes to the application that functions-framework makes of a function, as in the cloud, but no socket
is opened for it. The other processes are started when several messages wait at once, and end when
nothing has come for a while. Each has some channels, pairs of sockets, on which it answers one message after
another; it ends with them, so that none outlives the host.

`python -m infra.local.functions FD …`: such a process, with the numbers of its sockets.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import functions_framework
from werkzeug.test import run_wsgi_app

from contracts.events import SUBSCRIPTIONS
from functions.adapters.embedded.push import HttpPush, Refused, check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ROOT = Path(__file__).resolve().parents[2]
MANY = 3
"""Messages at once from which on other processes help."""
QUIET_S = 60.0
"""How long the others stay without a message."""
CHANNELS = 4
"""Messages that one of them handles at once."""
WAIT_S = 0.5
"""How long a message waits for one of them, if all are at work, before the host handles it itself. While
the host computes, it hands on no messages, and the others soon have none; but slow sources may hold all."""
ANSWER_S = 600.0
"""How long a function may take: the bus delivers a message again after that time."""


def functions_app() -> WSGIApplication:
    """Every function under `/<its name>`, as functions-framework serves it."""
    source = str(ROOT / "functions" / "main.py")
    names = sorted({function for _, function in SUBSCRIPTIONS.values()})
    apps = {
        name: functions_framework.create_app(name, source, "http")  # type: ignore[no-untyped-call]
        for name in names
    }

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        function = apps.get(environ["PATH_INFO"].strip("/"))
        if function is None:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"no such function\n"]
        answer: Iterable[bytes] = function({**environ, "PATH_INFO": "/"}, start_response)
        return answer

    return app


class Functions:
    """Implements `functions.adapters.embedded.bus.Push`."""

    def __init__(
        self, app: WSGIApplication, processes: int, environment: Mapping[str, str], output: TextIO | None
    ) -> None:
        """`app`: the functions in this process.

        `processes`: how many others may help. `environment` tells them of the installation, as it tells
        trainings; what they log goes to `output`, by default standard error.
        """
        self._app, self._most = app, processes
        self._environment, self._output = {**environment}, output
        self._http = HttpPush(ANSWER_S)
        self._lock = threading.Lock()
        self._at_work = 0
        self._last = time.monotonic()
        self._helpers: list[_Helper] = []
        self._free: queue.SimpleQueue[_Channel] = queue.SimpleQueue()

    def __call__(self, endpoint: str, envelope: dict[str, Any]) -> None:
        """Push to a function's name, or by HTTP to a whole URL.

        Raises:
            functions.errors.Busy: the function has no room for it now.
            functions.adapters.embedded.push.Refused: the answer was no 2xx, or there was none.
            requests.RequestException: there was no answer by HTTP.
        """
        if "://" in endpoint:
            self._http(endpoint, envelope)
            return
        body = json.dumps(envelope)
        with self._lock:
            self._at_work += 1
            self._last = time.monotonic()
            if self._at_work >= MANY and len(self._helpers) < self._most:
                self._helpers.append(_Helper(self._environment, self._output, self._free))
        try:
            check(*self._answer(endpoint, body))
        finally:
            with self._lock:
                self._at_work -= 1

    def rest(self) -> None:
        """End the other processes if they have had nothing to do for a while, or have died."""
        with self._lock:
            quiet = not self._at_work and time.monotonic() - self._last > QUIET_S
            ended = [helper for helper in self._helpers if quiet or not helper.alive()]
            self._helpers = [helper for helper in self._helpers if helper not in ended]
        for helper in ended:
            helper.close()

    def close(self) -> None:
        """End the other processes, as the end of this one ends what it does."""
        with self._lock:
            helpers, self._helpers, self._most = self._helpers, [], 0
        for helper in helpers:
            helper.close()

    def _answer(self, endpoint: str, body: str) -> tuple[int, str]:
        channel = self._take()
        if channel is None:
            return answer(self._app, endpoint, body)
        try:
            found = channel.ask(endpoint, body)
        except (OSError, ValueError) as error:
            channel.close()
            raise Refused(f"the process of the function gave no answer: {error!r}") from error
        self._free.put(channel)
        return found

    def _take(self) -> _Channel | None:
        """A channel that is free, or comes free in a moment, if there is one."""
        end = time.monotonic() + WAIT_S
        while any(helper.ready() for helper in tuple(self._helpers)):
            with suppress(queue.Empty):
                channel = self._free.get(timeout=max(0.0, end - time.monotonic()))
                if channel.open:
                    return channel
                continue
            return None
        return None


def answer(app: WSGIApplication, function: str, body: str) -> tuple[int, str]:
    """Status and text of what a function answers to a pushed envelope."""
    content = body.encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": f"/{function}",
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(content)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(content),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    text, status, _ = run_wsgi_app(app, environ, buffered=True)
    return int(status.split()[0]), b"".join(text).decode()


class _Channel:
    """One end of a pair of sockets: a line with a function and its message, a line with the answer."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self.open = True
        self._lines = end.makefile("rw", encoding="utf-8", newline="\n")

    def ask(self, endpoint: str, body: str) -> tuple[int, str]:
        self._lines.write(f"{endpoint} {body}\n")
        self._lines.flush()
        status, text = json.loads(self._lines.readline())
        return status, text

    def wait(self) -> None:
        """Until the other end is ready; raise ValueError if it has ended."""
        json.loads(self._lines.readline())

    def close(self) -> None:
        self.open = False
        self._socket.close()
        with suppress(OSError):  # of what could not be sent any more
            self._lines.close()


class _Helper:
    """Another process with all functions; its channels are free once it has loaded them."""

    def __init__(
        self, environment: Mapping[str, str], output: TextIO | None, free: queue.SimpleQueue[_Channel]
    ) -> None:
        pairs = [socket.socketpair() for _ in range(CHANNELS)]
        theirs = [end.fileno() for _, end in pairs]
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *map(str, theirs)],
            cwd=ROOT,
            env={**os.environ, **environment},
            pass_fds=theirs,
            stdin=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,  # Ctrl-C is the host's business
        )
        for ours, end in pairs:
            ours.settimeout(ANSWER_S)
            end.close()
        self._channels = [_Channel(ours) for ours, _ in pairs]
        self._loaded = False
        threading.Thread(target=self._offer, args=(free,), daemon=True).start()

    def _offer(self, free: queue.SimpleQueue[_Channel]) -> None:
        try:
            for channel in self._channels:
                channel.wait()
        except (OSError, ValueError):
            return
        self._loaded = True
        for channel in self._channels:
            free.put(channel)

    def ready(self) -> bool:
        """Whether it has loaded everything, and has not been seen dead."""
        return self._loaded and any(channel.open for channel in self._channels)

    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for channel in self._channels:
            channel.close()


# in the other process


def main() -> None:
    """Answer on every channel until the host closes them."""
    from functions.handlers import HANDLERS
    from functions.runtime import current

    app = functions_app()
    current()
    for load in HANDLERS.values():
        load()
    threads = [threading.Thread(target=_serve, args=(app, int(number))) for number in sys.argv[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _serve(app: WSGIApplication, number: int) -> None:
    lines = socket.socket(fileno=number).makefile("rw", encoding="utf-8", newline="\n")
    lines.write("[]\n")
    lines.flush()
    for line in lines:
        function, _, body = line.partition(" ")
        status, text = answer(app, function, body)
        try:
            lines.write(f"{json.dumps([status, text])}\n")
            lines.flush()
        except BrokenPipeError:  # the host has waited long enough
            return
    os._exit(0)  # the host has ended; what other threads do here is delivered again


if __name__ == "__main__":
    main()
