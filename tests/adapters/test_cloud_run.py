from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.cloud import run_v2

from functions.adapters.gcp.launcher import CloudRunLauncher
from functions.errors import Permanent, Unavailable
from functions.ports import Execution
from functions.ports import ExecutionState as S
from tests.adapters.cloud_run_server import CloudRun, Code, Fault, Reason
from tests.adapters.family_cloud_run import SETTINGS, cloud_run
from tests.adapters.test_launcher import (  # noqa: F401 (what every family does)
    test_a_started_execution_is_found_under_its_attempt,
    test_an_unknown_execution_is_none_and_cancelling_it_is_no_error,
)

Both = tuple[CloudRun, CloudRunLauncher]


@pytest.fixture
def both() -> Iterator[Both]:
    with cloud_run() as pair:
        yield pair


@pytest.fixture
def launcher(both: Both) -> CloudRunLauncher:
    return both[1]


@pytest.fixture
def service(both: Both) -> CloudRun:
    return both[0]


def the(launcher: CloudRunLauncher, name: str) -> Execution:
    found = launcher.get(name)
    assert found
    return found


def test_the_size_chooses_the_job_and_the_time_limit_goes_with_it(
    service: CloudRun, launcher: CloudRunLauncher
) -> None:
    assert launcher.start("j", 1, "native", 1).startswith("trainer-small-")
    large = launcher.start("j", 1, "large", 3)
    assert large.startswith("trainer-large-")
    execution = service._execution(large)
    assert execution.task_count == 3
    assert execution.template.timeout.total_seconds() == SETTINGS.task_timeout_s
    with pytest.raises(Permanent, match=r"size 'medium'.*large, native, small"):
        launcher.start("j", 1, "medium", 1)


def test_an_attempt_is_found_among_many_whatever_its_size(launcher: CloudRunLauncher) -> None:
    first = launcher.start("j", 1, "small", 1)
    for number in range(230):
        launcher.start(f"other-{number}", 1, "small", 1)
    second = launcher.start("j", 1, "large", 1)
    third = launcher.start("j", 1, "small", 1)
    launcher.start("j", 11, "small", 1)
    assert [execution.name for execution in launcher.find("j", 1)] == [first, second, third]


def test_executions_that_have_ended_long_ago_are_not_paged_through(
    service: CloudRun, launcher: CloudRunLauncher
) -> None:
    service.first_at = time.time() - 5 * SETTINGS.task_timeout_s
    for _ in range(230):
        launcher.start("j", 1, "small", 1)
    service.first_at = time.time() - 3 * SETTINGS.task_timeout_s
    late = launcher.start("j", 1, "small", 1)
    service.first_at = time.time()
    young = launcher.start("j", 1, "small", 1)
    service.calls.clear()
    assert [execution.name for execution in launcher.find("j", 1)] == [late, young]
    assert service.calls == ["ListExecutions"] * 2, "a page of each job"


def test_states_come_from_the_conditions_and_not_from_the_counters(
    service: CloudRun, launcher: CloudRunLauncher
) -> None:
    names = [launcher.start("j", 1, "small", 2) for _ in range(5)]
    assert the(launcher, names[0]).state == S.PENDING
    for name in names[1:]:
        service.begin(name)
    counted = service._execution(names[1])
    counted.succeeded_count, counted.failed_count, counted.cancelled_count = 1, 1, 0
    service.end(names[2], ok=True)
    service._execution(names[2]).running_count = 1
    service.end(names[3], ok=False, why="Task 0 failed.")
    service.end(names[4], ok=False, reason=Reason.CANCELLED)
    assert [execution.state for execution in launcher.find("j", 1)] == [
        S.PENDING, S.RUNNING, S.SUCCEEDED, S.FAILED, S.CANCELLED,
    ]  # fmt: skip
    assert the(launcher, names[3]).detail == "Task 0 failed."


def test_while_it_is_being_cancelled_it_has_not_ended(service: CloudRun, launcher: CloudRunLauncher) -> None:
    name = launcher.start("j", 1, "small", 1)
    service.begin(name)
    service._condition(name, "Completed", run_v2.Condition.State.CONDITION_RECONCILING, Reason.CANCELLING)
    assert the(launcher, name).state == S.RUNNING


def test_what_the_platform_has_forgotten_is_none(service: CloudRun, launcher: CloudRunLauncher) -> None:
    name = launcher.start("j", 1, "small", 1)
    service.forget(name)
    assert launcher.get(name) is None
    assert launcher.find("j", 1) == []
    launcher.cancel(name)


