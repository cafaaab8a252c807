"""Schedules as people write, see and use them: by API and by page."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.job import JobState
from contracts.problem import Problem
from contracts.request import job_id_for
from contracts.schedule import Schedule
from functions.sweep.schedules import sweep_schedules
from infra.local.demo_data import demo_request
from tests.web.harness import S, Site

V1 = "/api/v1"
EXTRACT = "extract-requests"


def text(**changes: Any) -> dict[str, Any]:
    request = {
        **demo_request("x", iterations=5, trials=1),
        "source": {"kind": "object", "name": "sources/DE/a.csv"},
        "window": {"start": "last 104 full weeks", "end": "last full week"},
    }
    del request["request_id"]
    if "batch" not in changes:
        request |= changes.pop("request", {})
    return {"cron": "0 6 * * MON", "time_zone": "Europe/Berlin", "request": request, **changes}


def put(site: Site, name: str = "weekly", version: int = 0, **changes: Any) -> Any:
    body = {"version": version, "schedule": text(**changes)}
    return site.client.put(f"{V1}/schedules/{name}", json=body)


def sent(site: Site) -> list[dict[str, Any]]:
    """The requests that were published."""
    return [json.loads(one.data) for one in site.family.bus.pending() if one.subscription == EXTRACT]


def test_a_schedule_is_written_seen_changed_and_deleted(site: Site) -> None:
    saved = put(site)
    assert saved.status_code == 200
    found = site.client.get(f"{V1}/schedules/weekly").json
    assert found == saved.json
    assert found["next"][:2] == ["2026-11-23T05:00:00Z", "2026-11-30T05:00:00Z"]
    assert found["schedule"]["request"]["window"]["end"] == "last full week"
    again = put(site, version=found["version"], cron="0 7 * * TUE", time_zone="UTC")
    assert again.json["next"][0] == "2026-11-24T07:00:00Z"
    listed = site.client.get(f"{V1}/schedules").json["schedules"]
    assert [(one["name"], one["next"], one["last"]) for one in listed] == [
        ("weekly", "2026-11-24T07:00:00Z", None)
    ]
    assert site.client.post(f"{V1}/schedules/weekly:delete").status_code == 200
    assert site.client.get(f"{V1}/schedules/weekly").status_code == 404
    assert site.client.get(f"{V1}/schedules").json["schedules"] == []
    assert put(site).status_code == 200  # the name is free again


def test_who_has_not_seen_the_present_version_changes_nothing(site: Site) -> None:
    assert put(site, version=3).status_code == 412
    version = put(site).json["version"]
    assert put(site).status_code == 412
    assert put(site, version=version, cron="1 1 * * *").status_code == 200
    told = put(site, version=version)
    assert told.status_code == 412
    assert "read it again" in told.json["detail"]
    kept = site.ports.jobs.get(Schedule, "weekly")
    assert kept is not None
    assert kept.cron == "1 1 * * *"
    headers = {"If-Match": f'"{version}-0"'}
    assert site.client.post(f"{V1}/schedules/weekly:disable", headers=headers).status_code == 412


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"cron": "0 25 * * *", "time_zone": "Berlin", "request": {"queue": "no"}},
            ["cron", "time_zone", "request.queue"],
        ),
        ({"cron": "0 0 0 * * *"}, ["schedule.cron"]),
        ({"cron": "@daily", "every": 7}, ["schedule.cron", "schedule.every"]),
        ({"cron": "0 0 31 2,4 *"}, ["cron"]),
        (
            {
                "request": {
                    "queue": "no",
                    "engine": "no",
                    "schedule": "x",
                    "window": {"end": "last ful week"},
                }
            },
            ["request.engine", "request.schedule", "request.window.end"],
        ),
        ({"request": {"queue": "no", "source": {"kind": "table"}}}, ["request.source.table.connection"]),
        (
            {
                "request": None,
                "batch": {
                    "base": {"country": "DE", "schedule": "x"},
                    "rows": [{"columns.paid_media.7": "tv", "window.end": "soon"}],
                },
            },
            ["batch.base.schedule", "batch.rows[0].window.end", "batch.rows[0].columns.paid_media"],
        ),
        ({"request": {"window": {"start": "today", "end": "last full year"}}}, ["request.window"]),
    ],
)
def test_every_problem_is_told_when_a_schedule_is_saved(
    site: Site, changes: dict[str, Any], told: list[str]
) -> None:
    refused = put(site, **changes)
    assert refused.status_code == 400
    paths = {one["path"] for one in refused.json["violations"]}
    assert paths.issuperset(told)
    assert site.ports.jobs.get(Schedule, "weekly") is None


def test_the_next_occurrences_are_shown_before_anything_is_kept(site: Site) -> None:
    site.clock.time = datetime.fromisoformat("2026-10-24T12:00:00Z")
    seen = site.client.post(f"{V1}/schedules:preview", json=text(cron="30 2 * * *")).json
    assert [one["local"] for one in seen["next"][:2]] == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]
    assert seen["violations"] == []
    wrong = site.client.post(f"{V1}/schedules:preview", json=text(cron="30 99 * * *")).json
    assert [one["path"] for one in wrong["violations"]] == ["cron"]
    assert site.client.get(f"{V1}/schedules").json["schedules"] == []


def test_a_disabled_schedule_does_not_come_and_makes_up_for_nothing_when_it_is_enabled(site: Site) -> None:
    put(site, missed="all")
    assert site.client.post(f"{V1}/schedules/weekly:disable").json["next"] == []
    site.clock.time += timedelta(days=30)
    sweep_schedules(site.runtime)
    assert site.client.post(f"{V1}/schedules/weekly:enable").json["deadline"] == "2026-12-28T05:00:00Z"
    sweep_schedules(site.runtime)
    assert sent(site) == []


def test_run_now_comes_once_and_is_shown_with_who_asked_and_what_came_of_it(site: Site) -> None:
    put(site, enabled=False)
    for _ in range(2):  # the second click within a second
        run = site.client.post(f"{V1}/schedules/weekly:run").json["runs"]
    assert [one["request_id"] for one in run] == ["weekly@20261121T120000Z-asked"]
    requests = {json.dumps(one, sort_keys=True) for one in sent(site)}
    assert len(requests) == 1
    body = json.loads(requests.pop())
    assert (body["schedule"], body["window"]) == ("weekly", {"start": "2024-11-18", "end": "2026-11-15"})
    job_id = job_id_for(body["request_id"])
    assert "on its way" in site.client.get("/schedules/weekly").text
    problem = Problem(type="bad-data", title="The data cannot be used", errors=["revenue: <b>no</b> number"])
    site.job(S.REJECTED, job_id, request_id=body["request_id"], error=problem, schedule="weekly")
    html = site.client.get("/schedules/weekly").text
    assert "Rejected" in html
    assert "revenue: &lt;b&gt;no&lt;/b&gt; number" in html
    assert "The data cannot be used" in site.client.get("/schedules").text
    row = site.client.get(f"{V1}/schedules").json["schedules"][0]["last"]
    assert (row["state"], row["problem"]["type"]) == (JobState.REJECTED, "bad-data")
    jobs = site.client.get(f"{V1}/jobs?schedule=weekly").json["jobs"]
    assert [job["job_id"] for job in jobs] == [job_id]


def test_the_form_writes_a_schedule_and_keeps_what_was_typed_when_it_is_wrong(site: Site) -> None:
    assert "0 6 * * MON" in site.client.get("/new-schedule").text
    form = {"name": "weekly", "version": "0", "text": json.dumps(text(cron="0 99 * * MON")), "do": "save"}
    html = site.client.post("/new-schedule", data={**form, "name": "every week"}).text
    assert "Bad hour" in html
    assert "a letter or digit first" in html
    assert "0 99 * * MON" in html
    form["text"] = json.dumps(text())
    assert "2026-11-23T06:00:00+01:00" in site.client.post("/new-schedule", data={**form, "do": "look"}).text
    assert site.client.post("/new-schedule", data=form).location == "/schedules/weekly"
    html = site.client.get("/schedules/weekly/edit").text
    version = re.search(r'name="version" value="(\d+)"', html)
    assert version is not None
    form |= {"version": version[1], "text": json.dumps(text(cron="0 8 * * FRI"))}
    assert site.client.post("/new-schedule", data=form).status_code == 303
    assert "read it again, then decide again" in site.client.post("/new-schedule", data=form).text
    assert "0 8 * * FRI" in site.client.get("/schedules/weekly").text
    for verb in ("disable", "enable", "run", "delete"):
        assert site.client.post(f"/schedules/weekly/{verb}").status_code == 303
    assert site.client.get("/schedules/weekly").status_code == 404


def test_a_job_becomes_a_schedule(site: Site) -> None:
    request = {**text()["request"], "request_id": "once", "schedule": "other"}
    site.job(S.SUCCEEDED, "once-1", request=request)
    html = site.client.get("/new-schedule?from=once-1").text
    assert "revenue" in html
    assert "request_id" not in html.partition("<textarea")[2].partition("</textarea>")[0]
