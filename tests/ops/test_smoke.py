"""Smoke and clean, on a system that runs and on one that does not."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from functions.adapters.embedded import Embedded
from infra.local.host import LocalHost
from infra.ops.place import environment
from tests.ops.cloud import Cloud
from tests.ops.conftest import Run
from tests.pipeline.world import FakeClock

ROOT = Path(__file__).resolve().parents[2]


def test_a_system_that_runs_trains_the_tiny_request(host: LocalHost, ops: Run) -> None:
    status, rows = ops("smoke", "--folder", str(host.settings.folder))
    assert status == 0, rows
    steps = [row["step"] for row in rows]
    assert steps[:5] == ["ACCEPTED", "EXTRACTED", "QUEUED", "RUNNING", "TRAINED"]
    assert [row["step"] for row in rows if row["good"]] == [
        "the job succeeds",
        "job-finished tells it",
        "the page answers",
        "the summaries are there",
    ]


def test_a_system_that_does_not_run_is_found_out_in_time(tmp_path: Path, ops: Run) -> None:
    Embedded(tmp_path)
    status, rows = ops("smoke", "--folder", str(tmp_path), "--timeout", "1")
    assert status == 1
    assert [row["note"] for row in rows if row["good"] is False] == [
        "no job after 1 s: is extract woken?",
        "nothing runs: `make up` starts the system",
    ]


def test_where_nothing_is_installed_nothing_is_made(tmp_path: Path, ops: Run) -> None:
    status, said = ops("smoke", "--folder", str(tmp_path / "typing-error"))
    assert (status, "holds no installation" in said) == (2, True)
    assert not (tmp_path / "typing-error").exists()


@pytest.fixture
def old(tmp_path: Path) -> Embedded:
    """An installation with a job of long ago and one of today."""
    clock = FakeClock()
    clock.time = datetime.now(UTC) - timedelta(days=40)
    embedded = Embedded(tmp_path / "folder", clock)
    for name in ("scratch/old/attempt-1/claim.json", "robyn/r/DE/old"):
        embedded.objects.create(name, b"{}")
    clock.pass_(days=40)
    embedded.objects.create("scratch/new/attempt-1/claim.json", b"{}")
    return embedded


def test_what_may_go_is_listed_and_goes_only_when_told(old: Embedded, ops: Run) -> None:
    words = ("clean", "--folder", str(old.folder))
    status, rows = ops(*words)
    assert status == 0
    assert [(row["what"], row["done"], row["objects"]) for row in rows] == [("scratch/old/", "may go", 1)]
    assert old.objects.stat("scratch/old/attempt-1/claim.json")
    assert ops(*words, "--delete")[1][0]["done"] == "deleted"
    assert old.objects.stat("scratch/old/attempt-1/claim.json") is None
    assert old.objects.stat("scratch/new/attempt-1/claim.json")


@pytest.mark.parametrize("prefix", ["robyn/", "outcomes/", "model_summary/", "sources/", "", "scr"])
def test_results_are_never_cleaned(old: Embedded, ops: Run, prefix: str) -> None:
    status, said = ops("clean", "--folder", str(old.folder), "--prefix", prefix, "--delete")
    assert (status, "is protected" in said) == (2, True)
    assert old.objects.stat("robyn/r/DE/old")


def test_what_may_still_be_needed_is_never_cleaned(old: Embedded, ops: Run) -> None:
    status, said = ops("clean", "--folder", str(old.folder), "--older", "1")
    assert (status, "at least 7 days" in said) == (2, True)


def test_a_project_without_an_installation_is_said(cloud: Cloud, ops: Run) -> None:
    cloud.answer({"gcloud run services list": []})
    status, said = ops("clean", "--project", "acme-dev")
    assert (status, "there is no service mmm-web in project acme-dev" in said) == (2, True)


def test_what_the_cloud_refuses_is_told_in_its_own_words(cloud: Cloud, ops: Run) -> None:
    cloud.answer({"gcloud run services list": "ERROR: Reauthentication failed"})
    status, said = ops("smoke", "--project", "acme-dev")
    assert (status, "Reauthentication failed" in said) == (2, True)


def test_settings_are_those_that_the_page_runs_with() -> None:
    variables = [{"name": "MMM_QUEUES", "value": '{"default": 2}'}, {"name": "THREADS", "value": "8"}]
    service = {"spec": {"template": {"spec": {"containers": [{"env": variables}]}}}}
    assert environment(service) == {"queues": {"default": 2}}


def test_every_command_explains_itself() -> None:
    command = [sys.executable, "-m", "infra.ops"]
    done = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "smoke" in done.stdout
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 2


def test_commands_need_no_package_of_the_tests() -> None:
    """`make deploy-smoke` and `make cleanup` install what the system and its cloud family need only."""
    lines = (ROOT / "requirements" / "dev.in").read_text().splitlines()
    packages = {line for line in lines if line and not line.startswith(("#", "-c"))}
    modules = {name.replace("-", "_") for name in packages} | {"sklearn"}
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({sorted(modules)!r}))\n"
        "import infra.ops.__main__, functions.adapters.gcp, functions.web.app"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
