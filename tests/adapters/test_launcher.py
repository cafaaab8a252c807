from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from functions.adapters.embedded import Embedded, processes
from functions.adapters.embedded.launcher import LauncherSettings, SubprocessLauncher
from functions.ports import ExecutionState as S
from functions.ports import Launcher, NotFound
from tests.adapters.families import StepClock, crash, die

# what every family does


def test_a_started_execution_is_found_under_its_attempt(launcher: Launcher) -> None:
    first = launcher.start("j", 1, "small", 1)
    second = launcher.start("j", 1, "small", 1)
    other = launcher.start("j", 2, "small", 1)
    assert len({first, second, other}) == 3
    assert [execution.name for execution in launcher.find("j", 1)] == [first, second]
    assert [execution.state for execution in launcher.find("j", 2)] == [S.PENDING]
    assert launcher.find("k", 1) == []
    found = launcher.get(first)
    assert found
    assert (found.name, found.state, found.state.ended) == (first, S.PENDING, False)


def test_an_unknown_execution_is_none_and_cancelling_it_is_no_error(launcher: Launcher) -> None:
    assert launcher.get("trainer-unknown") is None
    launcher.cancel("trainer-unknown")


# in steps


@pytest.fixture
def stepped(tmp_path: Path, clock: StepClock) -> SubprocessLauncher:
    return Embedded(tmp_path, clock, launcher=LauncherSettings(stepping=True, max_parallel=2)).launcher


def state_of(launcher: SubprocessLauncher, execution: str) -> S:
    found = launcher.get(execution)
    assert found
    return found.state


def test_steps_of_an_execution_that_succeeds(stepped: SubprocessLauncher) -> None:
    name = stepped.start("j", 1, "small", 2)
    with pytest.raises(NotFound):
        stepped.finish_task(name, 0, 0)
    stepped.step()
    assert state_of(stepped, name) == S.RUNNING
    stepped.finish_task(name, 1, 0)
    assert state_of(stepped, name) == S.RUNNING
    stepped.finish_task(name, 0, 0)
    assert state_of(stepped, name) == S.SUCCEEDED
    with pytest.raises(NotFound):
        stepped.finish_task(name, 0, 1)


def test_a_failed_task_is_repeated_once_and_then_fails_the_execution(stepped: SubprocessLauncher) -> None:
    name = stepped.start("j", 1, "small", 1)
    stepped.step()
    stepped.finish_task(name, 0, 3)
    assert state_of(stepped, name) == S.RUNNING
    stepped.step()
    stepped.finish_task(name, 0, 4)
    found = stepped.get(name)
    assert found
    assert found.state == S.FAILED
    assert "exit code 4" in found.detail


def test_an_execution_has_not_ended_while_one_of_its_tasks_runs(stepped: SubprocessLauncher) -> None:
    name = stepped.start("j", 1, "small", 2)
    for _ in range(2):
        stepped.step()
        stepped.finish_task(name, 0, 1)
    assert state_of(stepped, name) == S.RUNNING
    stepped.finish_task(name, 1, 0)
    assert state_of(stepped, name) == S.FAILED


def test_at_most_so_many_tasks_run_at_once_and_the_oldest_first(stepped: SubprocessLauncher) -> None:
    names = [stepped.start(f"j{number}", 1, "small", 1) for number in range(3)]
    stepped.step()
    assert [state_of(stepped, name) for name in names] == [S.RUNNING, S.RUNNING, S.PENDING]
    stepped.finish_task(names[0], 0, 0)
    stepped.step()
    assert state_of(stepped, names[2]) == S.RUNNING


def test_cancelling_takes_until_the_task_ends_and_is_not_repeated(stepped: SubprocessLauncher) -> None:
    running = stepped.start("j", 1, "small", 3)
    stepped.step()
    waiting = stepped.start("k", 1, "small", 1)
    stepped.cancel(running)
    stepped.cancel(waiting)
    assert state_of(stepped, waiting) == S.CANCELLED
    assert state_of(stepped, running) == S.RUNNING
    stepped.finish_task(running, 0, 137)
    stepped.finish_task(running, 1, 0)
    stepped.step()
    assert state_of(stepped, running) == S.CANCELLED
    stepped.cancel(running)
    assert state_of(stepped, running) == S.CANCELLED


