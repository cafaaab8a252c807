"""What the functions are deployed from: the same bytes each time, and all that a function needs."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from contracts.events import DEAD_LETTERS, SweepRequest, TrainingFinished, TrainingReady
from contracts.job import DeadLetter, Job, JobState
from contracts.names import Attempt
from functions.notifications import notification
from functions.ports import Ports
from functions.settings import GcpSettings
from infra import archive
from infra.local.demo_data import demo_csv, demo_settings, generate
from tests.adapters.families import skipped_if_missing
from tests.adapters.gcp_servers.emulators import free_port
from tests.environments import environment

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120
NO_IDENTITY = {"NO_GCE_CHECK": "true", "GOOGLE_APPLICATION_CREDENTIALS": ""}


def unpacked(folder: Path) -> Path:
    archive.write(folder / "functions.zip")
    with zipfile.ZipFile(folder / "functions.zip") as file:
        file.extractall(folder / "source")
    return folder / "source"


def as_environment(settings: GcpSettings) -> dict[str, str]:
    values = json.loads(settings.model_dump_json(exclude_defaults=True))
    values["iap_audience"] = "/projects/1/locations/europe-west1/services/mmm-web"
    return {f"MMM_{k.upper()}": v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}


def test_the_same_tree_makes_the_same_bytes(tmp_path: Path) -> None:
    archive.write(tmp_path / "one.zip")
    source = ROOT / "functions" / "main.py"
    times = source.stat()
    os.utime(source)
    archive.write(tmp_path / "two.zip")
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_every_package_of_the_archive_is_pinned_by_hash(tmp_path: Path) -> None:
    lines = (unpacked(tmp_path) / "requirements.txt").read_text().replace("\\\n", "").splitlines()
    packages = [line for line in lines if line[:1].isalpha()]
    assert packages
    assert [line for line in packages if "==" not in line or "--hash=sha256:" not in line] == []


@pytest.mark.parametrize("function", ["launch", "finalize"])
def test_a_light_function_imports_neither_snowflake_nor_pyarrow(function: str, tmp_path: Path) -> None:
    pytest.importorskip("google.cloud.firestore", reason="requirements/gcp.txt is not installed")
    login = {"account": "a", "user": "u", "role": "r", "warehouse": "w", "password_file": "/none"}
    variables = {
        "MMM_FAMILY": "gcp",
        "MMM_PROJECT": "p",
        "MMM_REGION": "europe-west3",
        "MMM_BUCKET": "b",
        "MMM_ENGINES": '["native"]',
        "MMM_QUEUES": '{"default": 1}',
        "MMM_TRAINER_JOBS": '{"native": "trainer"}',
        "MMM_SNOWFLAKE": json.dumps({"warehouse": login}),
    }
    code = (
        f"import sys, main; main.{function}; import functions.{function}.handler\n"
        "from functions.runtime import current; assert 'warehouse' in current().ports.warehouses\n"
        "print([name for name in ('snowflake', 'pyarrow', 'pandas', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=unpacked(tmp_path), env=variables, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


class Served:
    """Every function of the archive, each served by functions-framework with the archive's packages alone."""

    def __init__(self, folder: Path, ports: Ports) -> None:
        self.ports = ports
        self._folder = folder
        self._urls: dict[str, str] = {}

    @contextmanager
    def serving(self, python: Path, variables: dict[str, str]) -> Iterator[None]:
        source = unpacked(self._folder)
        processes = [self._start(name, python, source, variables) for name in archive.ENTRY_POINTS]
        try:
            yield
        finally:
            for process in processes:
                process.send_signal(signal.SIGINT)  # gunicorn's quick end
            for process in processes:
                process.wait()

    def _start(
        self, name: str, python: Path, source: Path, variables: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        home, port = self._folder / name, free_port()
        home.mkdir()
        self._urls[name] = f"http://127.0.0.1:{port}"
        command = [str(python.with_name("functions-framework")), "--target", name]
        with (home / "log").open("w") as log:
            return subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(port)],
                cwd=source,
                env={**variables, "HOME": str(home)},
                stdout=log,
                stderr=log,
            )

    def url(self, name: str) -> str:
        """The address of a function that answers."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                requests.get(f"{self._urls[name]}/robots.txt", timeout=PATIENCE_S)
                return self._urls[name]
            except requests.ConnectionError:
                assert time.monotonic() < until, self.log(name)
                time.sleep(0.1)

    def log(self, name: str) -> str:
        return (self._folder / name / "log").read_text()[-3000:]

    def send(self, name: str, data: bytes, attributes: dict[str, str] | None = None) -> int:
        message = {"messageId": "1", "data": base64.b64encode(data).decode(), "attributes": attributes or {}}
        envelope = {"message": message, "subscription": f"projects/p/subscriptions/{name}"}
        return requests.post(self.url(name), json=envelope, timeout=PATIENCE_S).status_code

    def tell(self, name: str, object_name: str) -> int:
        """Send the notification of an object."""
        _, data, attributes = notification(self.ports.objects.stat(object_name))
        return self.send(name, data, attributes)

    def job(self) -> Job:
        (job,) = self.ports.jobs.find(Job)
        return job

    def letter(self) -> DeadLetter:
        """The dead letter that bury has stored, once it has."""
        until = time.monotonic() + PATIENCE_S
        while not (letters := self.ports.jobs.find(DeadLetter)):
            assert time.monotonic() < until, self.log("bury")
            time.sleep(0.1)
        return letters[0]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    try:
        from functions.adapters.gcp import gcp_ports
        from tests.adapters.family_gcp import create_topics, installation, subscribe
    except ModuleNotFoundError as error:
        pytest.skip(f"requirements/gcp.txt is not installed ({error})")
    with ExitStack() as stack:
        with skipped_if_missing():
            python = environment(ROOT / "requirements" / "functions.txt")
            settings, addresses, _bucket = stack.enter_context(installation())
        create_topics(settings.project)
        variables = {**as_environment(settings), **addresses, **NO_IDENTITY, "PATH": os.environ["PATH"]}
        served = Served(tmp_path, gcp_ports(settings))
        stack.enter_context(served.serving(python, variables))
        subscribe(settings.project, "bury-dead-letters", DEAD_LETTERS, served.url("bury"))
        yield served


def test_every_function_of_the_archive_does_its_work(served: Served) -> None:
    objects = served.ports.objects
    objects.create("drop-zone/AT/sales.request.yaml", demo_settings(5, 1).encode())
    objects.create("drop-zone/AT/sales.csv", demo_csv(generate(seed=11, country="AT")))
    assert served.tell("extract", "drop-zone/AT/sales.csv") == 204, served.log("extract")
    assert served.job().state is JobState.EXTRACTED

    dataset = next(info.name for info in objects.list("datasets/"))
    assert served.tell("validate", dataset) == 204, served.log("validate")
    assert (served.job().state, served.job().rows) == (JobState.QUEUED, 208)

    ready = TrainingReady(job_id=served.job().job_id, attempt=1).model_dump_json().encode()
    assert served.send("launch", ready) == 503, served.log("launch")
    assert "needs an identity" in served.log("launch")  # to start an execution; there is none here
    assert served.job().state is JobState.QUEUED
    assert objects.stat(Attempt(served.job().job_id, 1).config)

    outcome = Attempt("nobody-000000000000", 1).outcome
    objects.create(outcome, b"{}")
    assert served.tell("finalize", outcome) == 204, served.log("finalize")
    assert "no job" in served.letter().reason
    nobody = TrainingFinished(job_id="nobody-000000000000", attempt=1, state=JobState.TRAINED)
    assert served.send("summarize", nobody.model_dump_json().encode()) == 204, served.log("summarize")
    assert "stale" in served.log("summarize")
    assert served.send("sweep", SweepRequest().model_dump_json().encode()) == 204, served.log("sweep")

    page = requests.get(served.url("web"), timeout=PATIENCE_S)  # past the proxy: nobody sees anything
    assert "did not come through Identity-Aware Proxy" in page.text
    assert (page.status_code, page.headers["X-Frame-Options"]) == (401, "DENY")
    assert requests.get(f"{served.url('web')}/health", timeout=PATIENCE_S).status_code == 200
    refused = requests.post(f"{served.url('web')}/api/v1/jobs/nobody:retry", timeout=PATIENCE_S)
    assert refused.headers["Content-Type"] == "application/problem+json"