def test_an_execution_of_a_job_that_is_configured_no_more_is_known_and_can_be_stopped(
    service: CloudRun, launcher: CloudRunLauncher
) -> None:
    name = launcher.start("j", 1, "small", 1)
    service.begin(name)
    with grpc.insecure_channel(service.address) as channel:
        deployed = CloudRunLauncher(dataclasses.replace(SETTINGS, jobs={"small": "trainer-large"}), channel)
        assert the(deployed, name).state == S.RUNNING
        deployed.cancel(name)
        assert the(deployed, name).state == S.CANCELLED


@pytest.mark.parametrize("name", ["", "trainer", "Trainer-1", "trainer-small-../x", "trainer-small-a/b"])
def test_what_cannot_be_ours_is_not_asked_for(
    service: CloudRun, launcher: CloudRunLauncher, name: str
) -> None:
    assert launcher.get(name) is None
    launcher.cancel(name)
    assert service.calls == []


@pytest.mark.parametrize("code", [Code.FAILED_PRECONDITION, Code.INVALID_ARGUMENT, Code.ABORTED])
def test_however_the_cancel_of_what_has_ended_is_refused_it_is_no_error(
    service: CloudRun, launcher: CloudRunLauncher, code: grpc.StatusCode
) -> None:
    name = launcher.start("j", 1, "small", 1)
    service.end(name, ok=True)
    service.faults.append(Fault("CancelExecution", code))
    launcher.cancel(name)
    assert the(launcher, name).state == S.SUCCEEDED


def test_a_refused_cancel_of_what_still_runs_is_an_error(
    service: CloudRun, launcher: CloudRunLauncher
) -> None:
    name = launcher.start("j", 1, "small", 1)
    service.faults.append(Fault("CancelExecution", Code.FAILED_PRECONDITION))
    with pytest.raises(Permanent, match="cancelling"):
        launcher.cancel(name)


def test_one_that_was_started_although_it_raised_is_found(
    service: CloudRun, launcher: CloudRunLauncher
) -> None:
    service.faults.append(Fault("RunJob", Code.UNAVAILABLE, done=True))
    with pytest.raises(Unavailable):
        launcher.start("j", 1, "small", 1)
    assert len(launcher.find("j", 1)) == 1
    assert service.calls.count("RunJob") == 1, "asked once: asking again would start another"


CALLS: dict[str, Callable[[CloudRunLauncher, str], object]] = {
    "RunJob": lambda launcher, _: launcher.start("j", 1, "small", 1),
    "GetExecution": lambda launcher, name: launcher.get(name),
    "ListExecutions": lambda launcher, _: launcher.find("j", 1),
    "CancelExecution": lambda launcher, name: launcher.cancel(name),
}


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize(
    "code",
    [Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.INTERNAL],
)
def test_what_may_pass_is_unavailable(
    service: CloudRun, launcher: CloudRunLauncher, method: str, code: grpc.StatusCode
) -> None:
    name = launcher.start("j", 1, "small", 1)
    service.faults.append(Fault(method, code))
    with pytest.raises(Unavailable, match="was told to fail"):
        CALLS[method](launcher, name)
    CALLS[method](launcher, name)


@pytest.mark.parametrize("method", CALLS)
def test_a_missing_role_is_told_and_may_come(
    service: CloudRun, launcher: CloudRunLauncher, method: str
) -> None:
    name = launcher.start("j", 1, "small", 1)
    service.faults.append(Fault(method, Code.PERMISSION_DENIED))
    with pytest.raises(Unavailable, match=r"not allowed.*minutes to spread.*lacks its role on the job"):
        CALLS[method](launcher, name)


def test_a_missing_job_definition_is_no_missing_execution() -> None:
    with cloud_run() as (service, _), grpc.insecure_channel(service.address) as channel:
        launcher = CloudRunLauncher(dataclasses.replace(SETTINGS, jobs={"small": "gone"}), channel)
        for call in ("RunJob", "ListExecutions"):
            with pytest.raises(Permanent, match="job definition is missing"):
                CALLS[call](launcher, "gone-1")


@pytest.mark.parametrize("method", CALLS)
def test_every_call_has_a_deadline(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with cloud_run() as (service, real), grpc.insecure_channel(service.address) as channel:
        name = real.start("j", 1, "small", 1)
        released = threading.Event()
        monkeypatch.setattr(service, "answer", lambda *_: released.wait())
        hasty = CloudRunLauncher(dataclasses.replace(SETTINGS, deadline_s=0.2), channel)
        try:
            with pytest.raises(Unavailable):
                CALLS[method](hasty, name)
        finally:
            released.set()


def test_nothing_is_asked_for_before_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    launcher = CloudRunLauncher(SETTINGS)
    with pytest.raises(Unavailable, match="identity"):
        launcher.start("j", 1, "small", 1)
