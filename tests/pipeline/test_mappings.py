"""Mappings: what many requests have in common, in versions, frozen into each job when it is accepted."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from contracts.job import Job, JobState, Upload
from contracts.mapping import MappingDocument, MappingVersion
from contracts.request import job_id_for
from functions.mappings import from_file
from functions.steps import announce_object
from infra.local.demo_data import demo_csv, demo_settings, generate
from tests.pipeline.world import Crash, World

OWN = ("request_id", "country", "source")
FOLDER_SETTINGS = "drop-zone/AT/request.yaml"
SETTINGS = demo_settings(5, 1).encode()
CSV = demo_csv(generate(seed=11, country="AT"))
SHARED = from_file(yaml.safe_load(SETTINGS)) or {}


def said(world: World, **changes: Any) -> dict[str, Any]:
    """What the demo's request says, as a mapping."""
    body = world.request("any")
    return {name: value for name, value in body.items() if name not in (*OWN, "requested_by")} | changes


def put(world: World, settings: dict[str, Any], name: str = "weekly", **headers: str) -> Any:
    path = f"/api/v1/mappings/DE/{name}"
    headers = {key.replace("_", "-"): value for key, value in headers.items()}
    return world.web.put(path, json={"settings": settings}, headers=headers)


def asking(world: World, request_id: str, settings: Any, **changes: Any) -> dict[str, Any]:
    body = world.request(request_id)
    return {name: body[name] for name in OWN} | {"settings": settings} | changes


def drop(world: World, name: str, data: bytes) -> None:
    world.ports.objects.replace(name, data, if_generation=None)
    world.deliver()


def newest(world: World, key: str = "AT/default") -> MappingDocument:
    found = world.ports.jobs.get(MappingDocument, key)
    assert found is not None
    return found


@pytest.mark.parametrize("by_topic", [True, False])
def test_a_request_says_the_rest_and_what_it_says_wins_field_by_field(world: World, by_topic: bool) -> None:
    settings = said(world, window={"start": "2022-01-03", "end": "2024-12-30"})
    assert put(world, settings).status_code == 201
    body = asking(world, "r1", "weekly", window={"end": "2024-06-24"}, labels={"team": "growth"})
    if by_topic:
        world.publish(body)
    else:
        assert world.web.post("/api/v1/jobs", json=body).status_code == 201
    world.run()
    job = world.job(job_id_for("r1"))
    assert (job.state, job.request, job.revision) == (JobState.SUCCEEDED, body, settings["revision"])
    assert (job.settings.key, job.settings.version, job.mapping) == ("DE/weekly", 1, "DE/weekly")
    assert job.asked["window"] == {"start": "2022-01-03", "end": "2024-06-24"}
    whole = world.web.get(f"/api/v1/jobs/{job.job_id}/request").json
    origins = {one["path"]: one["origin"] for one in whole["values"]}
    assert {origins[path] for path in ("window.end", "labels.team", "country")} == {"request"}
    assert {origins[path] for path in ("window.start", "columns.dependent", "revision")} == {"mapping"}
    assert {origins[path] for path in ("adstock", "search.seed")} == {"default"}
    assert (whole["mapping"]["version"], whole["request"]["window"]["start"]) == (1, "2022-01-03")


def test_null_of_a_request_takes_away_what_its_mapping_says(world: World) -> None:
    put(world, said(world, sheet="sales"))
    refused = world.web.post("/api/v1/jobs:validate", json=asking(world, "r1", "weekly")).json
    assert [one["path"] for one in refused["violations"]] == ["sheet"]
    assert "mapping DE/weekly, version 1" in str(refused["violations"])
    assert world.web.post("/api/v1/jobs:validate", json=asking(world, "r1", "weekly", sheet=None)).json[
        "valid"
    ]


