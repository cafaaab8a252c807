"""What every launcher does with tasks that are processes: told, repeated, timed out, stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from functions.ports import Execution, Launcher
from functions.ports import ExecutionState as S
from tests.adapters.families import Family


def until(true: Callable[[], bool]) -> None:
    while not true():
        threading.Event().wait(0.01)


def the(launcher: Launcher, name: str) -> Execution:
    found = launcher.get(name)
    assert found
    return found


def ended(launcher: Launcher, name: str) -> Execution:
    until(lambda: the(launcher, name).state.ended)
    return the(launcher, name)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_tasks_know_who_they_are(family: Family, tmp_path: Path) -> None:
    with family.launching("env > told-$CLOUD_RUN_TASK_INDEX", tmp_path) as launcher:
        name = launcher.start("job-1", 2, "small", 2)
        assert ended(launcher, name) == Execution(name, S.SUCCEEDED)
        assert [execution.name for execution in launcher.find("job-1", 2)] == [name]
    told = dict(line.split("=", 1) for line in (tmp_path / "told-1").read_text().splitlines())
    assert (told["JOB_ID"], told["ATTEMPT"], told["CLOUD_RUN_EXECUTION"]) == ("job-1", "2", name)
    assert (told["CLOUD_RUN_TASK_INDEX"], told["CLOUD_RUN_TASK_COUNT"]) == ("1", "2")
    assert told["CLOUD_RUN_TASK_ATTEMPT"] == "0"
    assert (tmp_path / "told-0").exists()


def test_a_task_that_crashed_is_repeated(family: Family, tmp_path: Path) -> None:
    script = "echo $CLOUD_RUN_TASK_ATTEMPT >> tries; exit $((1 - $CLOUD_RUN_TASK_ATTEMPT))"
    with family.launching(script, tmp_path) as launcher:
        assert ended(launcher, launcher.start("j", 1, "small", 1)).state == S.SUCCEEDED
    assert (tmp_path / "tries").read_text() == "0\n1\n"


def test_a_task_that_always_fails_fails_its_execution_with_the_reason(family: Family, tmp_path: Path) -> None:
    with family.launching("echo x >> tries; exit $((3 * $CLOUD_RUN_TASK_INDEX))", tmp_path) as launcher:
        found = ended(launcher, launcher.start("j", 1, "small", 2))
        assert found.state == S.FAILED
        assert "exit code 3" in found.detail
    assert (tmp_path / "tries").read_text() == "x\n" * 3


def test_a_task_that_takes_too_long_is_killed(family: Family, tmp_path: Path) -> None:
    script = "echo $$ > pid-$CLOUD_RUN_TASK_ATTEMPT; sleep 1000"
    with family.launching(script, tmp_path, 1) as launcher:
        found = ended(launcher, launcher.start("j", 1, "small", 1))
        assert found.state == S.FAILED
        assert "timed out" in found.detail
        pids = [int(file.read_text()) for file in tmp_path.glob("pid-*")]
        assert pids
        until(lambda: all(map(gone, pids)))


def test_cancelling_stops_every_process_and_repeats_none(family: Family, tmp_path: Path) -> None:
    script = "sleep 1000 & echo $! > child.part; mv child.part child; trap '' TERM; sleep 1000"
    with family.launching(script, tmp_path) as launcher:
        name = launcher.start("j", 1, "small", 1)
        until((tmp_path / "child").exists)
        child = int((tmp_path / "child").read_text())
        assert the(launcher, name).state == S.RUNNING
        launcher.cancel(name)
        assert ended(launcher, name).state == S.CANCELLED
        until(lambda: gone(child))
        (tmp_path / "child").unlink()
        launcher.cancel(name)
        assert the(launcher, name).state == S.CANCELLED
    assert not (tmp_path / "child").exists(), "it was not repeated"


def test_cancelling_what_has_ended_changes_nothing(family: Family, tmp_path: Path) -> None:
    with family.launching("exit 0", tmp_path) as launcher:
        name = launcher.start("j", 1, "small", 1)
        assert ended(launcher, name).state == S.SUCCEEDED
        launcher.cancel(name)
        assert the(launcher, name).state == S.SUCCEEDED