def test_cancelling_what_has_ended_changes_nothing(stepped: SubprocessLauncher) -> None:
    name = stepped.start("j", 1, "small", 1)
    stepped.step()
    stepped.finish_task(name, 0, 0)
    stepped.cancel(name)
    stepped.step()
    assert state_of(stepped, name) == S.SUCCEEDED


# with processes


def shell(script: str, **settings: object) -> LauncherSettings:
    return LauncherSettings(command=("/bin/sh", "-c", script), **settings)  # type: ignore[arg-type]


def run(launcher: SubprocessLauncher, until: Callable[[], bool]) -> None:
    while not until():
        launcher.step()
        threading.Event().wait(0.01)


def run_to_end(launcher: SubprocessLauncher, execution: str) -> S:
    run(launcher, lambda: state_of(launcher, execution).ended)
    return state_of(launcher, execution)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_tasks_know_who_they_are_and_nothing_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    embedded = Embedded(
        tmp_path, environment={"MMM_FOLDER": "given; echo pasted"}, launcher=shell("env; exit 0")
    )
    name = embedded.launcher.start("job-1", 2, "small", 2)
    assert run_to_end(embedded.launcher, name) == S.SUCCEEDED
    lines = (tmp_path / "logs" / f"{name}-1.log").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    assert told["JOB_ID"] == "job-1"
    assert told["ATTEMPT"] == "2"
    assert told["CLOUD_RUN_EXECUTION"] == name
    assert told["CLOUD_RUN_TASK_INDEX"] == "1"
    assert told["CLOUD_RUN_TASK_COUNT"] == "2"
    assert told["CLOUD_RUN_TASK_ATTEMPT"] == "0"
    assert told["MMM_FOLDER"] == "given; echo pasted"
    assert told["PATH"] == os.environ["PATH"]
    assert "SECRET_OF_THE_HOST" not in told
    assert list((tmp_path / "exits").iterdir()) == []


def test_the_command_is_never_read_by_the_shell(tmp_path: Path) -> None:
    arguments = ("$(touch pasted)", "a b", "'; exit 7 #", "*")
    command = (sys.executable, "-c", "import sys; print(sys.argv[1:])", *arguments)
    settings = LauncherSettings(command=command, working_folder=tmp_path)
    launcher = Embedded(tmp_path, launcher=settings).launcher
    name = launcher.start("j", 1, "small", 1)
    assert run_to_end(launcher, name) == S.SUCCEEDED
    assert (tmp_path / "logs" / f"{name}-0.log").read_text().strip() == str(list(arguments))


def test_a_crash_is_repeated_and_its_output_kept(tmp_path: Path) -> None:
    script = "echo try $CLOUD_RUN_TASK_ATTEMPT; exit $((1 - $CLOUD_RUN_TASK_ATTEMPT))"
    launcher = Embedded(tmp_path, launcher=shell(script)).launcher
    name = launcher.start("j", 1, "small", 1)
    assert run_to_end(launcher, name) == S.SUCCEEDED
    assert (tmp_path / "logs" / f"{name}-0.log").read_text() == "try 0\ntry 1\n"


def test_why_a_library_gave_up_is_told(tmp_path: Path) -> None:
    script = "echo at work; echo LLVM ERROR: out of memory; echo Buffer allocation failed; kill -ABRT $$"
    launcher = Embedded(tmp_path, launcher=shell(script)).launcher
    name = launcher.start("j", 1, "small", 1)
    assert run_to_end(launcher, name) == S.FAILED
    found = launcher.get(name)
    assert found
    assert found.detail.startswith(
        "task 1, retry 1: exit code 134: LLVM ERROR: out of memory: Buffer allocation failed"
    )


def test_temporary_files_of_a_killed_task_are_removed(tmp_path: Path) -> None:
    launcher = Embedded(tmp_path, launcher=shell("mktemp && kill -9 $$")).launcher
    name = launcher.start("j", 1, "small", 1)
    assert run_to_end(launcher, name) == S.FAILED
    made = [Path(line) for line in (tmp_path / "logs" / f"{name}-0.log").read_text().split() if "/" in line]
    assert len(made) == 2
    assert [path for path in made if path.exists()] == []
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_command_that_does_not_exist_fails_the_execution(tmp_path: Path) -> None:
    launcher = Embedded(tmp_path, launcher=LauncherSettings(command=("/does/not/exist",))).launcher
    assert run_to_end(launcher, launcher.start("j", 1, "small", 1)) == S.FAILED


