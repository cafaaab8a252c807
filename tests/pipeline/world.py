"""The whole system in one process, stepped by hand: real SQLite, files and HTTP handlers, our own clock."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from werkzeug.test import Client

from contracts.engines import EngineName
from contracts.events import JOB_FINISHED, SWEEP_REQUESTS, TRAIN_REQUESTS
from contracts.job import Job, JobState
from contracts.request import job_id_for
from functions import runtime
from functions.adapters.embedded import Embedded, LauncherSettings
from functions.adapters.embedded.warehouse import load_table
from functions.log import Log
from functions.runtime import Runtime
from functions.settings import EmbeddedSettings, TaskSettings
from functions.web.app import create_app
from infra.local.demo_data import demo_request, generate
from infra.local.functions import functions_app
from trainer.life import Life


class Crash(BaseException):
    """The process dies here: nothing catches it."""


class FakeClock:
    """Stands still until it is told to move."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 16, 6, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def pass_(self, **amount: float) -> None:
        self.time += timedelta(**amount)


def task_settings(task: Any) -> TaskSettings:
    """What the platform tells a task, given its row."""
    return TaskSettings(
        job_id=task["job_id"],
        attempt=task["attempt"],
        cloud_run_execution=task["execution"],
        cloud_run_task_index=task["task_index"],
        cloud_run_task_count=task["task_count"],
        cloud_run_task_attempt=task["task_attempt"],
    )


class World:
    def __init__(self, folder: Path, slots: int = 2, engines: Sequence[EngineName] = ("native",)) -> None:
        self.clock = FakeClock()
        self.embedded = Embedded(
            folder, self.clock, push=self._push, launcher=LauncherSettings(stepping=True, max_parallel=99)
        )
        self.settings = EmbeddedSettings(
            family="embedded",
            folder=folder,
            engines=list(engines),
            queues={"default": slots},
            log_format="text",
        )
        self.ports = self.embedded.ports()
        self.runtime = Runtime(self.ports, self.settings, Log("text"))
        runtime.use(self.runtime)
        self.http = Client(functions_app())
        self.web = create_app(self.runtime).test_client()
        self.embedded.bus.subscribe("upstream", JOB_FINISHED, "upstream")
        self.received: list[dict[str, Any]] = []

    def _push(self, endpoint: str, envelope: dict[str, Any]) -> None:
        if endpoint == "upstream":
            self.received.append(json.loads(base64.b64decode(envelope["message"]["data"])))
            return
        answer = self.http.post(f"/{endpoint}", json=envelope)
        if answer.status_code != 204:
            raise RuntimeError(f"{answer.status_code} {answer.get_data(as_text=True)}")

    # what users do

    def fill_warehouse(self, table: pd.DataFrame | None = None, name: str = "weekly_sales") -> None:
        frame = generate().table if table is None else table
        load_table(
            self.embedded.folder / "warehouse",
            "demo",
            "main",
            name,
            pa.Table.from_pandas(frame, preserve_index=False),
        )

    def publish(self, body: Any, topic: str = TRAIN_REQUESTS) -> None:
        self.ports.bus.publish(topic, body if isinstance(body, bytes) else json.dumps(body).encode())

    def request(self, request_id: str, **changes: Any) -> dict[str, Any]:
        return {**demo_request(request_id, iterations=5, trials=1), **changes}

    def submit(self, request_id: str, **changes: Any) -> str:
        self.publish(self.request(request_id, **changes))
        return job_id_for(request_id)

    def act(self, job_id: str, verb: str) -> int:
        return self.web.post(f"/api/v1/jobs/{job_id}:{verb}").status_code

    # what the world does

    def deliver(self, limit: int = 500) -> None:
        """Deliver what is due, and what becomes due by it, until nothing is."""
        for _ in range(limit):
            if not self.embedded.bus.deliver_one():
                return
        raise AssertionError(f"still busy after {limit} deliveries: {self.embedded.bus.due()}")

    def sweep(self) -> None:
        self.publish({}, SWEEP_REQUESTS)
        self.deliver()

    def executions(self) -> list[tuple[str, str, int]]:
        """(name, job, attempt) of what the platform is running."""
        return [(task["execution"], task["job_id"], task["attempt"]) for task in self.tasks()]

    def tasks(self) -> list[Any]:
        """What the platform is running, a row per task."""
        self.embedded.launcher.step()
        return list(self.embedded.launcher._tasks("RUNNING"))

    def train(self, exit_code: int | None = None) -> int:
        """Let every running task live its life (or just end, with the given status); how many."""
        tasks = self.tasks()
        for task in tasks:
            if exit_code is None:
                Life(self.runtime, task_settings(task)).live()
            self.embedded.launcher.finish_task(task["execution"], task["task_index"], exit_code or 0)
        return len(tasks)

    def life(self, execution: str, job_id: str, attempt: int) -> Life:
        task = TaskSettings(
            job_id=job_id,
            attempt=attempt,
            cloud_run_execution=execution,
            cloud_run_task_index=0,
            cloud_run_task_count=1,
            cloud_run_task_attempt=0,
        )
        return Life(self.runtime, task)

    def run(self) -> None:
        """Deliver and train until nothing happens any more."""
        self.deliver()
        while self.train():
            self.deliver()

    # what is true

    def job(self, job_id: str) -> Job:
        job = self.ports.jobs.get(Job, job_id)
        assert job is not None, f"no job {job_id}"
        return job

    def states(self, job_id: str) -> list[str]:
        return [entry.state.value for entry in self.job(job_id).timeline]

    def finished(self, job_id: str) -> list[dict[str, Any]]:
        return [e for e in self.received if e["type"] == "job-finished" and e["job_id"] == job_id]

    def until(self, job_id: str, state: JobState) -> None:
        """Deliver message by message until the job is in a state."""
        for _ in range(100):
            job = self.ports.jobs.get(Job, job_id)
            if job is not None and job.state is state:
                return
            if not self.embedded.bus.deliver_one() and not self.train():
                break
        raise AssertionError(f"{job_id} never became {state}")

    @contextmanager
    def crash_at(self, monkeypatch: Any, port: Any, method: str) -> Iterator[None]:
        """The process dies right after the first call of a port's method."""
        real = getattr(port, method)

        def dying(*args: Any, **kwargs: Any) -> Any:
            real(*args, **kwargs)
            raise Crash(method)

        with monkeypatch.context() as patch:
            patch.setattr(port, method, dying)
            yield

    def results(self, job_id: str) -> list[str]:
        job = self.job(job_id)
        prefix = f"robyn/{job.revision}/{job.country}/"
        return [
            info.name.rsplit("/", 1)[1] for info in self.ports.objects.list(prefix) if job_id in info.name
        ]
