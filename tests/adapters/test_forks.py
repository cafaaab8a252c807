"""Tasks that a warm server forks: the same isolation, end and repetition as those in new processes."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from functions.adapters.embedded import Embedded, forks
from functions.adapters.embedded.launcher import LauncherSettings, SubprocessLauncher
from functions.ports import ExecutionState as S
from tests.adapters.families import crash, die

ROOT = Path(__file__).parents[2]
COLD = "echo cold >> tries; exit 0"
WAITS = """
import os, time
open("began", "a").write(f"{os.getpid()}\\n")
while not os.path.exists("go"): time.sleep(0.01)
"""


_MADE: list[Embedded] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """No server outlives its test."""
    yield
    while _MADE:
        _MADE.pop().close()


def warm(folder: Path, task: str, **settings: object) -> Embedded:
    given = {"warm": "tests.adapters.warm_task", "command": ("/bin/sh", "-c", COLD), "max_parallel": 4}
    environment = {"TASK": task, "PYTHONPATH": str(ROOT)}
    launcher = LauncherSettings(**{**given, "working_folder": folder, **settings})  # type: ignore[arg-type]
    _MADE.append(Embedded(folder, environment=environment, launcher=launcher))
    return _MADE[-1]


def run(launcher: SubprocessLauncher, until: Callable[[], bool]) -> None:
    while not until():
        launcher.step()
        threading.Event().wait(0.01)


def state_of(launcher: SubprocessLauncher, name: str) -> S:
    found = launcher.get(name)
    assert found
    return found.state


def run_to_end(launcher: SubprocessLauncher, name: str) -> S:
    run(launcher, lambda: state_of(launcher, name).ended)
    return state_of(launcher, name)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def server(folder: Path) -> psutil.Process:
    return psutil.Process(int(lines(folder / "preloaded")[-1]))


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_tasks_are_forked_from_one_server_and_know_who_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    told = "import os, tempfile; print(dict(os.environ)); print(tempfile.gettempdir()); print(os.getsid(0))"
    embedded = warm(tmp_path, told)
    names = [embedded.launcher.start(f"j{number}", 1, "small", 1) for number in range(3)]
    assert [run_to_end(embedded.launcher, name) for name in names] == [S.SUCCEEDED] * 3
    sessions = set()
    for number, name in enumerate(names):
        variables, temporary, session = lines(tmp_path / "logs" / f"{name}-0.log")
        assert f"'JOB_ID': 'j{number}'" in variables
        assert f"'CLOUD_RUN_EXECUTION': '{name}'" in variables
        assert "SECRET_OF_THE_HOST" not in variables
        assert temporary == str(tmp_path / "temporary" / f"{name}-0-0")
        sessions.add(session)
    assert len(sessions) == 3
    assert len(lines(tmp_path / "preloaded")) == 1
    assert not lines(tmp_path / "tries")
    assert not list((tmp_path / "exits").iterdir())
    embedded.close()
    server(tmp_path).wait(timeout=60)


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("code = 3", "exit code 3"),
        ("raise SystemExit(4)", "exit code 4"),
        ("1 / 0", "exit code 1"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "exit code 137"),
    ],
)
def test_how_a_task_ended_is_told_as_of_a_new_process_and_it_is_repeated_as_one(
    tmp_path: Path, task: str, told: str
) -> None:
    embedded = warm(tmp_path, task, max_retries=0)
    name = embedded.launcher.start("j", 1, "small", 1)
    assert run_to_end(embedded.launcher, name) == S.FAILED
    found = embedded.launcher.get(name)
    assert found
    assert told in found.detail
    other = warm(tmp_path, task).launcher
    assert run_to_end(other, other.start("j", 2, "small", 1)) == S.SUCCEEDED
    assert lines(tmp_path / "tries") == ["cold"]


def test_cancelling_kills_a_forked_task_with_its_children(tmp_path: Path) -> None:
    task = "import subprocess; child = subprocess.Popen(['sleep', '1000'])\n"
    task += "with open('child', 'w') as file: file.write(str(child.pid))\n"
    embedded = warm(tmp_path, task + WAITS)
    name = embedded.launcher.start("j", 1, "small", 1)
    run(embedded.launcher, lambda: bool(lines(tmp_path / "began")))
    embedded.launcher.cancel(name)
    assert run_to_end(embedded.launcher, name) == S.CANCELLED
    for pid in (int(lines(tmp_path / "began")[0]), int((tmp_path / "child").read_text())):
        run(embedded.launcher, lambda pid=pid: gone(pid))  # type: ignore[misc]
    assert server(tmp_path).is_running()


def test_a_server_that_is_killed_takes_no_task_with_it_and_loses_none(tmp_path: Path) -> None:
    embedded = warm(tmp_path, WAITS)
    running = embedded.launcher.start("j", 1, "small", 1)
    run(embedded.launcher, lambda: bool(lines(tmp_path / "began")))
    server(tmp_path).suspend()
    ordered = embedded.launcher.start("k", 1, "small", 1)
    embedded.launcher.step()
    assert state_of(embedded.launcher, ordered) == S.RUNNING
    server(tmp_path).kill()
    assert run_to_end(embedded.launcher, ordered) == S.SUCCEEDED, "it was repeated as a new process"
    assert state_of(embedded.launcher, running) == S.RUNNING
    later = embedded.launcher.start("l", 1, "small", 1)
    (tmp_path / "go").touch()
    assert run_to_end(embedded.launcher, running) == S.SUCCEEDED
    assert run_to_end(embedded.launcher, later) == S.SUCCEEDED
    assert len(lines(tmp_path / "preloaded")) == 2, "another server was started"
    assert lines(tmp_path / "tries") == ["cold"]


def test_a_task_dies_with_its_first_process(tmp_path: Path) -> None:
    embedded = warm(tmp_path, WAITS)
    name = embedded.launcher.start("j", 1, "small", 1)
    run(embedded.launcher, lambda: bool(lines(tmp_path / "began")))
    pid = int(lines(tmp_path / "began")[0])
    os.kill(psutil.Process(pid).ppid(), signal.SIGKILL)
    assert run_to_end(embedded.launcher, name) == S.SUCCEEDED
    assert gone(pid)
    assert lines(tmp_path / "tries") == ["cold"]


def test_a_server_with_threads_forks_nothing(tmp_path: Path) -> None:
    (tmp_path / "thread").touch()
    embedded = warm(tmp_path, WAITS)
    name = embedded.launcher.start("j", 1, "small", 1)
    assert run_to_end(embedded.launcher, name) == S.SUCCEEDED
    assert (lines(tmp_path / "began"), lines(tmp_path / "tries")) == ([], ["cold"])
    assert "has started 1 threads" in (tmp_path / "logs" / "warm.log").read_text()


def _start_and_die(folder: Path) -> None:
    launcher = warm(folder, WAITS).launcher
    launcher.start("j", 1, "small", 1)
    run(launcher, lambda: bool(lines(folder / "began")))
    die()


def _order_and_die(folder: Path) -> None:
    """The server has not even loaded anything."""
    launcher = warm(folder, WAITS).launcher
    launcher.start("j", 1, "small", 1)
    launcher.step()
    die()


def test_a_forked_task_outlives_its_host_and_is_recognised(tmp_path: Path) -> None:
    crash(_start_and_die, tmp_path)
    launcher = warm(tmp_path, WAITS).launcher
    [execution] = launcher.find("j", 1)
    for _ in range(5):
        launcher.step()
        assert state_of(launcher, execution.name) == S.RUNNING
    (tmp_path / "go").touch()
    assert run_to_end(launcher, execution.name) == S.SUCCEEDED
    assert len(lines(tmp_path / "began")) == 1
    assert not lines(tmp_path / "tries")


def test_an_order_that_was_given_up_is_carried_out_by_nobody(tmp_path: Path) -> None:
    crash(_order_and_die, tmp_path)
    launcher = warm(tmp_path, WAITS).launcher
    [execution] = launcher.find("j", 1)
    assert run_to_end(launcher, execution.name) == S.SUCCEEDED
    begun = lines(tmp_path / "began")
    run(launcher, lambda: bool(lines(tmp_path / "preloaded")) and gone(server(tmp_path).pid))
    assert lines(tmp_path / "began") == begun == []
    assert lines(tmp_path / "tries") == ["cold"]


def test_stopping_everything_kills_forked_tasks_and_orders(tmp_path: Path) -> None:
    launcher = warm(tmp_path, WAITS).launcher
    name = launcher.start("j", 1, "small", 1)
    run(launcher, lambda: bool(lines(tmp_path / "began")))
    server(tmp_path).suspend()
    other = launcher.start("k", 1, "small", 1)
    launcher.step()
    assert warm(tmp_path, WAITS).launcher.stop_all() == 2
    while not gone(int(lines(tmp_path / "began")[0])):  # the system kills in its own time
        threading.Event().wait(0.01)
    launcher.close()
    first = server(tmp_path)
    first.resume()
    first.wait(timeout=60)
    (tmp_path / "go").touch()
    later = warm(tmp_path, WAITS).launcher
    assert [run_to_end(later, one) for one in (name, other)] == [S.SUCCEEDED] * 2
    assert len(lines(tmp_path / "began")) == 3
    with sqlite3.connect(tmp_path / "state.db") as connection:
        assert connection.execute("SELECT task_attempt FROM tasks").fetchall() == [(0,), (0,)]
    connection.close()


def test_seal_and_leader_exclude_each_other(tmp_path: Path) -> None:
    assert forks.seal(tmp_path / "order")
    assert forks.seal(tmp_path / "order")
    assert forks.leader(tmp_path / "order") is None
    (tmp_path / "other").write_text('[1, "boot:2"]')
    assert not forks.seal(tmp_path / "other")
    assert forks.leader(tmp_path / "other") == (1, "boot:2")