def test_a_task_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    settings = shell("echo $$ > pid; sleep 1000", working_folder=tmp_path, task_timeout_s=0.5, max_retries=0)
    launcher = Embedded(tmp_path, launcher=settings).launcher
    name = launcher.start("j", 1, "small", 1)
    assert run_to_end(launcher, name) == S.FAILED
    found = launcher.get(name)
    assert found
    assert "timed out after 0.5 s" in found.detail
    pid = int((tmp_path / "pid").read_text())
    run(launcher, lambda: gone(pid))


def _boot_time_moves(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """What the kernel says when the clock was set: the machine was started at another time."""
    boot_time = psutil._psplatform.boot_time
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: boot_time() + seconds)


@pytest.mark.parametrize("days", [-3, 3])
def test_a_clock_that_is_set_kills_no_training(
    tmp_path: Path, clock: StepClock, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    settings = shell(WAITS_FOR_GO, working_folder=tmp_path)
    launcher = Embedded(tmp_path, clock, launcher=settings).launcher
    name = launcher.start("j", 1, "small", 1)
    run(launcher, (tmp_path / "j").exists)
    clock.advance(days * 86400)
    _boot_time_moves(monkeypatch, days * 86400)
    for _ in range(5):
        launcher.step()
        assert state_of(launcher, name) == S.RUNNING
    (tmp_path / "go.part").write_text("0")
    (tmp_path / "go.part").rename(tmp_path / "go")
    assert run_to_end(launcher, name) == S.SUCCEEDED
    assert (tmp_path / "j").read_text() == "began\n"


def test_a_training_that_an_earlier_release_started_is_recognised(tmp_path: Path) -> None:
    crash(_start_and_die, tmp_path)
    pid, _ = running_task(tmp_path)
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("UPDATE tasks SET pid_started = ?", (psutil.Process(pid).create_time(),))
    connection.close()
    launcher = waiting_for_go(tmp_path).launcher
    [execution] = launcher.find("j", 1)
    launcher.step()
    assert state_of(launcher, execution.name) == S.RUNNING
    (tmp_path / "go.part").write_text("0")
    (tmp_path / "go.part").rename(tmp_path / "go")
    assert run_to_end(launcher, execution.name) == S.SUCCEEDED
    assert (tmp_path / "j").read_text() == "began\n"


def test_start_wakes_whoever_waits(tmp_path: Path) -> None:
    launcher = Embedded(tmp_path, launcher=shell("exit 0")).launcher
    launcher.step()
    waiting = threading.Thread(target=launcher.wait, args=(1000,))
    waiting.start()
    launcher.start("j", 1, "small", 1)
    waiting.join()
    assert run_to_end(launcher, launcher.find("j", 1)[0].name) == S.SUCCEEDED


# when the host dies

WAITS_FOR_GO = "echo began >> $JOB_ID; while ! [ -e go ]; do sleep 0.01; done; exit $(cat go)"


def waiting_for_go(folder: Path) -> Embedded:
    return Embedded(folder, launcher=shell(WAITS_FOR_GO, working_folder=folder))


def _start_and_die(folder: Path) -> None:
    launcher = waiting_for_go(folder).launcher
    launcher.start("j", 1, "small", 1)
    run(launcher, (folder / "j").exists)
    die()


def _start_and_die_before_the_pid_is_known(folder: Path) -> None:
    processes.leader_of = die  # type: ignore[assignment]
    _start_and_die(folder)


@pytest.mark.parametrize("host", [_start_and_die, _start_and_die_before_the_pid_is_known])
def test_a_training_outlives_its_host_and_is_recognised(tmp_path: Path, host: Callable[[Path], None]) -> None:
    crash(host, tmp_path)
    launcher = waiting_for_go(tmp_path).launcher
    [execution] = launcher.find("j", 1)
    run(launcher, (tmp_path / "j").exists)
    for _ in range(5):
        launcher.step()
        assert state_of(launcher, execution.name) == S.RUNNING
    (tmp_path / "go.part").write_text("0")
    (tmp_path / "go.part").rename(tmp_path / "go")
    assert run_to_end(launcher, execution.name) == S.SUCCEEDED
    assert (tmp_path / "j").read_text() == "began\n", "it was started once"


def test_a_training_that_ended_while_there_was_no_host(tmp_path: Path) -> None:
    crash(_start_and_die, tmp_path)
    (tmp_path / "go.part").write_text("5")
    (tmp_path / "go.part").rename(tmp_path / "go")
    exits = tmp_path / "exits"
    while [path.suffix for path in exits.iterdir()] != [""]:
        threading.Event().wait(0.01)
    launcher = Embedded(tmp_path, launcher=shell("exit 5", max_retries=0)).launcher
    [execution] = launcher.find("j", 1)
    assert run_to_end(launcher, execution.name) == S.FAILED
    found = launcher.get(execution.name)
    assert found
    assert "exit code 5" in found.detail


def running_task(folder: Path) -> tuple[int, str]:
    with sqlite3.connect(folder / "state.db") as connection:
        pid, started = connection.execute("SELECT pid, pid_started FROM tasks").fetchone()
    connection.close()
    return pid, started


def test_a_training_that_was_killed_while_there_was_no_host_is_repeated(tmp_path: Path) -> None:
    crash(_start_and_die, tmp_path)
    os.killpg(running_task(tmp_path)[0], 9)
    while not gone(running_task(tmp_path)[0]):
        threading.Event().wait(0.01)
    (tmp_path / "go").write_text("0")
    launcher = waiting_for_go(tmp_path).launcher
    [execution] = launcher.find("j", 1)
    assert run_to_end(launcher, execution.name) == S.SUCCEEDED
    assert (tmp_path / "j").read_text() == "began\nbegan\n"


def test_what_outlives_its_killed_first_process_does_not_train_beside_the_repetition(tmp_path: Path) -> None:
    launcher = waiting_for_go(tmp_path).launcher
    name = launcher.start("j", 1, "small", 1)
    run(launcher, (tmp_path / "j").exists)
    leader = psutil.Process(running_task(tmp_path)[0])
    [command] = leader.children()
    leader.kill()
    run(launcher, lambda: gone(command.pid))
    (tmp_path / "go").write_text("0")
    assert run_to_end(launcher, name) == S.SUCCEEDED


def test_another_process_with_the_number_of_a_dead_one_is_left_alone(
    tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    crash(_start_and_die, tmp_path)
    pid, started = running_task(tmp_path)
    os.killpg(pid, 9)
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("UPDATE tasks SET pid = ?, pid_started = ?", (bystander.pid, f"{started}1"))
    connection.close()
    launcher = Embedded(tmp_path, launcher=shell("exit 1")).launcher
    [execution] = launcher.find("j", 1)
    assert run_to_end(launcher, execution.name) == S.FAILED
    assert bystander.poll() is None


def test_stopping_everything_kills_trainings_and_the_next_host_starts_them_again(tmp_path: Path) -> None:
    launcher = waiting_for_go(tmp_path).launcher
    name = launcher.start("j", 1, "small", 1)
    run(launcher, (tmp_path / "j").exists)
    pid, _ = running_task(tmp_path)
    assert waiting_for_go(tmp_path).launcher.stop_all() == 1, "another process may do it"
    assert pid is not None
    run(launcher, lambda: gone(pid))
    later = waiting_for_go(tmp_path).launcher
    found = later.get(name)
    assert found
    assert found.state == S.PENDING
    assert later.stop_all() == 0
    (tmp_path / "go").write_text("0")
    assert run_to_end(later, name) == S.SUCCEEDED
    assert (tmp_path / "j").read_text() == "began\nbegan\n"
    with sqlite3.connect(tmp_path / "state.db") as connection:
        assert connection.execute("SELECT task_attempt FROM tasks").fetchall() == [(0,)], "no retry was spent"
    connection.close()


def test_what_had_not_begun_when_everything_stopped_starts_later(tmp_path: Path) -> None:
    name = waiting_for_go(tmp_path).launcher.start("j", 1, "small", 1)
    assert waiting_for_go(tmp_path).launcher.stop_all() == 0
    (tmp_path / "go").write_text("0")
    launcher = waiting_for_go(tmp_path).launcher
    assert run_to_end(launcher, name) == S.SUCCEEDED
