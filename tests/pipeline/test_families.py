"""One upload's whole way on each family: real servers, pushes over HTTP, the real trainer as a process."""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from contracts import names
from contracts.events import JOB_FINISHED, SUBSCRIPTIONS
from contracts.job import DeadLetter, Job, JobState, Queue
from contracts.summary import ModelSummary
from functions import runtime
from functions.log import Log
from functions.ports import Ports
from functions.runtime import Runtime
from infra.local.demo_data import demo_csv, demo_settings, generate
from infra.local.functions import functions_app
from infra.local.host import LocalHost, QuietHandler, local_settings
from tests.adapters.families import MissingPart, skipped_if_missing
from tests.adapters.receiver import Receiver, receiving

ROOT = Path(__file__).resolve().parents[2]
WAY = ["ACCEPTED", "EXTRACTED", "QUEUED", "RUNNING", "TRAINED", "SUCCEEDED"]
PATIENCE_S = 240

Running = tuple[Ports, Receiver]


@contextmanager
def embedded(folder: Path) -> Iterator[Running]:
    with receiving() as upstream, LocalHost(local_settings(folder), 0, Log("text")) as host:
        host.embedded.bus.subscribe("upstream", JOB_FINISHED, upstream.url)
        yield host.embedded.ports(), upstream


@contextmanager
def gcp(_: Path) -> Iterator[Running]:
    try:
        from functions.adapters.gcp import gcp_ports
        from tests.adapters.family_cloud_run import cloud_run
        from tests.adapters.family_gcp import create_topics, installation, subscribe
    except ModuleNotFoundError as error:
        raise MissingPart(f"requirements/gcp.txt is not installed ({error})") from error
    with installation() as (settings, addresses, _bucket), receiving() as upstream:
        values = json.loads(settings.model_dump_json(exclude_defaults=True))
        told = {f"MMM_{k.upper()}": v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
        variables = {**told, **addresses, "NUMBA_CACHE_DIR": str(ROOT / ".numba")}
        command = (sys.executable, "-m", "trainer")
        with cloud_run(command=command, environment=variables, folder=ROOT) as (_service, launcher):
            ports = replace(gcp_ports(settings), launcher=launcher)
            runtime.use(Runtime(ports, settings, Log("text")))
            create_topics(settings.project)
            subscribe(settings.project, "upstream", JOB_FINISHED, upstream.url)
            with serving() as url:
                for name, (topic, function) in SUBSCRIPTIONS.items():
                    subscribe(settings.project, name, topic, f"{url}/{function}", ack_deadline_seconds=600)
                yield ports, upstream


@contextmanager
def serving() -> Iterator[str]:
    """Every function, as functions-framework serves it."""
    server = make_server("127.0.0.1", 0, functions_app(), threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()


@pytest.fixture(params=[embedded, gcp], ids=["embedded", "gcp"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    family: Callable[[Path], AbstractContextManager[Running]] = request.param
    with skipped_if_missing(), family(tmp_path) as running:
        yield running


def ended(ports: Ports) -> Job:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        jobs = ports.jobs.find(Job)
        if jobs and jobs[0].state.terminal:
            return jobs[0]
        time.sleep(0.3)
    raise AssertionError(f"no job has ended: {[(job.job_id, job.state) for job in ports.jobs.find(Job)]}")


def told(upstream: Receiver) -> list[dict[str, Any]]:
    return [json.loads(base64.b64decode(envelope["message"]["data"])) for _, envelope in upstream.wait_for(1)]


def test_an_upload_becomes_a_trained_and_summarised_model(running: Running) -> None:
    ports, upstream = running
    ports.objects.create("drop-zone/AT/sales.csv", demo_csv(generate(seed=11, country="AT")))
    ports.objects.create("drop-zone/AT/sales.request.yaml", demo_settings(5, 1).encode())
    job = ended(ports)
    assert (job.state, job.error) == (JobState.SUCCEEDED, None)
    assert [entry.state.value for entry in job.timeline] == WAY
    assert (job.country, job.attempt, job.rows) == ("AT", 1, 208)
    assert job.execution == ports.launcher.find(job.job_id, 1)[0].name
    summary = ModelSummary.model_validate_json(ports.objects.read(names.model_summary(job)))
    assert summary.provenance["fingerprint"] == job.fingerprint
    answers = told(upstream)
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["state"] == "SUCCEEDED"
    assert ports.objects.stat(answers[0]["paths"]["onepager"])
    queue = ports.jobs.get(Queue, "default")
    assert queue
    assert queue.slots == []
    assert ports.jobs.find(DeadLetter) == []
