"""The launcher: executions as subprocesses, recorded in SQLite so that they outlive the host.

`start` records an execution; `step`, which the host calls again and again, starts its tasks, notices which
ended, repeats the failed ones, and stops the cancelled and the late ones. With `warm`, a task is forked by a
server that has loaded everything (`forks`); its repetition is a new process in any case.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil

from functions.adapters.embedded import forks, processes
from functions.adapters.embedded.database import Database
from functions.adapters.embedded.forks import ForkServer
from functions.adapters.embedded.processes import Leader
from functions.ports import Clock, Execution, ExecutionState, NotFound

log = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[3]
_INHERITED = ("PATH", "HOME", "LANG")
_KILLED = "killed"
_LAST_WORDS = 8_000  # bytes
_LAST_LINES, _LINE = 3, 200  # and characters of each
_TRACE = ("  File ", "    ", "Traceback ", "During handling ", "The above exception ")
"""How the lines begin that only say where in a program an error was."""
_SERVER_LOG = "warm.log"
_ORDER = "order-"
_SERVERS = 3
"""Servers of warm tasks that may die before every task is a new process."""
_SEALED_S = 24 * 3600.0
_STOPPED = "stopped with the system; it starts again with it"

S = ExecutionState


@dataclass(frozen=True)
class LauncherSettings:
    """How tasks are run."""

    command: Sequence[str] = (sys.executable, "-m", "trainer")
    working_folder: Path = _ROOT
    max_retries: int = 1  # of one task
    task_timeout_s: float = 24 * 3600.0
    max_parallel: int = os.cpu_count() or 1  # tasks that run at once
    warm: str | None = None
    """Module of which a server forks tasks (see `ForkServer`), instead of starting `command` for each."""
    warm_for_s: float = 600.0
    """How long the server waits for another task."""
    stepping: bool = False  # start no process: tasks end when `finish_task` says so


class SubprocessLauncher:
    """Implements `functions.ports.Launcher`. `step` and `stop_all` are for the host, and for one thread."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        clock: Clock,
        environment: Mapping[str, str],
        settings: LauncherSettings | None = None,
    ) -> None:
        """`folder`: output goes to `folder`/logs, exit codes to `folder`/exits.

        Temporary files of a task go to `folder`/temporary, from where they are removed however it ends.

        `environment`: what tasks are told beside PATH, HOME, LANG and what is about themselves.
        """
        self._database = database
        self._clock = clock
        self._variables = dict(environment)
        self._settings = settings or LauncherSettings()
        self._logs = folder / "logs"
        self._exits = folder / "exits"
        self._temporary = folder / "temporary"
        self._children: list[subprocess.Popen[bytes]] = []
        self._server: ForkServer | None = None
        self._servers_died = 0
        self._ordered: set[str] = set()  # from the server, which may not have begun yet
        self._last_order = 0.0
        self._failed: list[str] = []
        self._changed = threading.Event()
        self._logs.mkdir(parents=True, exist_ok=True)
        self._exits.mkdir(exist_ok=True)

    # for everybody

    def start(self, job_id: str, attempt: int, size: str, task_count: int) -> str:
        """Record one execution for an attempt and return its name; its tasks start at the next `step`."""
        name = f"trainer-{uuid4().hex[:12]}"
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO executions (name, job_id, attempt, size, task_count, created)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (name, job_id, attempt, size, task_count, self._clock.now().isoformat()),
            )
            connection.executemany(
                "INSERT INTO tasks (execution, task_index) VALUES (?, ?)",
                [(name, index) for index in range(task_count)],
            )
        self._changed.set()
        return name

    def find(self, job_id: str, attempt: int) -> list[Execution]:
        """The executions that were started for an attempt, oldest first."""
        rows = self._database.rows(
            "SELECT * FROM executions WHERE job_id = ? AND attempt = ? ORDER BY sequence", (job_id, attempt)
        )
        return [self._execution(row) for row in rows]

    def get(self, execution: str) -> Execution | None:
        """What is known of an execution; None if there is none of that name."""
        row = self._database.row("SELECT * FROM executions WHERE name = ?", (execution,))
        return self._execution(row) if row else None

    def cancel(self, execution: str) -> None:
        """Stop an execution; no error if it has ended or is unknown. The next `step` kills what runs."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE executions SET cancelled = 1 WHERE name = ?", (execution,))
            connection.execute(
                "UPDATE tasks SET state = 'CANCELLED' WHERE execution = ? AND state = 'PENDING'", (execution,)
            )
        self._changed.set()

    def _execution(self, row: sqlite3.Row) -> Execution:
        tasks = self._database.rows(
            "SELECT state, task_attempt, detail FROM tasks WHERE execution = ? ORDER BY task_index",
            (row["name"],),
        )
        details = [task["detail"] for task in tasks if task["detail"] and task["state"] == S.FAILED]
        return Execution(row["name"], _state(tasks), "; ".join(details))

    # for the host

    def wait(self, timeout_s: float) -> None:
        """Return when this process started or cancelled something, at the latest after the given seconds."""
        self._changed.wait(timeout_s)

    def look(self) -> None:
        """Let `wait` return: another process may have started something."""
        self._changed.set()

    def step(self) -> list[str]:
        """Record which tasks ended, kill those that must stop, start those that may start.

        Returns the jobs of tasks that failed for good; unlike Cloud Run, this platform tells.
        """
        self._changed.clear()
        self._children = [child for child in self._children if child.poll() is None]  # reaps the others
        for task in self._tasks(S.RUNNING):
            if not self._settings.stepping:
                self._look_after(task)
        free = self._settings.max_parallel - len(self._tasks(S.RUNNING))
        for task in self._tasks(S.PENDING)[: max(0, free)]:
            self._start_task(task)
        if self._server and time.monotonic() - self._last_order > self._settings.warm_for_s:
            self.close()
        failed, self._failed = self._failed, []
        return failed

    def close(self) -> None:
        """End the server of warm tasks; the tasks go on."""
        if self._server:
            self._server.close()
            self._server = None

    def finish_task(self, execution: str, index: int, exit_code: int) -> None:
        """Record that a task ended (with `stepping`).

        Raises:
            NotFound: that task does not run.
        """
        task = next(
            (
                task
                for task in self._tasks(S.RUNNING)
                if (task["execution"], task["task_index"]) == (execution, index)
            ),
            None,
        )
        if task is None:
            raise NotFound(f"no task {index} of execution {execution} is running")
        self._ended(task, exit_code, f"exit code {exit_code}")

    def stop_all(self) -> int:
        """Kill what runs, and return how many tasks that were.

        The next host starts these tasks again, as the same executions: being stopped is no failure of theirs.
        No host may run meanwhile.
        """
        running = self._tasks(S.RUNNING)
        for task in running:
            if _order(task):
                forks.seal(self._leader_file(task))
            self._kill(task)
            self._remove_temporary(task)
            self._exit_file(task).unlink(missing_ok=True)
        with self._database.transaction() as connection:  # last: dying before it leaves killed tasks, a retry
            connection.executemany(
                "UPDATE tasks SET state = 'PENDING', pid = NULL, started = NULL, detail = ?"
                " WHERE execution = ? AND task_index = ? AND task_attempt = ? AND state = 'RUNNING'",
                [(_STOPPED, *_identity(task)) for task in running],
            )
        return len(running)

    def _tasks(self, state: ExecutionState) -> list[sqlite3.Row]:
        return self._database.rows(
            "SELECT tasks.*, job_id, attempt, size, task_count, cancelled FROM tasks"
            " JOIN executions ON execution = name WHERE state = ? ORDER BY sequence, task_index",
            (state,),
        )

    def _look_after(self, task: sqlite3.Row) -> None:
        leader = self._leader(task)
        if leader is None and not self._may_be_given_up(task):
            return
        lives = leader is not None and processes.alive(leader)
        late = lives and leader is not None and self._late(leader)
        code = processes.exit_code(
            self._exit_file(task)
        )  # after the look at the process, which writes it last
        if code is not None:
            self._ended(task, code, f"exit code {code}{self._last_words(task) if code else ''}")
        elif not lives:
            self._kill(task)  # what its first process left behind
            self._ended(task, None, _KILLED)
        elif task["cancelled"]:
            self._kill(task)
            self._ended(task, None, "cancelled")
        elif late:
            self._kill(task)
            self._ended(task, None, f"timed out after {self._settings.task_timeout_s:g} s")

    def _last_words(self, task: sqlite3.Row) -> str:
        """The end of what a task wrote: the system's own libraries say there why they gave up."""
        with self._log(task).open("rb") as log:
            log.seek(-min(_LAST_WORDS, log.seek(0, os.SEEK_END)), os.SEEK_END)
            lines = log.read().decode(errors="replace").splitlines()
        words = [line.strip()[:_LINE] for line in lines if line.strip() and not line.startswith(_TRACE)]
        return "".join(f": {line}" for line in words[-_LAST_LINES:])

    def _log(self, task: sqlite3.Row) -> Path:
        return self._logs / f"{task['execution']}-{task['task_index']}.log"

    def _may_be_given_up(self, task: sqlite3.Row) -> bool:
        """Whether a task that has no process yet will never have one; from now on it cannot."""
        order = _order(task)
        if order is None:
            return True
        waits = order in self._ordered and self._server is not None and self._server.alive()
        return (not waits or task["cancelled"]) and forks.seal(self._leader_file(task))

    def _late(self, leader: Leader) -> bool:
        with suppress(psutil.NoSuchProcess):  # it ended a moment ago
            return processes.age_s(leader.pid) > self._settings.task_timeout_s
        return False

    def _ended(self, task: sqlite3.Row, exit_code: int | None, detail: str) -> None:
        """Record the end of a running task, and repeat it if it failed and may be repeated."""
        retry = f", retry {task['task_attempt']}" if task["task_attempt"] else ""
        why = f"task {task['task_index'] + 1}{retry}: {detail}"
        self._remove_temporary(task)  # first: nobody would, if this process died after the commit
        with self._database.transaction() as connection:
            state = self._next_state(task, exit_code)
            connection.execute(
                "UPDATE tasks SET state = ?, task_attempt = task_attempt + ?, exit_code = ?, detail = ?,"
                " pid = NULL"
                " WHERE execution = ? AND task_index = ? AND task_attempt = ? AND state = 'RUNNING'",
                (state, state == S.PENDING, exit_code, why, *_identity(task)),
            )
        self._exit_file(task).unlink(missing_ok=True)
        if (order := _order(task)) and forks.leader(self._leader_file(task)):  # a seal stays
            self._leader_file(task).unlink()
        self._ordered.discard(order or "")
        if state == S.FAILED:
            self._failed.append(task["job_id"])

    def _next_state(self, task: sqlite3.Row, exit_code: int | None) -> ExecutionState:
        if exit_code == 0:
            return S.SUCCEEDED
        row = self._database.row("SELECT cancelled FROM executions WHERE name = ?", (task["execution"],))
        if row and row["cancelled"]:  # asked anew: it may have been cancelled a moment ago
            return S.CANCELLED
        return S.PENDING if task["task_attempt"] < self._settings.max_retries else S.FAILED

    def _start_task(self, task: sqlite3.Row) -> None:
        """Record RUNNING before the process exists, so that no other host starts it too, then start it."""
        server = self._warm_server() if not task["task_attempt"] else None
        order = f"{_ORDER}{uuid4().hex[:12]}" if server else None
        with self._database.transaction() as connection:
            started = connection.execute(
                "UPDATE tasks SET state = 'RUNNING', started = ?, pid = NULL, pid_started = ?, detail = ''"
                " WHERE execution = ? AND task_index = ? AND task_attempt = ? AND state = 'PENDING'",
                (self._clock.now().timestamp(), order, *_identity(task)),
            )
        if not started.rowcount or self._settings.stepping:
            return
        try:
            self._temporary_folder(task).mkdir(parents=True, exist_ok=True)
            if server and order:
                self._give_order(server, order, task)
                return
            child = processes.spawn(
                self._settings.command,
                environment=self._environment(task),
                folder=self._settings.working_folder,
                log=self._log(task),
                exit_file=self._exit_file(task),
            )
        except OSError as error:
            self._ended(task, None, f"cannot be started: {error}")
            return
        self._children.append(child)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE tasks SET pid = ?, pid_started = ?"
                " WHERE execution = ? AND task_index = ? AND task_attempt = ?",
                (*processes.leader_of(child), *_identity(task)),
            )

    def _warm_server(self) -> ForkServer | None:
        """The server that forks tasks, started if there is none; None where tasks are new processes."""
        if self._settings.warm is None or self._settings.stepping or self._servers_died >= _SERVERS:
            return None
        if self._server and not self._server.alive():
            log.warning("the server of warm tasks has ended; see %s", self._logs / _SERVER_LOG)
            self._servers_died += 1
            self._server = None
        if self._server is None:
            self._remove_old_seals()
            temporary = self._temporary / "server"
            temporary.mkdir(parents=True, exist_ok=True)
            environment = {**self._common_environment(), "TMPDIR": str(temporary)}
            try:
                self._server = ForkServer(
                    self._settings.warm, environment, self._settings.working_folder, self._logs / _SERVER_LOG
                )
            except OSError as error:
                log.warning("there is no server of warm tasks: %s", error)
                self._servers_died += 1
        return self._server

    def _give_order(self, server: ForkServer, order: str, task: sqlite3.Row) -> None:
        self._ordered.add(order)
        self._last_order = time.monotonic()
        with suppress(OSError):  # it has ended: the next step gives the order up
            server.order(
                environment=self._environment(task),
                folder=self._settings.working_folder,
                log=self._log(task),
                exit_file=self._exit_file(task),
                leader_file=self._exits / order,
            )

    def _remove_old_seals(self) -> None:
        """Of orders that were given up: whoever might have carried them out is gone after a day."""
        for path in self._exits.glob(f"{_ORDER}*"):
            if time.time() - path.stat().st_mtime > _SEALED_S and forks.leader(path) is None:
                path.unlink()

    def _leader(self, task: sqlite3.Row) -> Leader | None:
        if task["pid"] is not None:
            return Leader(task["pid"], task["pid_started"])
        if _order(task):
            return forks.leader(self._leader_file(task))
        return processes.find_leader(_task_variables(task))

    def _kill(self, task: sqlite3.Row) -> None:
        leader = self._leader(task)
        if leader:
            processes.kill_session(leader, _task_variables(task))

    def _common_environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {**inherited, **self._variables}

    def _environment(self, task: sqlite3.Row) -> dict[str, str]:
        temporary = {"TMPDIR": str(self._temporary_folder(task))}
        return {**self._common_environment(), **temporary, **_task_variables(task)}

    def _remove_temporary(self, task: sqlite3.Row) -> None:
        shutil.rmtree(self._temporary_folder(task), ignore_errors=True)

    def _exit_file(self, task: sqlite3.Row) -> Path:
        return self._exits / "{}-{}-{}".format(*_identity(task))

    def _leader_file(self, task: sqlite3.Row) -> Path:
        return self._exits / str(_order(task))

    def _temporary_folder(self, task: sqlite3.Row) -> Path:
        return self._temporary / "{}-{}-{}".format(*_identity(task))


