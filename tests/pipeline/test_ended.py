"""The line that dashboards and alerts are made from: one for each job that ended, with its figures."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.job import JobState
from functions import runtime
from functions.log import Log
from tests.pipeline import conftest
from tests.pipeline.world import World

ROOT = Path(__file__).resolve().parents[2]
ALWAYS = {
    "severity",
    "message",
    "event",
    "job_id",
    "attempt",
    "state",
    "engine",
    "size",
    "country",
    "attempts",
}


@pytest.fixture
def lines(world: World) -> io.StringIO:
    stream = io.StringIO()
    world.runtime = replace(world.runtime, log=Log("json", stream))
    runtime.use(world.runtime)
    return stream


def ended(lines: io.StringIO) -> list[dict[str, Any]]:
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [line for line in logged if line.get("event") == "job-ended"]


def test_a_success_tells_its_times_its_cost_and_its_quality(world: World, lines: io.StringIO) -> None:
    job_id = world.submit("r1")
    world.until(job_id, JobState.QUEUED)
    world.clock.pass_(seconds=30)
    world.until(job_id, JobState.RUNNING)
    world.clock.pass_(seconds=90)
    world.run()
    (line,) = ended(lines)
    assert set(line) >= ALWAYS
    assert (line["job_id"], line["state"], line["engine"], line["country"]) == (
        job_id,
        "SUCCEEDED",
        "native",
        "DE",
    )
    assert (line["queue_wait_s"], line["train_s"], line["total_s"], line["attempts"]) == (
        30.0,
        90.0,
        120.0,
        1,
    )
    assert (line["r2"], line["nrmse"]) == (0.9, 0.05)
    assert line["cpu_s"] >= 0 < line["memory_mb"]


def test_the_fields_that_metrics_are_made_from_are_there(
    world: World, lines: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels = [
        {"name": "tv_spend", "metric": "roas", "q05": 1.0, "q50": 2.0, "q95": 3.0, "learned": 0.5},
        {"name": "search_spend", "metric": "roas", "q05": 1.0, "q50": 4.0, "q95": 9.0, "learned": 0.5},
    ]
    posterior = {"converged": True, "channels": channels, "sentences": []}
    best = json.loads(conftest.EXAMPLE.read_text(encoding="utf-8"))
    best["channels"] += [{**best["channels"][0], "name": "search_spend"}]
    example = tmp_path / "best_model.json"
    example.write_text(json.dumps({**best, "posterior": posterior}), encoding="utf-8")
    monkeypatch.setattr(conftest, "EXAMPLE", example)
    world.submit("r1")
    world.run()
    (line,) = ended(lines)
    assert line["interval_width"] == 1.5  # the median of 1 and 2
    watched = (ROOT / "infra" / "terraform" / "watch.tf").read_text(encoding="utf-8")
    fields = {
        *re.findall(r'field = "(\w+)"', watched),
        *re.findall(r"EXTRACT\(jsonPayload\.(\w+)\)", watched),
    }
    assert len(fields) > 8
    assert fields <= set(line)


def test_repeats_of_the_message_that_ended_a_job_add_no_line(world: World, lines: io.StringIO) -> None:
    body = world.request("r1")
    world.publish(body)
    world.run()
    world.publish(body)
    world.run()
    assert len(ended(lines)) == 1


def test_a_rejected_a_failed_and_a_cancelled_job_tell_so_too(world: World, lines: io.StringIO) -> None:
    world.submit("bad", columns={"date": "date"})
    crashed = world.submit("crashed")
    world.deliver()
    for _ in range(9):
        world.train(exit_code=139)
        world.clock.pass_(minutes=20)
        world.sweep()
    cancelled = world.submit("cancelled")
    world.until(cancelled, JobState.RUNNING)
    world.act(cancelled, "cancel")
    world.run()
    for _ in range(3):
        world.clock.pass_(minutes=20)
        world.sweep()
    assert world.job(crashed).state is JobState.FAILED
    assert sorted(line["state"] for line in ended(lines)) == ["CANCELLED", "FAILED", "REJECTED"]
    assert all(set(line) >= ALWAYS for line in ended(lines))
    (failed,) = [line for line in ended(lines) if line["state"] == "FAILED"]
    assert (failed["attempts"], failed["problem"]) == (3, world.job(crashed).error.type)
