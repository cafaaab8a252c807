"""What a request asks besides a model: its budget question, its annotations, its own holidays."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from contracts import names
from contracts.job import JobState
from contracts.summary import ModelSummary
from tests.pipeline.world import World
from trainer.engines.native.recreate import recreate

SEARCH = {"iterations": 60, "trials": 2}
DATES = {"start": "2024-01-01", "end": "2024-12-23"}


@pytest.fixture
def real(tmp_path: Path) -> World:
    """A world with the native engine and the demo data."""
    world = World(tmp_path)
    world.fill_warehouse()
    return world


def result(world: World, job_id: str, name: str) -> bytes:
    return world.ports.objects.read(f"{names.results(world.job(job_id))}{name}")


def document(world: World, job_id: str, name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(result(world, job_id, name))
    return read


def test_a_request_gets_its_budget_answered_its_notes_kept_and_a_model_that_comes_again(real: World) -> None:
    budget = {**DATES, "total": 4_000_000, "channel_budgets": {"tv_spend": 1_500_000}}
    note = {"date": "2024-03-04", "text": "relaunch of the shop"}
    holidays = [{"date": f"{year}-11-2{day}", "name": "black week"} for year, day in ((2022, 5), (2023, 4))]
    prophet = {"components": ["trend", "holiday"], "holidays": holidays}
    job_id = real.submit("r1", search=SEARCH, budget=budget, annotations=[note], prophet=prophet)
    real.run()
    job = real.job(job_id)
    assert job.state is JobState.SUCCEEDED, job.error
    found = document(real, job_id, "allocator.json")
    assert found["feasible"]
    after = {channel["name"]: channel["after"]["spend"] for channel in found["channels"]}
    assert after["tv_spend"] == pytest.approx(1_500_000)
    assert sum(after.values()) == pytest.approx(4_000_000)
    table = f"{found['sol_id']}_max_response_reallocated"
    typed = pd.read_parquet(BytesIO(result(real, job_id, f"{table}.parquet")))
    assert typed["optmSpendTotal"][0] == pytest.approx(4_000_000)
    assert b"relaunch of the shop" in result(real, job_id, "annotations.csv")
    manifest = {file["name"] for file in document(real, job_id, "manifest.json")["files"]}
    assert {f"{table}.csv", f"{table}.parquet", "allocator.png", "model.json"} <= manifest
    data = pd.read_parquet(BytesIO(real.ports.objects.read(names.prepared(job.country, job_id))))
    again = recreate(data, document(real, job_id, "model.json")).best
    best = document(real, job_id, "best_model.json")
    assert again.solution == best["sol_id"]
    assert again.candidate["nrmse"] == pytest.approx(best["nrmse"], rel=1e-12)
    for media, channel in zip(again.media, best["channels"], strict=True):
        assert media.response.sum() == pytest.approx(channel["response"], rel=1e-12)
    holiday = again.contributions["holiday"]
    assert set(holiday[holiday != 0].index.strftime("%Y-%m-%d")) <= {"2022-11-21", "2023-11-20"}


def test_several_questions_go_all_the_way_to_whoever_asked(real: World) -> None:
    later = {"start": "2025-12-29", "end": "2026-03-29", "pattern": "even"}
    asked = [
        {**DATES, "name": "past", "plans": {"less": {"tv_spend": "-20 %"}}},
        {**later, "name": "next", "total": "+10 %"},
        {**DATES, "name": "nothing", "total": 1},
    ]
    job_id = real.submit("r1", search=SEARCH, budgets=asked, posterior={"draws": 200})
    real.run()
    [finished] = real.finished(job_id)
    past, following, nothing = finished["budgets"]
    assert [one["name"] for one in (past, following, nothing)] == ["past", "next", "nothing"]
    first, second, third = (document(real, job_id, f"allocator{end}.json") for end in ("", "-2", "-3"))
    assert past["gain"] == first["gain"]
    assert past["plans"]["less"] == first["plans"][0]["gain"]
    assert past["plans"]["less"]["mean"] < 0
    assert following["after"] == pytest.approx(1.1 * following["before"])
    assert (following["start"], following["end"]) == (second["start"], second["end"])
    assert (nothing["feasible"], nothing["reason"]) == (False, third["reason"])
    summary = ModelSummary.model_validate_json(result(real, job_id, "model_summary.json"))
    assert [summary.budget.name, *(one.name for one in summary.further_budgets)] == [
        "past",
        "next",
        "nothing",
    ]
    manifest = {file["name"] for file in document(real, job_id, "manifest.json")["files"]}
    assert {"curves.json", "plans.png", "allocator-2.png", "allocator-3.json"} <= manifest


def test_a_question_without_an_answer_does_not_spoil_the_training(real: World) -> None:
    job_id = real.submit("r1", search=SEARCH, budget={**DATES, "total": 1})
    past = real.submit("r2", search=SEARCH, budget={**DATES, "scenario": "historical"})
    real.run()
    assert [real.job(one).state for one in (job_id, past)] == [JobState.SUCCEEDED] * 2
    refused = document(real, job_id, "allocator.json")
    assert not refused["feasible"]
    assert "lower bounds of all channels together" in refused["reason"]
    assert refused["reason"].encode() in result(real, job_id, "console.log")
    spent = document(real, past, "allocator.json")["historical"]["spend"]
    paid = [
        channel["spend"] for channel in document(real, past, "best_model.json")["channels"] if channel["paid"]
    ]
    assert 0 < spent < sum(paid)
