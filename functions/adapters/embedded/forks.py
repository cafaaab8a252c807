"""Tasks that begin warm: a server that has loaded what tasks need, and forks one process for each.

The server is one process with one thread, because what other threads hold at a fork is held for ever in the
child. It reads orders from its standard input, a JSON document a line, and ends with it. Each order becomes a
session of its own, as `processes.spawn` makes one: a leader that waits for the task and leaves its exit code
in a file, and the task. Both outlive the server.

A leader first leaves its number and start in a file that must not be there yet. Who does not want an order to
be carried out any more creates that file itself, so that a leader that comes late ends at once.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from functions.adapters.embedded.processes import Leader, start_of

_ONE_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""A library that starts a thread as soon as it is loaded is told not to."""
_START = f"import sys; from {__name__} import serve; sys.exit(serve(sys.argv[1]))"
_NOBODY = "nobody"
_PR_SET_PDEATHSIG = 1


class ForkServer:
    """The server as the launcher sees it; for one thread."""

    def __init__(self, module: str, environment: Mapping[str, str], folder: Path, log: Path) -> None:
        """Start it in `folder`, with the environment that tasks have beside what is about themselves.

        `module` has a function `preload`, called once, and a function `main`, which is the task and returns
        its exit code. Output goes to `log`.

        Raises:
            OSError: the system cannot start a process now.
        """
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 (nothing of a request is in it)
                [sys.executable, "-c", _START, module],
                cwd=folder,
                env={**environment, **_ONE_THREAD},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def order(
        self, *, environment: Mapping[str, str], folder: Path, log: Path, exit_file: Path, leader_file: Path
    ) -> None:
        """Let it fork a task, with the arguments of `processes.spawn`; the leader is told in `leader_file`.

        Raises:
            OSError: it has ended.
        """
        order = {
            "environment": dict(environment),
            "folder": str(folder),
            "log": str(log),
            "exit_file": str(exit_file),
            "leader_file": str(leader_file),
        }
        assert self._process.stdin  # noqa: S101 (it is a pipe)
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """Let it end once it has carried out its orders; tasks go on."""
        assert self._process.stdin  # noqa: S101 (it is a pipe)
        with suppress(OSError):
            self._process.stdin.close()
        self._process.poll()


def leader(leader_file: Path) -> Leader | None:
    """The leader that carries out an order; None if there is none, or nobody may be."""
    try:
        found: Any = json.loads(leader_file.read_text())
    except FileNotFoundError:
        return None
    return None if found == _NOBODY else Leader(*found)


def seal(leader_file: Path) -> bool:
    """Let nobody carry out an order any more; False if somebody does."""
    return _create(leader_file, _NOBODY) or json.loads(leader_file.read_text()) == _NOBODY


def _create(path: Path, content: object) -> bool:
    """Create a file with its content at once; False if it is there."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(content))
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


# in the server


def serve(module: str) -> int:
    """Load everything, then fork a task for each order until there are no more."""
    tasks = importlib.import_module(module)
    tasks.preload()
    gc.collect()
    gc.freeze()  # what is shared with tasks is not written to by their collections
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # leaders that end are nobody's business
    for line in sys.stdin.buffer:
        if threads := _other_threads():
            sys.stderr.write(f"no task is forked: {module} has started {threads} threads\n")
            return 1
        if os.fork() == 0:
            _lead(json.loads(line), tasks)
    return 0


def _other_threads() -> int:
    """How many threads there are beside this one; a moment is given to those that are ending."""
    for _ in range(20):
        found = len(os.listdir("/proc/self/task")) - 1
        if not found:
            break
        time.sleep(0.05)
    return found


def _lead(order: dict[str, Any], tasks: Any) -> NoReturn:
    """Be the leader of a session: start the task, wait for it, leave its exit code."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _redirect(Path(order["log"]))
        if _create(Path(order["leader_file"]), [os.getpid(), start_of(os.getpid())]):
            ours = os.getpid()
            task = os.fork()
            if task == 0:
                _be_the_task(order, tasks, ours)
            code = os.waitstatus_to_exitcode(os.waitpid(task, 0)[1])
            _leave(Path(order["exit_file"]), code if code >= 0 else 128 - code)  # as a shell says it
    except BaseException:  # noqa: BLE001 (nothing may go on as the server)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)


def _leave(exit_file: Path, code: int) -> None:
    part = exit_file.with_name(f"{exit_file.name}.part")
    part.write_text(str(code))
    part.rename(exit_file)


def _redirect(log: Path) -> None:
    """Input from nowhere, output to the log; the pipe of orders is closed by that."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for given, number in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(given, number)
    os.close(nothing)
    os.close(output)


def _be_the_task(order: dict[str, Any], tasks: Any, leader_pid: int) -> NoReturn:
    code = 1
    try:
        _die_with(leader_pid)
        os.environ.clear()
        os.environ.update(order["environment"])
        tempfile.tempdir = None  # it is another one now
        os.chdir(order["folder"])
        code = tasks.main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 (as an interpreter tells it at its end)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with(leader_pid: int) -> None:
    """Be killed when the leader is: what it left behind could not be told from other tasks."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != leader_pid:
        os._exit(1)
