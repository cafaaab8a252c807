"""Pause, resume, replay, backfill and performance, on the system of one machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts import names
from contracts.job import JobState, Queue
from contracts.summary import CountrySummary
from infra.ops.__main__ import main
from tests.ops.cloud import Cloud
from tests.ops.conftest import Run
from tests.pipeline.conftest import QuickEngine
from tests.pipeline.world import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("trainer.life.load", lambda _: QuickEngine)
    world = World(tmp_path / "folder")
    world.fill_warehouse()
    return world


@pytest.fixture
def here(world: World) -> tuple[str, str]:
    return ("--folder", str(world.embedded.folder))


def test_a_paused_queue_starts_nothing_until_it_is_resumed(
    world: World, here: tuple[str, str], ops: Run
) -> None:
    assert ops("pause", *here) == (0, [{"queue": "default", "paused": True, "running": 0}])
    job_id = world.submit("waits")
    world.run()
    assert world.job(job_id).state is JobState.QUEUED
    assert ops("resume", *here, "--queue", "default")[0] == 0
    world.clock.time = datetime.now(UTC) + timedelta(minutes=1)  # the command has the machine's clock
    world.run()
    assert world.job(job_id).state is JobState.SUCCEEDED


def test_a_queue_or_schedule_that_is_not_there_is_said(world: World, here: tuple[str, str], ops: Run) -> None:
    status, said = ops("pause", *here, "--queue", "defualt")
    assert (status, "there is no queue defualt; there are: default" in said) == (2, True)
    assert ops("pause", *here, "--schedule", "mmm-sweep")[0] == 2
    assert world.ports.jobs.find(Queue) == []


def test_dead_letters_are_sent_again_once(world: World, here: tuple[str, str], ops: Run) -> None:
    world.publish(b"no JSON")
    world.deliver()
    [row] = ops("replay", *here, "--all")[1]
    assert (row["subscription"], row["done"]) == ("extract-requests", "replayed")
    assert ops("replay", *here, "--all") == (0, [])
    assert ops("replay", *here, row["letter"])[0] == 0
    status, said = ops("replay", *here, "no-such-letter")
    assert (status, "there is no dead letter no-such-letter" in said) == (2, True)


def test_a_list_of_runs_that_was_lost_or_is_wrong_is_written_again(
    world: World, here: tuple[str, str], ops: Run
) -> None:
    job_id = world.submit("one")
    world.run()
    name = "model_summary/DE/summary.json"
    right = world.ports.objects.read(name)
    world.ports.objects.replace(name, right.replace(b'"engine": "native"', b'"engine": "robyn"'), None)
    assert world.ports.objects.read(name) != right
    assert ops("backfill", *here, "--country", "DE") == (0, [{"country": "DE", "jobs": 1}])
    assert world.ports.objects.read(name) == right
    assert [run.job_id for run in CountrySummary.model_validate_json(right).latest] == [job_id]
    assert ops("backfill", *here, "--country", "FR")[0] == 2


def test_a_job_without_a_summary_gets_one_and_one_without_a_result_is_a_finding(
    world: World, here: tuple[str, str], ops: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [world.submit(name) for name in ("kept", "without-summary", "without-result")]
    world.run()
    kept, summarized, lost = (world.job(job_id) for job_id in jobs)
    gone = [
        names.model_summary(summarized),
        names.model_summary(lost),
        f"{names.results(lost)}best_model.json",
    ]
    for name in (*gone, "model_summary/DE/summary.json"):
        info = world.ports.objects.stat(name)
        assert info
        world.ports.objects.delete(name, info.generation)
    assert main(["backfill", *here]) == 1
    assert f"{lost.job_id}: DE: left out, its result is not whole" in capsys.readouterr().out
    summary = CountrySummary.model_validate_json(world.ports.objects.read("model_summary/DE/summary.json"))
    assert {run.job_id for run in summary.latest} == {kept.job_id, summarized.job_id}
    assert world.ports.objects.stat(names.model_summary(summarized))
    assert world.ports.objects.stat(names.model_summary(lost)) is None


def test_a_schedule_of_the_cloud_is_paused(cloud: Cloud, ops: Run) -> None:
    settings = {
        "MMM_FAMILY": "gcp",
        "MMM_ENGINES": '["native"]',
        "MMM_QUEUES": '{"default": 2}',
        "MMM_PROJECT": "acme-dev",
        "MMM_REGION": "europe-west1",
        "MMM_BUCKET": "acme-dev-mmm",
        "MMM_TRAINER_JOBS": '{"native": "trainer-native"}',
    }
    cloud.answer({"gcloud run services list": [service(settings)], "gcloud scheduler jobs pause": {}})
    asked = ("pause", "--project", "acme-dev", "--schedule", "monday")
    assert ops(*asked) == (0, [{"schedule": "monday", "paused": True}])
    assert cloud.asked()[-1][0][1:6] == ["scheduler", "jobs", "pause", "monday", "--location=europe-west1"]


def service(variables: dict[str, str]) -> dict[str, object]:
    env = [{"name": name, "value": value} for name, value in variables.items()]
    page = {"url": "https://page.example"}
    return {"spec": {"template": {"spec": {"containers": [{"env": env}]}}}, "status": page}


def ended(world: World, number: int, seconds: float) -> None:
    """A job that has trained for some time."""
    job_id = world.submit(f"job-{number}")
    world.deliver()
    world.clock.pass_(seconds=seconds)
    world.run()
    assert world.job(job_id).state is JobState.SUCCEEDED


def test_durations_are_told_by_engine_and_size_and_compared(
    world: World, here: tuple[str, str], ops: Run, tmp_path: Path
) -> None:
    world.clock.time = datetime.now(UTC) - timedelta(hours=1)
    for number, seconds in enumerate((10, 20, 30, 40, 50)):
        ended(world, number, seconds)
    status, rows = ops("performance", *here)
    train = next(row for row in rows if row["figure"] == "train_s")
    assert status == 0
    assert [row["figure"] for row in rows] == ["queue_wait_s", "train_s", "total_s"]
    assert (train["engine"], train["size"], train["jobs"]) == ("native", "auto", 5)
    assert (train["p50_s"], train["p95_s"], train["change_percent"]) == (30, 48, None)
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps([{**row, "p95_s": row["p95_s"] / 2} for row in rows]))
    status, worse = ops("performance", *here, "--against", str(baseline))
    assert (status, worse[1]["change_percent"]) == (1, 100)
    assert ops("performance", *here, "--against", str(baseline), "--tolerance", "101")[0] == 0
    baseline.write_text("{")
    assert ops("performance", *here, "--against", str(baseline))[0] == 2
