"""The whole system in one process on 127.0.0.1: functions, bus, launcher, drop-zone, sweeper, status page."""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psutil
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from contracts.engines import EngineName
from contracts.events import SWEEP_REQUESTS, SweepRequest
from contracts.job import Job, JobState
from functions.adapters.embedded import Embedded
from functions.adapters.embedded.clock import ClockSteps
from functions.adapters.embedded.database import DamagedFolder
from functions.adapters.embedded.launcher import LauncherSettings
from functions.adapters.embedded.processes import Leader, alive, start_of
from functions.errors import Unavailable
from functions.log import Log, bridge, unbridge
from functions.runtime import Runtime, use
from functions.settings import EmbeddedSettings
from functions.steps import publish
from infra.local.functions import ROOT, Functions, functions_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ADDRESS = "127.0.0.1"
SWEEP_PERIOD_S = 60.0
MIN_FILES = 512
"""That the host may have open: connections, databases and files of a dozen threads."""
OF_ROBYN = ("R_LIBS", "R_LIBS_USER", "RETICULATE_PYTHON")
"""Where R's packages are, and the Python that has nevergrad: trainings with the engine robyn inherit them."""
TRAININGS = LauncherSettings(warm="trainer.warm" if sys.platform == "linux" else None)
"""Elsewhere than on Linux a process with loaded libraries cannot be forked safely."""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""As in the images: matrices are small, and trials have the cores."""
CONNECTION = "demo"
"""The warehouse of an installation on one machine."""


class PortTaken(RuntimeError):
    """Another program listens on the port."""


class TooFewFiles(RuntimeError):
    """This process may open too few files."""


class QuietHandler(WSGIRequestHandler):
    """Keeps connections open, leaves logging to the functions, and names no versions of libraries."""

    protocol_version = "HTTP/1.1"

    def version_string(self) -> str:
        """The header `Server`."""
        return "mmm-trainer"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (werkzeug's name)
        """Log nothing: every handled message has its own line."""


def local_settings(
    folder: Path, slots: int = 2, engines: Sequence[EngineName] = ("native",)
) -> EmbeddedSettings:
    """The settings of an installation on one machine; the first engine is the default."""
    return EmbeddedSettings(
        family="embedded",
        folder=folder.resolve(),
        engines=list(engines),
        queues={"default": slots},
        cores=os.cpu_count() or 1,
        log_format="text",
    )


def task_environment(settings: EmbeddedSettings) -> dict[str, str]:
    """The environment variables that tell a training's process about its installation."""
    values = json.loads(settings.model_dump_json(exclude_defaults=True))
    own = {f"MMM_{k.upper()}": v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
    cache = os.environ.get("NUMBA_CACHE_DIR", str(ROOT / ".numba"))
    robyn = {name: os.environ[name] for name in OF_ROBYN if name in os.environ}
    paths = {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": cache}
    return {**own, **robyn, **_ONE_THREAD, **paths, "MMM_LOG_FORMAT": "text"}


def only_local(app: WSGIApplication, port: Callable[[], int]) -> WSGIApplication:
    """Refuses requests for another host name, so that no web site can reach us through a browser."""

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("HTTP_HOST") in (f"{ADDRESS}:{port()}", f"localhost:{port()}"):
            return app(environ, start_response)
        start_response("421 Misdirected Request", [("Content-Type", "text/plain")])
        return [b"this server answers only on 127.0.0.1\n"]

    return guarded


class LocalHost:
    """The running system, until the `with` block ends; trainings are other processes and may outlive it."""

    def __init__(
        self,
        settings: EmbeddedSettings,
        port: int,
        log: Log | None = None,
        address: str = ADDRESS,
        processes: int = 0,
        trainings: LauncherSettings = TRAININGS,
    ) -> None:
        """`address`: where to listen; in a container everywhere, so that its port can be published.

        `processes`: how many others may help with the functions while many messages wait.
        """
        self.settings = settings
        log, environment = log or Log(settings.log_format), task_environment(settings)
        self._functions = Functions(functions_app(), processes, environment, log.stream)
        self.embedded = Embedded(
            settings.folder, environment=environment, push=self._push, launcher=trainings
        )
        self._runtime = Runtime(self.embedded.ports(), settings, log)
        self._address, self._port = address, port
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._server: BaseWSGIServer | None = None
        self._clock_steps = ClockSteps(self.embedded.clock)
        self._sweep_not_before = 0.0

    @property
    def url(self) -> str:
        """Where the status page is."""
        return f"http://{ADDRESS}:{self._port}"

    def __enter__(self) -> Self:
        """Start everything.

        Raises:
            TooFewFiles: this process may open too few files.
            PortTaken: another program listens on the port.
        """
        _allow_files()
        self.embedded.lock()
        (self.settings.folder / "warehouse").mkdir(exist_ok=True)  # for the files of users
        use(self._runtime)
        bridge(self._runtime.log)
        self._server = self._listen()
        self._thread("server", self._server.serve_forever)
        self.embedded.bus.start()
        self._repeat("launcher", 0.2, self._look_after_trainings, self.embedded.launcher.wait)
        self._repeat("drop-zone", 0.5, self.embedded.watcher.look)
        self._repeat("sweeper", SWEEP_PERIOD_S, self._sweep)
        self._repeat("clean-up", 3600, self._clean_up)
        self._repeat("functions", 5, self._functions.rest)
        for job in self.embedded.jobs.find(Job, state=JobState.RUNNING.value):
            self._request_sweep(job.job_id)  # its training may have ended while no host was running
        self._write_state()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything but the trainings."""
        self._stopping.set()
        self.embedded.bus.stop()
        self._functions.close()
        if self._server is not None:
            self._server.shutdown()
        for thread in self._threads:
            thread.join(timeout=10)
        state_file(self.settings.folder).unlink(missing_ok=True)
        self.embedded.close()
        unbridge()

    def wait(self, stopping: threading.Event) -> None:
        """Wait until somebody wants the system to stop.

        Raises:
            functions.adapters.embedded.database.DamagedFolder: it cannot go on.
        """
        while not stopping.wait(1.0):  # in steps: a signal that another thread takes does not wake this one
            self.embedded.look()

    def _push(self, endpoint: str, envelope: dict[str, Any]) -> None:
        self._functions(endpoint, envelope)
        if endpoint == "launch":  # perhaps in another process
            self.embedded.launcher.look()

    def _sweep(self) -> None:
        self._mind_the_clock()  # it may have moved since the launcher looked
        if time.monotonic() >= self._sweep_not_before:
            self._request_sweep()

    def _clean_up(self) -> None:
        self.embedded.jobs.remove_expired(self.embedded.clock.now())

    def _request_sweep(self, job_id: str | None = None) -> None:
        publish(self._runtime, SWEEP_REQUESTS, SweepRequest(job_id=job_id))

    def _look_after_trainings(self) -> None:
        self._mind_the_clock()
        for job_id in self.embedded.launcher.step():
            self._request_sweep(job_id)

    def _mind_the_clock(self) -> None:
        """Give trainings time for a heartbeat after a step of the clock or a sleep of the machine."""
        step_s = self._clock_steps.step_s()
        if not step_s:
            return
        self._runtime.log("WARNING", f"the clock moved by {step_s:+.0f} s, or the machine slept")
        self._sweep_not_before = time.monotonic() + SWEEP_PERIOD_S
        if step_s < 0:
            self.embedded.bus.clock_was_set_back(-step_s)

    def _listen(self) -> BaseWSGIServer:
        from functions.web.app import create_app

        app = create_app(self._runtime)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._address, self._port))
        except OSError as error:
            raise PortTaken(
                f"port {self._port} of {self._address} is taken by another program; choose another with PORT="
            ) from error
        listener.listen(128)
        self._port = listener.getsockname()[1]
        guarded = only_local(app, lambda: self._port)
        return make_server(
            self._address,
            self._port,
            guarded,
            threaded=True,
            request_handler=QuietHandler,
            fd=listener.detach(),
        )

    def _repeat(
        self,
        name: str,
        period_s: float,
        step: Callable[[], Any],
        wait: Callable[[float], Any] | None = None,
    ) -> None:
        def run() -> None:
            while not self._stopping.is_set():
                try:
                    step()
                except DamagedFolder:
                    return  # who waits for the end of the host looks and says so
                except Unavailable as error:
                    self._runtime.log("WARNING", f"it is tried again: {error}", loop=name)
                except Exception:  # noqa: BLE001 (one failed step must not end the loop that everything needs)
                    self._runtime.log("ERROR", traceback.format_exc(), loop=name)
                (wait or self._stopping.wait)(period_s)

        self._thread(name, run)

    def _thread(self, name: str, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _write_state(self) -> None:
        state = {"pid": os.getpid(), "started": start_of(os.getpid()), "url": self.url}
        state_file(self.settings.folder).write_text(json.dumps(state))


def _allow_files() -> None:
    """Raise the limit of open files to what is needed, if the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < MIN_FILES:
        if hard != resource.RLIM_INFINITY and hard < MIN_FILES:
            raise TooFewFiles(
                f"this process may open {hard} files and needs {MIN_FILES}; "
                f"raise the limit with `ulimit -n {MIN_FILES}`"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (MIN_FILES, hard))


def state_file(folder: Path) -> Path:
    """The file in which a running host records its process id and address."""
    return folder / "host.json"


def running(folder: Path) -> tuple[psutil.Process, str] | None:
    """The process and the URL of the host that runs on a folder."""
    try:
        state = json.loads(state_file(folder).read_text())
        process = psutil.Process(state["pid"])
    except (FileNotFoundError, json.JSONDecodeError, psutil.NoSuchProcess):  # none, or half written
        return None
    return (process, state["url"]) if alive(Leader(process.pid, state["started"])) else None


def say(text: str) -> None:
    """Print a line for the person at the terminal."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