def test_a_job_keeps_its_version_whatever_becomes_of_the_mapping(world: World) -> None:
    put(world, said(world))
    world.publish(asking(world, "r1", "weekly"))
    world.until(job_id_for("r1"), JobState.EXTRACTED)
    put(world, said(world, columns={**said(world)["columns"], "dependent": "gone"}), If_Match='"1"')
    world.act(job_id_for("r1"), "cancel")
    world.sweep()
    assert world.act(job_id_for("r1"), "retry") == 200
    world.run()
    job = world.job(job_id_for("r1"))
    assert (job.state, job.settings.version) == (JobState.SUCCEEDED, 1)
    world.publish(asking(world, "r1", "weekly"))
    continued = asking(world, "r2", {"name": "weekly", "version": 1}, refresh_of=job.job_id)
    world.publish(continued)
    world.publish(asking(world, "r3", "weekly"))
    world.run()
    assert world.job(job_id_for("r2")).state is JobState.SUCCEEDED
    assert world.job(job_id_for("r3")).error.title == "The data cannot be trained on"
    assert [event["type"] for event in world.received].count("request-refused") == 0


def test_an_unknown_mapping_or_version_is_refused_with_those_that_are_there(world: World) -> None:
    put(world, said(world))

    def told(settings: Any) -> str:
        answer = world.web.post("/api/v1/jobs", json=asking(world, "r1", settings))
        assert answer.status_code == 400
        return str([f"{one['path']}: {one['message']}; {one['advice']}" for one in answer.json["violations"]])

    assert "did you mean 'weekly'?" in told("weekyl")
    assert "has no version 7; its newest is 1" in told({"name": "weekly", "version": 7})
    assert "AT has no mapping 'weekly'; it has none" in told({"name": "weekly", "country": "AT"})
    assert world.ports.jobs.find(Job) == []
    world.publish(asking(world, "r1", "weekyl", queue="fast", colour="red"))
    world.deliver()
    error = world.job(job_id_for("r1")).error
    assert {one.path for one in error.violations} == {"settings", "colour"}


def test_a_mapping_is_changed_only_by_who_has_seen_it(world: World) -> None:
    first = put(world, said(world))
    assert put(world, said(world, adstock="weibull_cdf")).status_code == 412
    second = put(world, said(world, adstock="weibull_cdf"), If_Match=first.headers["ETag"])
    assert (second.status_code, second.json["version"]) == (200, 2)
    assert put(world, said(world), If_Match=first.headers["ETag"]).status_code == 412
    same = put(world, said(world, adstock="weibull_cdf"), If_Match=second.headers["ETag"])
    assert same.json["version"] == 2
    history = world.web.get("/api/v1/mappings/DE/weekly/history").json["versions"]
    assert [one["version"] for one in history] == [2, 1]
    assert history[0]["changes"] == [{"path": "adstock", "before": None, "after": '"weibull_cdf"'}]
    assert world.web.get("/api/v1/mappings/DE/weekly?version=1").json["settings"] == said(world)


def test_a_mapping_that_a_waiting_job_uses_is_not_deleted(world: World) -> None:
    put(world, said(world))
    world.publish(asking(world, "r1", "weekly"))
    world.until(job_id_for("r1"), JobState.QUEUED)
    path = "/api/v1/mappings/DE/weekly"
    refused = world.web.post(f"{path}:delete", json={})
    assert (refused.status_code, job_id_for("r1") in refused.json["detail"]) == (409, True)
    world.run()
    assert world.web.post(f"{path}:delete", json={"note": "no longer sold"}).status_code == 200
    assert world.web.get("/api/v1/mappings").json["mappings"] == []
    told = world.web.post("/api/v1/jobs", json=asking(world, "r2", "weekly")).json["violations"]
    assert "was deleted by" in told[0]["message"]
    pinned = asking(world, "r3", {"name": "weekly", "version": 1})
    assert world.web.post("/api/v1/jobs", json=pinned).status_code == 201
    assert put(world, said(world)).json["version"] == 3


def test_a_mapping_that_a_schedule_refers_to_is_not_deleted(world: World) -> None:
    put(world, said(world))
    template = {"base": asking(world, "", "weekly"), "rows": [{"country": "AT"}, {"country": "DE"}]}
    del template["base"]["request_id"]
    template["base"]["settings"] = {"name": "weekly", "country": "DE"}
    body = {"cron": "0 6 * * MON", "batch": template}
    saved = world.web.put("/api/v1/schedules/mondays", json={"version": 0, "schedule": body})
    assert saved.status_code == 200, saved.json
    refused = world.web.post("/api/v1/mappings/DE/weekly:delete", json={})
    assert (refused.status_code, "schedule mondays" in refused.json["detail"]) == (409, True)