def _identity(task: sqlite3.Row) -> tuple[str, int, int]:
    return task["execution"], task["task_index"], task["task_attempt"]


def _order(task: sqlite3.Row) -> str | None:
    """The name of the order with which the server was told to start a task, if it was."""
    name = str(task["pid_started"])
    return name if task["pid"] is None and name.startswith(_ORDER) else None


def _task_variables(task: sqlite3.Row) -> dict[str, str]:
    """What a task is told, by the names that Cloud Run uses."""
    return {
        "JOB_ID": task["job_id"],
        "ATTEMPT": str(task["attempt"]),
        "CLOUD_RUN_EXECUTION": task["execution"],
        "CLOUD_RUN_TASK_INDEX": str(task["task_index"]),
        "CLOUD_RUN_TASK_COUNT": str(task["task_count"]),
        "CLOUD_RUN_TASK_ATTEMPT": str(task["task_attempt"]),
    }


def _state(tasks: Sequence[sqlite3.Row]) -> ExecutionState:
    states = {S(task["state"]) for task in tasks}
    if states <= {S.SUCCEEDED}:
        return S.SUCCEEDED
    if S.RUNNING in states:
        return S.RUNNING
    if S.PENDING in states:
        stopped = any(task["detail"] == _STOPPED for task in tasks)
        begun = states != {S.PENDING} or any(task["task_attempt"] for task in tasks)
        return S.RUNNING if begun and not stopped else S.PENDING
    return S.CANCELLED if S.CANCELLED in states else S.FAILED
