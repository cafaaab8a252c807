"""Trainings that begin with the result of a former job."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from contracts import names
from contracts.attempt import TrainingConfig
from contracts.job import JobState
from functions import runtime
from infra.local.demo_data import generate
from tests.pipeline.world import World

SEARCH = {"iterations": 60, "trials": 2}


@pytest.fixture
def real(tmp_path: Path) -> World:
    """A world with the native engine, and the first 190 weeks of sales in its warehouse."""
    world = World(tmp_path)
    world.fill_warehouse(generate().table[:190])
    world.fill_warehouse(name="newer_sales")
    return world


def refused(world: World, request_id: str, **changes: Any) -> list[str]:
    job_id = world.submit(request_id, **changes)
    world.deliver()
    job = world.job(job_id)
    assert job.state is JobState.REJECTED
    assert job.error is not None
    return job.error.errors


def test_the_job_of_another_country_is_no_former_unless_settings_allow_it(world: World) -> None:
    former = world.submit("former", country="FR")
    world.run()
    asked = {"search": {"iterations": 5, "trials": 1, "start_from": former}}
    errors = refused(world, "other", country="DE", **asked)
    assert errors == [f"search.start_from: job {former} is of the country FR, not DE"]
    settings = world.settings.model_copy(update={"former_of_other_countries": True})
    runtime.use(replace(world.runtime, settings=settings))
    job_id = world.submit("allowed", country="DE", **asked)
    world.deliver()
    assert world.job(job_id).state is JobState.RUNNING


def result(world: World, job_id: str, name: str) -> bytes:
    return world.ports.objects.read(f"{names.results(world.job(job_id))}{name}")


def test_a_model_is_continued_with_newer_data_and_that_again_from_its_front(real: World) -> None:
    first = real.submit("first", search=SEARCH)
    real.run()
    newer = {**real.request("any")["source"], "table": "newer_sales"}
    second = real.submit("second", search=SEARCH, source=newer, refresh_of=first)
    third = real.submit("third", search={**SEARCH, "start_from": first}, source=newer)
    real.run()
    assert [real.job(job_id).state for job_id in (first, second, third)] == [JobState.SUCCEEDED] * 3
    story = json.loads(result(real, second, "refresh.json"))
    best = json.loads(result(real, first, "best_model.json"))
    assert story["models"] == [{"job": first, "sol_id": best["sol_id"]}]
    assert (story["steps"], story["window"]["rows"]) == (18, 190)
    manifest = result(real, second, "manifest.json")
    for name in ("refresh.json", "report_aggregated.csv", "report_alldecomp_matrix.csv"):
        assert name.encode() in manifest
    front = pd.read_csv(BytesIO(result(real, first, "pareto_hyperparameters.csv")))
    best_nrmse = front[front["robynPareto"] == 1].sort_values("nrmse").iloc[0]
    tried = pd.read_parquet(BytesIO(result(real, third, "models.parquet")))
    begun = tried[tried["iterNG"] == 1]["tv_spend_thetas"]
    assert begun.tolist() == pytest.approx([best_nrmse["tv_spend_thetas"]] * 2)


def test_what_stands_in_the_way_is_said_at_once_and_before_anything_is_extracted(world: World) -> None:
    unknown = "never-sent-0123456789ab"
    assert refused(world, "a", search={"start_from": unknown}) == [
        f"search.start_from: there is no job '{unknown}'"
    ]
    only_checked = world.submit("checked", validate_only=True)
    world.deliver()
    waiting = world.submit("waiting")
    world.until(waiting, JobState.QUEUED)
    columns = world.request("any")["columns"]
    other = {**columns, "paid_media": columns["paid_media"][1:], "context": []}
    errors = refused(world, "b", refresh_of=waiting, columns=other, adstock="weibull_cdf")
    told = [line.removeprefix(f"refresh_of: job {waiting} ").split(":")[0] for line in errors]
    assert told == [
        "has no result",
        "has other adstock",
        "has other media columns",
        "has other spend columns",
        "has other context columns and factors",
    ]
    assert "new request_id when it has succeeded" in errors[0]
    assert refused(world, "c", refresh_of=only_checked) == [
        f"refresh_of: job {only_checked} only validated its data; it has no model"
    ]
    errors = refused(world, "e", engine="robyn", search={"start_from": unknown})
    assert "search.start_from: needs the engine native; this request has the engine robyn" in errors
    both = refused(world, "d", refresh_of=waiting, search={**SEARCH, "start_from": waiting})
    assert "leave search.start_from out" in both[0]


def test_the_former_job_is_looked_at_once(world: World) -> None:
    first = world.submit("first", search=SEARCH)
    world.until(first, JobState.QUEUED)
    errors = refused(world, "early", refresh_of=first)
    world.run()
    assert world.job(first).state is JobState.SUCCEEDED
    assert refused(world, "early", refresh_of=first) == errors


def weekly(until: str, since: str = "2022-01-03") -> pd.DataFrame:
    table = generate().table
    return table[(table["date"] >= since) & (table["date"] <= until)]


@pytest.mark.parametrize(
    ("table", "resample", "code", "told"),
    [
        (weekly("2024-12-30"), None, "not-newer", "the former window ends on 2024-12-30"),
        (weekly("2024-06-03"), None, "not-newer", "from 2022-01-03 to 2024-06-03, hold nothing newer"),
        (weekly("2025-12-22", "2025-01-06"), None, "former-window", "not a date of the data"),
        (weekly("2025-12-22", "2024-12-30"), None, "former-window", "the window has 53 periods"),
        (generate().table, "month", "former-interval", "a row per week, these have one per month"),
    ],
)
def test_data_that_do_not_continue_the_former_model_are_rejected_before_a_slot_is_taken(
    world: World, table: pd.DataFrame, resample: str | None, code: str, told: str
) -> None:
    first = world.submit("first")  # its best model is of the weeks 2024-01-01 to 2024-12-30
    world.run()
    world.fill_warehouse(table, name="newer_sales")
    source = {**world.request("any")["source"], "table": "newer_sales"}
    changes: dict[str, Any] = {"resample": {"interval": resample}} if resample else {}
    second = world.submit("second", refresh_of=first, source=source, **changes)
    world.deliver()
    job = world.job(second)
    assert (job.state, world.states(second)) == (JobState.REJECTED, ["ACCEPTED", "EXTRACTED", "REJECTED"])
    assert [told in finding.message for finding in job.findings if finding.code == code] == [True]


def test_a_window_s_end_that_is_not_newer_is_rejected_though_the_data_are(world: World) -> None:
    first = world.submit("first")
    world.run()
    second = world.submit("second", refresh_of=first, window={"end": "2024-12-30"})
    world.deliver()
    assert world.job(second).state is JobState.REJECTED
    assert "correct window.end" in world.job(second).findings[0].advice


@pytest.mark.parametrize("way", ["refresh_of", "start_from"])
def test_a_former_result_that_was_deleted_is_told_with_what_is_wrong_with_the_data(
    world: World, way: str
) -> None:
    first = world.submit("first")
    world.run()
    (world.embedded.folder / "bucket" / f"{names.results(world.job(first))}best_model.json").unlink()
    search = {"iterations": 5, "trials": 1}
    changes = {"refresh_of": first} if way == "refresh_of" else {"search": {**search, "start_from": first}}
    columns = {**world.request("any")["columns"], "context": ["no_such_column"]}
    columns = columns if way == "start_from" else world.request("any")["columns"]
    second = world.submit("second", columns=columns, **changes)
    world.deliver()
    job = world.job(second)
    assert job.state is JobState.REJECTED
    codes = {finding.code for finding in job.findings if finding.severity == "error"}
    assert codes == ({"former-gone"} if way == "refresh_of" else {"former-gone", "missing-column"})


def test_a_former_result_that_was_deleted_meanwhile_ends_the_job_with_the_reason(world: World) -> None:
    first = world.submit("first", search=SEARCH)
    world.run()
    second = world.submit("second", search=SEARCH, refresh_of=first)
    world.until(second, JobState.RUNNING)
    config = world.ports.objects.read(names.attempt_of(world.job(second)).config)
    prefix = TrainingConfig.model_validate_json(config).former
    assert prefix == names.results(world.job(first))
    for info in list(world.ports.objects.list(prefix)):
        (world.embedded.folder / "bucket" / info.name).unlink()
    world.run()
    job = world.job(second)
    assert job.state is JobState.FAILED
    assert job.attempt == 1
    assert job.error is not None
    assert "former result" in job.error.title
