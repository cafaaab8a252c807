"""Commands on an installation of Google Cloud: emulators, and a stand-in for what gcloud describes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from contracts.events import TRAIN_REQUESTS
from contracts.job import DeadLetter, Queue
from functions import runtime
from functions.ports import Ports
from tests.adapters.families import skipped_if_missing
from tests.ops.cloud import Cloud
from tests.ops.conftest import GCLOUD, Run
from tests.pipeline.test_families import gcp

pytestmark = pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed")


class SignIn(BaseHTTPRequestHandler):
    """Identity-Aware Proxy, to somebody who is not signed in."""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", "https://accounts.google.com/")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), SignIn) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    """A whole installation; in this module it has one project."""
    with skipped_if_missing(), gcp(tmp_path_factory.mktemp("gcp")) as (ports, _):
        yield ports


@pytest.fixture
def project(ports: Ports, cloud: Cloud, page: str) -> tuple[str, str]:
    """The option that names the installation; a stand-in for gcloud describes its page."""
    assert ports is not None
    values = json.loads(runtime.current().settings.model_dump_json(exclude_defaults=True))
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    env = [{"name": f"MMM_{name.upper()}", "value": text} for name, text in texts.items()]
    spec = {"template": {"spec": {"containers": [{"env": env}]}}}
    described = {"metadata": {"name": "mmm-web"}, "spec": spec, "status": {"url": page}}
    cloud.emulate_subscriptions(str(GCLOUD))
    cloud.answer({"gcloud run services list": [described]})
    return ("--project", str(values["project"]))


def test_smoke_goes_through_a_cloud_and_its_job_is_counted(
    ports: Ports, project: tuple[str, str], ops: Run
) -> None:
    status, rows = ops("smoke", *project)
    assert status == 0, rows
    steps = [row["step"] for row in rows]
    assert steps[:6] == ["ACCEPTED", "EXTRACTED", "QUEUED", "RUNNING", "TRAINED", "SUCCEEDED"]
    assert steps[6:] == [
        "the job succeeds",
        "job-finished tells it",
        "the page sends strangers to the sign-in",
        "the summaries are there",
    ]
    status, durations = ops("performance", *project)
    assert (status, [row["jobs"] for row in durations]) == (0, [1, 1, 1])
    status, [attempt, total] = ops("cost-job", *project)
    assert (status, attempt["engine"], attempt["tasks"]) == (0, "native", 1)
    assert total["usd"] > 0
    summary = "model_summary/smoke/summary.json"
    right = ports.objects.read(summary)
    info = ports.objects.stat(summary)
    assert info
    ports.objects.replace(summary, b"{}", info.generation)
    assert ops("backfill", *project, "--country", "smoke") == (0, [{"country": "smoke", "jobs": 1}])
    assert json.loads(ports.objects.read(summary)) == json.loads(right)


def test_queues_of_a_cloud_are_paused_and_resumed(ports: Ports, project: tuple[str, str], ops: Run) -> None:
    assert ops("pause", *project) == (0, [{"queue": "default", "paused": True, "running": 0}])
    queue = ports.jobs.get(Queue, "default")
    assert queue
    assert queue.paused
    assert ops("resume", *project)[0] == 0
    queue = ports.jobs.get(Queue, "default")
    assert queue
    assert not queue.paused


def test_a_dead_letter_of_a_cloud_is_sent_again(ports: Ports, project: tuple[str, str], ops: Run) -> None:
    ports.bus.publish(TRAIN_REQUESTS, b"no JSON")
    until = time.monotonic() + 60
    while not ports.jobs.find(DeadLetter):
        assert time.monotonic() < until
        time.sleep(0.2)
    status, [row] = ops("replay", *project, "--all")
    assert (status, row["subscription"], row["done"]) == (0, "extract-requests", "replayed")


def test_only_what_is_old_or_retired_goes(
    ports: Ports, project: tuple[str, str], ops: Run, cloud: Cloud
) -> None:
    version = "projects/7/secrets/snowflake-w-key/versions/1"
    cloud.answer(
        {
            "gcloud secrets list": [{"name": "projects/7/secrets/snowflake-w-key"}],
            "gcloud secrets versions list": [{"name": version}],
            "gcloud secrets versions destroy": {},
        }
    )
    ports.objects.create("scratch/young/attempt-1/claim.json", b"{}")
    assert ops("clean", *project) == (0, [{"what": version, "done": "may go"}])
    assert ops("clean", *project, "--delete") == (0, [{"what": version, "done": "deleted"}])
    destroyed = [words[4:6] for words, _ in cloud.asked() if "destroy" in words]
    assert destroyed == [["1", "--secret=snowflake-w-key"]]
    assert ports.objects.stat("scratch/young/attempt-1/claim.json")
