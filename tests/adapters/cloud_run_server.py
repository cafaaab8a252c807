"""Cloud Run Jobs on this machine: the real messages over gRPC, tasks as subprocesses.

Two ways: with a command, `RunJob` starts it for every task with the environment that Cloud Run gives; without
one, executions stay pending until a test says `begin` and `end`. Unlike production there are no images (every
job runs the one command), no quota, and operations are always done.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import grpc
from google.cloud import run_v2
from google.longrunning import operations_pb2

Code = grpc.StatusCode
State = run_v2.Condition.State
Reason = run_v2.Condition.ExecutionReason

_JOBS, _EXECUTIONS = "google.cloud.run.v2.Jobs", "google.cloud.run.v2.Executions"
_OPERATIONS = "google.longrunning.Operations"


@dataclass(frozen=True)
class Fault:
    """What one call answers instead; `done`: although it did what was asked."""

    method: str
    code: grpc.StatusCode
    done: bool = False


@dataclass
class CloudRun:
    """The service. `jobs` are the full names of its job definitions."""

    jobs: Sequence[str]
    command: Sequence[str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)  # of the job definitions
    folder: Path = Path()  # tasks run here
    max_retries: int = 1
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    address: str = ""
    first_at: float = 1_800_000_000  # when the first execution is created, a second before the next one

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._numbers = count(1)
        self._executions: dict[str, run_v2.Execution] = {}
        self._running: dict[str, list[subprocess.Popen[bytes]]] = {}
        self._threads: list[threading.Thread] = []

    # for tests

    def begin(self, name: str) -> None:
        """The first task of an execution has begun."""
        with self._lock:
            self._condition(name, "Started", State.CONDITION_SUCCEEDED)
            self._execution(name).start_time = datetime.now(UTC)

    def end(self, name: str, *, ok: bool, reason: Reason = Reason.NON_ZERO_EXIT_CODE, why: str = "") -> None:
        """An execution has ended."""
        with self._lock:
            state = State.CONDITION_SUCCEEDED if ok else State.CONDITION_FAILED
            self._condition(name, "Completed", state, Reason(0) if ok else reason, why)

    def forget(self, name: str) -> None:
        """The platform keeps 1,000 ended executions of a job and deletes the rest."""
        with self._lock:
            del self._executions[self._execution(name).name]

    def wait(self) -> None:
        """Until every execution with processes has ended."""
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """Kill what runs."""
        for name in list(self._running):
            self._kill(name)
        self.wait()

    # the calls

    def run_job(self, request: run_v2.RunJobRequest, context: grpc.ServicerContext) -> Any:
        if request.name not in self.jobs:
            context.abort(Code.NOT_FOUND, f"Resource '{request.name}' was not found")
        given = request.overrides
        with self._lock:
            number = next(self._numbers)
            name = f"{request.name}/executions/{request.name.rsplit('/', 1)[-1]}-{number:05x}"
            env = [run_v2.EnvVar(name=key, value=value) for key, value in self.environment.items()]
            env += [pair for override in given.container_overrides for pair in override.env]
            self._executions[name] = run_v2.Execution(
                name=name,
                job=request.name.rsplit("/", 1)[-1],
                create_time=datetime.fromtimestamp(self.first_at + number, UTC),
                task_count=given.task_count or 1,
                template=run_v2.TaskTemplate(
                    containers=[run_v2.Container(env=env)],
                    timeout=given.timeout,
                    max_retries=self.max_retries,
                ),
                conditions=[run_v2.Condition(type_="Completed", state=State.CONDITION_RECONCILING)],
            )
            if self.command is not None:
                self._spawn(name)
        return self._operation(name)

    def get_execution(self, request: Any, context: grpc.ServicerContext) -> run_v2.Execution:
        return self._known(request.name, context)

    def list_executions(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.parent not in self.jobs:
            context.abort(Code.NOT_FOUND, f"Resource '{request.parent}' was not found")
        with self._lock:
            prefix = f"{request.parent}/executions/"
            found = [one for name, one in self._executions.items() if name.startswith(prefix)]
        found.sort(key=lambda one: one.create_time, reverse=True)
        begin = int(request.page_token or 0)
        end = begin + min(request.page_size or 100, 100)
        token = str(end) if end < len(found) else ""
        return run_v2.ListExecutionsResponse(executions=found[begin:end], next_page_token=token)

    def cancel_execution(self, request: Any, context: grpc.ServicerContext) -> Any:
        known = self._known(request.name, context)
        if known.conditions[0].state in (State.CONDITION_SUCCEEDED, State.CONDITION_FAILED):
            context.abort(Code.FAILED_PRECONDITION, f"Execution '{request.name}' has already completed")
        self.end(known.name, ok=False, reason=Reason.CANCELLED, why="The execution was cancelled.")
        self._kill(known.name)
        return self._operation(known.name)

    def get_operation(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._operation(self._known(request.name.removeprefix("operations/"), context).name)

    # behind them

    def _known(self, name: str, context: grpc.ServicerContext) -> run_v2.Execution:
        with self._lock:
            if name not in self._executions:
                context.abort(Code.NOT_FOUND, f"Resource '{name}' was not found")
            return self._executions[name]

    def _execution(self, name: str) -> run_v2.Execution:
        return next(one for full, one in self._executions.items() if full.endswith(name))

    def _condition(self, name: str, kind: str, state: State, reason: Any = 0, message: str = "") -> None:
        execution = self._execution(name)
        others = [one for one in execution.conditions if one.type_ != kind]
        new = run_v2.Condition(type_=kind, state=state, execution_reason=reason, message=message)
        execution.conditions = [new, *others] if kind == "Completed" else [*others, new]

    def _operation(self, name: str) -> Any:
        operation = operations_pb2.Operation(name=f"operations/{name}", done=True)
        message = run_v2.Execution.pb(self._executions[name])
        operation.metadata.Pack(message)
        operation.response.Pack(message)
        return operation

    def _spawn(self, name: str) -> None:
        self._running[name] = []
        thread = threading.Thread(target=self._work, args=(name,))
        self._threads.append(thread)
        thread.start()

    def _work(self, name: str) -> None:
        tasks = self._executions[name].task_count
        self.begin(name)
        with ThreadPoolExecutor(tasks) as pool:
            failed = [text for text in pool.map(lambda index: self._task(name, index), range(tasks)) if text]
        with self._lock:
            if self._executions[name].conditions[0].state == State.CONDITION_RECONCILING:
                self.end(name, ok=not failed, why="; ".join(failed))

    def _task(self, name: str, index: int) -> str | None:
        """Run one task, repeat it if it fails; why it failed for good."""
        limit = self._executions[name].template.timeout.total_seconds() or None
        why = None
        for attempt in range(self.max_retries + 1):
            with self._lock:
                if self._executions[name].conditions[0].state != State.CONDITION_RECONCILING:
                    return "cancelled"
                process = subprocess.Popen(
                    list(self.command or ()), env=self._variables(name, index, attempt), cwd=self.folder,
                    start_new_session=True,
                )  # fmt: skip
                self._running[name].append(process)
            try:
                if process.wait(limit) == 0:
                    return None
                why = f"Task {index} failed with exit code {process.returncode}."
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                why = f"Task {index} timed out."
        return why

    def _variables(self, name: str, index: int, attempt: int) -> dict[str, str]:
        execution = self._executions[name]
        given = {pair.name: pair.value for pair in execution.template.containers[0].env}
        return {
            "PATH": os.environ["PATH"],
            **given,
            "CLOUD_RUN_JOB": execution.job,
            "CLOUD_RUN_EXECUTION": name.rsplit("/", 1)[-1],
            "CLOUD_RUN_TASK_INDEX": str(index),
            "CLOUD_RUN_TASK_COUNT": str(execution.task_count),
            "CLOUD_RUN_TASK_ATTEMPT": str(attempt),
        }

    def _kill(self, name: str) -> None:
        with self._lock:
            for process in self._running.get(name, []):
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    def answer(
        self, method: str, call: Callable[..., Any], request: Any, context: grpc.ServicerContext
    ) -> Any:
        """One call, or the fault that was asked for."""
        self.calls.append(method)
        fault = next((one for one in self.faults if one.method == method), None)
        if fault is None:
            return call(request, context)
        self.faults.remove(fault)
        if fault.done:
            call(request, context)
        return context.abort(fault.code, f"{method} was told to fail")


def _method(service: CloudRun, name: str, kind: Any, call: Callable[..., Any]) -> grpc.RpcMethodHandler:
    def serialize(message: Any) -> bytes:
        if isinstance(message, operations_pb2.Operation):
            return message.SerializeToString()
        return type(message).serialize(message)

    parse = kind.FromString if hasattr(kind, "FromString") else kind.deserialize
    return grpc.unary_unary_rpc_method_handler(
        lambda request, context: service.answer(name, call, request, context), parse, serialize
    )


@contextmanager
def serving(service: CloudRun) -> Iterator[CloudRun]:
    """Serve on a free port and say so in its `address`; at the end everything that runs is killed."""
    table: dict[str, dict[str, tuple[Any, Callable[..., Any]]]] = {
        _JOBS: {"RunJob": (run_v2.RunJobRequest, service.run_job)},
        _EXECUTIONS: {
            "GetExecution": (run_v2.GetExecutionRequest, service.get_execution),
            "ListExecutions": (run_v2.ListExecutionsRequest, service.list_executions),
            "CancelExecution": (run_v2.CancelExecutionRequest, service.cancel_execution),
        },
        _OPERATIONS: {"GetOperation": (operations_pb2.GetOperationRequest, service.get_operation)},
    }
    server = grpc.server(ThreadPoolExecutor(8))
    for name, methods in table.items():
        handlers = {key: _method(service, key, kind, call) for key, (kind, call) in methods.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    service.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield service
    finally:
        service.stop()
        server.stop(None).wait()