def test_the_settings_of_a_folder_are_the_next_version_of_its_mapping(world: World) -> None:
    drop(world, FOLDER_SETTINGS, SETTINGS)
    first = newest(world)
    assert (first.number, first.by, first.settings) == (1, FOLDER_SETTINGS, SHARED)
    info = world.ports.objects.stat(FOLDER_SETTINGS)
    world.ports.objects.replace(FOLDER_SETTINGS, SETTINGS, if_generation=None)
    world.deliver()
    assert newest(world).number == 1
    drop(world, FOLDER_SETTINGS, SETTINGS + b"adstock: weibull_cdf\n")
    assert [one.path for one in newest(world).changes] == ["adstock"]
    edited = {**newest(world).settings, "adstock": "weibull_pdf"}
    world.web.put("/api/v1/mappings/AT/default", json={"settings": edited}, headers={"If-Match": '"2"'})
    announce_object(world.runtime, world.ports.objects.stat(FOLDER_SETTINGS))
    announce_object(world.runtime, info)
    world.deliver()
    assert newest(world).settings == edited
    others = FOLDER_SETTINGS.replace("yaml", "json")
    drop(world, others, json.dumps({**SHARED, "priority": 4}).encode())
    assert (newest(world).number, newest(world).by) == (4, others)
    announce_object(world.runtime, world.ports.objects.stat(FOLDER_SETTINGS))
    world.deliver()
    assert newest(world).number == 4, "a file that was read once is not read again"
    drop(world, FOLDER_SETTINGS, b"adstock: [oops")
    assert newest(world).number == 4
    assert {info.name for info in world.ports.objects.list("drop-zone/")} == {FOLDER_SETTINGS, others}


def test_an_upload_may_refer_to_a_mapping_and_a_folder_too(world: World) -> None:
    world.web.put("/api/v1/mappings/AT/default", json={"settings": SHARED})
    drop(world, FOLDER_SETTINGS, b"settings: default\n")
    assert newest(world).number == 1
    drop(world, "drop-zone/AT/sales.csv", CSV)
    world.run()
    [job] = world.ports.jobs.find(Job)
    assert (job.state, job.mapping) == (JobState.SUCCEEDED, "AT/default")


def test_what_names_no_mapping_falls_back_to_the_default_of_its_country(world: World) -> None:
    drop(world, "drop-zone/AT/sales.csv", CSV)
    drop(world, "drop-zone/AT/weekly.batch.csv", b"search.iterations\n3\n")
    partly = {name: value for name, value in SHARED.items() if name != "revision"}
    address = "/api/v1/countries/AT/settings"
    assert world.web.put(address, json={"generation": 0, "settings": partly}).status_code == 200
    world.deliver()
    assert world.ports.jobs.find(Job) == [], "settings beside the files may still say the rest"
    assert world.web.put(address, json={"generation": 1, "settings": SHARED}).status_code == 200
    world.deliver()
    assert world.web.get("/api/v1/uploads").json["uploads"] == []
    row, upload = sorted(world.ports.jobs.find(Job), key=lambda job: job.upload is not None)
    assert (row.mapping, row.settings.version, row.asked["search"]["iterations"]) == ("AT/default", 2, 3)
    assert (upload.mapping, upload.settings.version) == ("AT/default", 2)
    whole = world.web.get(f"/api/v1/jobs/{upload.job_id}/request").json["values"]
    origins = {one["path"]: one["origin"] for one in whole}
    assert (origins["source.name"], origins["columns.dependent"]) == ("request", "mapping")
    source = {"kind": "object", "name": "drop-zone/AT/sales.csv"}
    request = {"request_id": "r1", "country": "AT", "source": source, "adstock": "weibull_cdf"}
    accepted = world.web.post("/api/v1/jobs", json=request)
    assert accepted.status_code == 201
    job = world.job(job_id_for("r1"))
    assert (job.mapping, job.asked["adstock"]) == ("AT/default", "weibull_cdf")
    refused = world.web.post("/api/v1/jobs", json={**request, "request_id": "r2", "settings": None}).json
    assert {one["path"] for one in refused["violations"]} == {"revision", "columns"}
    drop(world, "drop-zone/AT/own.csv", CSV)
    world.run()
    trained = [job for job in world.ports.jobs.find(Job) if job.batch_id is None]
    assert [job.state for job in trained] == [JobState.SUCCEEDED] * 3


