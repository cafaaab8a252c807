"""The whole way of a job whose trainings run on Cloud Run Jobs."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet
import pytest

from contracts.job import DeadLetter, Job, JobState, Queue
from contracts.names import attempt_of, results
from functions import runtime
from functions.attempts import read_claim
from functions.runtime import Runtime
from functions.web.app import create_app
from tests.adapters.cloud_run_server import CloudRun, Code, Fault
from tests.adapters.family_cloud_run import cloud_run
from tests.pipeline.world import World

ROOT = Path(__file__).resolve().parents[2]
TRAINER = (sys.executable, "-m", "trainer")
CRASHES = ("/bin/sh", "-c", "exit 3")
HANGS = ("/bin/sh", "-c", "sleep 1000")


@contextmanager
def on_cloud_run(folder: Path, command: Sequence[str]) -> Iterator[tuple[World, CloudRun]]:
    """A world with the real launcher; tasks are told what a job definition of it would tell them."""
    variables = {
        "MMM_FAMILY": "embedded",
        "MMM_FOLDER": str(folder),
        "MMM_ENGINES": json.dumps(["native"]),
        "MMM_QUEUES": json.dumps({"default": 1}),
        "NUMBA_CACHE_DIR": str(ROOT / ".numba"),
    }
    with cloud_run(command=command, environment=variables, folder=ROOT, max_retries=0) as (service, launcher):
        world = World(folder, slots=1)
        world.clock.time = datetime.now(UTC)  # as the trainings have it, which are real processes
        world.ports = replace(world.ports, launcher=launcher)
        world.runtime = Runtime(world.ports, world.settings, world.runtime.log)
        runtime.use(world.runtime)
        world.web = create_app(world.runtime).test_client()
        world.fill_warehouse()
        yield world, service


def ends(world: World, service: CloudRun, job_id: str) -> Job:
    """Deliver, train and let time pass until the job has ended."""
    for _ in range(100):
        world.deliver()
        service.wait()
        world.deliver()
        if world.job(job_id).state.terminal:
            return world.job(job_id)
        world.clock.pass_(minutes=20)
        world.sweep()
    raise AssertionError(f"{job_id} never ended: {world.states(job_id)}")


def test_a_start_that_answers_an_error_is_found_and_trained_once_by_the_real_trainer(tmp_path: Path) -> None:
    with on_cloud_run(tmp_path, TRAINER) as (world, service):
        service.faults.append(Fault("RunJob", Code.UNAVAILABLE, done=True))
        job = ends(world, service, world.submit("r1"))
        assert job.state is JobState.SUCCEEDED
        assert job.attempt == 1
        assert service.calls.count("RunJob") == 1
        claim = read_claim(
            world.ports, attempt_of(job)
        )  # the job may have succeeded before launch came again
        assert claim is not None
        assert claim.execution == world.ports.launcher.find(job.job_id, 1)[0].name
        assert "onepager.png" in world.results(job.job_id)
        assert world.ports.jobs.get(Queue, "default").slots == []
        assert [answer["state"] for answer in world.finished(job.job_id)] == ["SUCCEEDED"]


def test_real_trainers_share_the_trials_of_a_large_job(tmp_path: Path) -> None:
    with on_cloud_run(tmp_path, TRAINER) as (world, service):
        job = ends(world, service, world.submit("r1", size="large", search={"iterations": 5, "trials": 3}))
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
        assert service.calls.count("RunJob") == 1
        folder = results(job)
        models = pyarrow.parquet.read_table(io.BytesIO(world.ports.objects.read(f"{folder}models.parquet")))
        assert models["solID"].to_pylist() == [f"{trial}_{i}_1" for trial in (1, 2, 3) for i in range(1, 6)]
        console = world.ports.objects.read(f"{folder}console.log").decode()
        assert [f"task {task} of 3" in console for task in (1, 2, 3)] == [True] * 3


@pytest.mark.parametrize("method", ["ListExecutions", "RunJob"])
def test_a_right_that_has_not_spread_yet_costs_a_job_nothing_but_time(tmp_path: Path, method: str) -> None:
    with on_cloud_run(tmp_path, TRAINER) as (world, service):
        refused = [Fault(name, Code.PERMISSION_DENIED) for name in ("RunJob", *[method] * 3)]
        service.faults += refused  # a list is asked for only after a start that did not answer
        job = ends(world, service, world.submit("r1"))
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
        assert world.ports.jobs.find(DeadLetter) == []
        assert [answer["state"] for answer in world.finished(job.job_id)] == ["SUCCEEDED"]
        assert world.ports.jobs.get(Queue, "default").slots == []


def test_trainings_that_crash_are_noticed_without_an_event_and_end_the_job(tmp_path: Path) -> None:
    with on_cloud_run(tmp_path, CRASHES) as (world, service):
        job = ends(world, service, world.submit("r1"))
        assert job.state is JobState.FAILED
        assert job.attempt == 3
        assert service.calls.count("RunJob") == 3
        assert world.ports.jobs.get(Queue, "default").slots == []


def test_cancelling_a_job_stops_its_execution(tmp_path: Path) -> None:
    with on_cloud_run(tmp_path, HANGS) as (world, service):
        job_id = world.submit("r1")
        world.deliver()
        assert world.job(job_id).state is JobState.RUNNING
        assert world.act(job_id, "cancel") < 300
        world.sweep()
        assert ends(world, service, job_id).state is JobState.CANCELLED
        assert [execution.state.value for execution in world.ports.launcher.find(job_id, 1)] == ["CANCELLED"]
