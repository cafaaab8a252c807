"""The launcher: executions of Cloud Run Jobs, one job definition per size.

An execution is called by its short name, as the platform tells it to its tasks (CLOUD_RUN_EXECUTION): the
job's name, a dash and a suffix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING

from functions.errors import Permanent, Unavailable
from functions.ports import Execution, ExecutionState

if TYPE_CHECKING:
    import grpc  # type: ignore[import-untyped]
    from google.cloud import run_v2

_PAGE = 200
_LIVES = 4  # of a task, one after the other, each as long as it may be; then its execution has ended
_NAME = re.compile(r"[a-z][a-z0-9-]*-[a-z0-9]+")

S = ExecutionState


@dataclass(frozen=True)
class CloudRunSettings:
    """Where the training jobs are."""

    project: str
    region: str
    jobs: Mapping[str, str]  # the job definition of each size of a request
    task_timeout_s: int = 24 * 3600
    deadline_s: float = 20.0  # of one call

    @property
    def parent(self) -> str:
        """The resource that holds the jobs."""
        return f"projects/{self.project}/locations/{self.region}"


class CloudRunLauncher:
    """Implements `functions.ports.Launcher`.

    Every call may raise `functions.errors.Unavailable`, also for a missing role, and
    `functions.errors.Permanent` for a missing job definition.
    """

    def __init__(self, settings: CloudRunSettings, channel: grpc.Channel | None = None) -> None:
        """`channel`: to somewhere else than Google."""
        self._settings = settings
        self._channel = channel

    def start(self, job_id: str, attempt: int, size: str, task_count: int) -> str:
        """Start one execution for an attempt and return its name. May start one although it raises.

        It is asked for once: the platform knows no request id, so that asking again would start another.
        """
        from google.cloud import run_v2

        override = run_v2.RunJobRequest.Overrides.ContainerOverride(
            env=[
                run_v2.EnvVar(name="JOB_ID", value=job_id),
                run_v2.EnvVar(name="ATTEMPT", value=str(attempt)),
            ]
        )
        overrides = run_v2.RunJobRequest.Overrides(
            container_overrides=[override],
            task_count=task_count,
            timeout={"seconds": self._settings.task_timeout_s},
        )
        request = run_v2.RunJobRequest(name=self._job_for(size), overrides=overrides)
        with _calling(f"starting {request.name}"):
            operation = self._jobs.run_job(request, retry=None, timeout=self._settings.deadline_s)
            return _short(operation.metadata.name)

    def find(self, job_id: str, attempt: int) -> list[Execution]:
        """The executions that were started for an attempt, oldest first.

        They are told by the environment they were started with, among those of each job that are young enough
        to live. The platform keeps a thousand of each job, and all of a week.
        """
        wanted = {("JOB_ID", job_id), ("ATTEMPT", str(attempt))}
        found = [
            execution
            for job in sorted(set(self._settings.jobs.values()))
            for execution in self._list(job)
            if wanted <= _environment(execution)
        ]
        found.sort(key=lambda execution: (execution.create_time, execution.name))
        return [_execution(execution) for execution in found]

    def get(self, execution: str) -> Execution | None:
        """What the platform says; None if it knows no such execution (any more)."""
        from google.api_core.exceptions import NotFound

        name = self._full(execution)
        if name is None:
            return None
        with _calling(f"looking at {name}"):
            try:
                found = self._executions.get_execution(
                    name=name, retry=None, timeout=self._settings.deadline_s
                )
            except NotFound:
                return None
        return _execution(found)

    def cancel(self, execution: str) -> None:
        """Stop an execution; no error if it has ended or is unknown. It may take a while to end."""
        from google.api_core.exceptions import Aborted, FailedPrecondition, InvalidArgument, NotFound

        name = self._full(execution)
        if name is None:
            return
        with _calling(f"cancelling {name}"):
            try:
                self._executions.cancel_execution(name=name, retry=None, timeout=self._settings.deadline_s)
            except NotFound:
                return
            except (Aborted, FailedPrecondition, InvalidArgument):  # said of what has ended, but not only
                known = self.get(execution)
                if known is not None and not known.state.ended:
                    raise

    def _list(self, job: str) -> Iterator[run_v2.Execution]:
        from google.cloud import run_v2

        request = run_v2.ListExecutionsRequest(parent=f"{self._settings.parent}/jobs/{job}", page_size=_PAGE)
        oldest = datetime.now(UTC) - _LIVES * timedelta(seconds=self._settings.task_timeout_s)
        with _calling(f"listing the executions of {request.parent}"):
            newest_first = self._executions.list_executions(
                request, retry=None, timeout=self._settings.deadline_s
            )
            yield from takewhile(lambda execution: execution.create_time >= oldest, newest_first)

    def _job_for(self, size: str) -> str:
        job = self._settings.jobs.get(size)
        if job is None:
            sizes = ", ".join(sorted(self._settings.jobs))
            raise Permanent(f"there is no Cloud Run job for size '{size}'; there are jobs for: {sizes}")
        return f"{self._settings.parent}/jobs/{job}"

    def _full(self, execution: str) -> str | None:
        """The resource name of an execution, also of a job that is configured no more; None if it is none."""
        if not _NAME.fullmatch(execution):
            return None
        return f"{self._settings.parent}/jobs/{execution.rpartition('-')[0]}/executions/{execution}"

    @cached_property
    def _jobs(self) -> run_v2.JobsClient:
        from google.cloud import run_v2
        from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport

        if self._channel is None:
            return run_v2.JobsClient()
        return run_v2.JobsClient(transport=JobsGrpcTransport(channel=self._channel))

    @cached_property
    def _executions(self) -> run_v2.ExecutionsClient:
        from google.cloud import run_v2
        from google.cloud.run_v2.services.executions.transports import ExecutionsGrpcTransport

        if self._channel is None:
            return run_v2.ExecutionsClient()
        return run_v2.ExecutionsClient(transport=ExecutionsGrpcTransport(channel=self._channel))


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _environment(execution: run_v2.Execution) -> set[tuple[str, str]]:
    return {(pair.name, pair.value) for box in execution.template.containers for pair in box.env}


def _execution(execution: run_v2.Execution) -> Execution:
    """The condition Completed says how it ended; the counters lag behind and are not asked."""
    conditions = {condition.type_: condition for condition in execution.conditions}
    completed, started = conditions.get("Completed"), conditions.get("Started")
    name = _short(execution.name)
    if completed is not None and completed.state.name == "CONDITION_SUCCEEDED":
        return Execution(name, S.SUCCEEDED)
    if completed is not None and completed.state.name == "CONDITION_FAILED":
        cancelled = completed.execution_reason.name == "CANCELLED"
        return Execution(name, S.CANCELLED if cancelled else S.FAILED, completed.message)
    begun = execution.start_time or (started is not None and started.state.name == "CONDITION_SUCCEEDED")
    return Execution(name, S.RUNNING if begun else S.PENDING)


@contextmanager
def _calling(what: str) -> Iterator[None]:
    """Turn errors into ours, and say what is missing on this platform."""
    from google.api_core.exceptions import Forbidden, NotFound

    from functions.adapters.gcp.errors import calling

    with calling(what):
        try:
            yield
        except Forbidden as error:
            raise Unavailable(
                f"{what} is not allowed: {error}; a right that was granted takes minutes to spread; "
                "if it goes on, the function's account lacks its role on the job"
            ) from error
        except NotFound as error:
            raise Permanent(
                f"{what} failed: {error}; the job definition is missing, or project or region are wrong"
            ) from error