def test_uploads_are_trained_with_what_was_said_last_of_their_country(world: World) -> None:
    def priority_of(name: str) -> int:
        drop(world, f"drop-zone/AT/{name}.csv", CSV)
        [job] = [job for job in world.ports.jobs.find(Job) if job.upload.name.endswith(f"/{name}.csv")]
        return job.priority

    drop(world, FOLDER_SETTINGS, SETTINGS + b"priority: 1\n")
    assert priority_of("a") == 1
    edited = {**SHARED, "priority": 2}
    address = "/api/v1/mappings/AT/default"
    assert world.web.put(address, json={"settings": edited}, headers={"If-Match": '"1"'}).status_code == 200
    assert priority_of("b") == 2
    drop(world, FOLDER_SETTINGS, SETTINGS + b"priority: 3\n")
    assert priority_of("c") == 3
    assert world.web.post(f"{address}:delete", json={}).status_code == 409, "jobs wait with it"
    assert world.ports.jobs.find(Upload, state="WAITING") == []


def test_settings_that_are_not_read_in_are_shown_with_the_reason_while_they_lie_there(world: World) -> None:
    drop(world, FOLDER_SETTINGS, SETTINGS + b"colour: red\nadstock: guess\n")
    [ignored] = world.web.get("/api/v1/uploads").json["ignored"]
    assert ignored["name"] == FOLDER_SETTINGS
    assert "colour: unknown field" in ignored["reason"]
    assert "adstock: " in ignored["reason"]
    assert "colour: unknown field" in world.web.get("/").text
    assert world.web.get("/api/v1/mappings").json["mappings"] == []
    drop(world, "drop-zone/_batches/request.yaml", b"revision: r1\n")
    for wrong, told in {
        b"adstock: [": "is not valid YAML",
        b"country: DE": "lies in the folder of AT",
    }.items():
        drop(world, FOLDER_SETTINGS, wrong)
        [ignored] = world.web.get("/api/v1/uploads").json["ignored"]
        assert told in ignored["reason"]
    drop(world, FOLDER_SETTINGS, SETTINGS)
    assert world.web.get("/api/v1/uploads").json["ignored"] == []
    assert FOLDER_SETTINGS not in world.web.get("/").text


def test_a_mapping_that_rows_of_a_batch_refer_to_is_not_deleted(world: World) -> None:
    put(world, said(world))
    source = world.request("any")["source"]
    rows = [
        {"country": "AT", "settings": None, "revision": "r1"},
        {"country": "DE", "settings.name": "weekly"},
    ]
    sent = world.web.post("/api/v1/batches", json={"name": "b", "base": {"source": source}, "rows": rows})
    batch_id = sent.json["batch_id"]
    refused = world.web.post("/api/v1/mappings/DE/weekly:delete", json={})
    assert (refused.status_code, f"batch {batch_id}" in refused.json["detail"]) == (409, True)
    world.run()
    assert world.web.post("/api/v1/mappings/DE/weekly:delete", json={}).status_code == 200


def test_a_writer_that_dies_loses_no_version(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    put(world, said(world))
    for method in ("create", "replace"):
        before = newest(world, "DE/weekly")
        settings = said(world, annotations=[{"date": "2024-01-01", "text": method}])
        with world.crash_at(monkeypatch, world.ports.jobs, method), pytest.raises(Crash):
            put(world, settings, If_Match=f'"{before.version}"')
        put(world, settings, If_Match="*")
        assert newest(world, "DE/weekly").settings == settings
    history = world.web.get("/api/v1/mappings/DE/weekly/history").json["versions"]
    assert [one["version"] for one in history] == [3, 2, 1]
    assert [one.number for one in world.ports.jobs.find(MappingVersion, mapping="DE/weekly")] == [2, 1]


def test_settings_that_no_request_could_use_are_refused_with_all_that_is_wrong(world: World) -> None:
    wrong = said(world, queue="fast", colour="red", source={"kind": "sql"}, adstock="guess")
    told = {one["path"] for one in put(world, wrong).json["violations"]}
    assert told == {"colour", "source", "adstock"}
    assert put(world, {"adstock": "weibull_cdf"}).status_code == 201
    assert {one["path"] for one in put(world, said(world, queue="fast"), "other").json["violations"]} == {
        "queue"
    }
