"""The JSON API: its manners, which the table of routes gives to every route."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta

import pytest

from contracts import names
from contracts.job import JobState, Upload
from contracts.problem import Problem
from functions.web.v1.examples import EXAMPLES
from functions.web.v1.table import ROUTES
from infra.generate import OPENAPI, ROOT
from tests.web.harness import S, Site
from tests.web.test_actions import letter
from tests.web.trained import trained

V1 = "/api/v1"
CURVES = ROOT / "contracts" / "examples" / "curves.json"
SINCE = "2026-11-21T12:00:00Z"
COLUMNS = {"date": "week", "dependent": "sales", "dependent_type": "revenue", "paid_media": ["tv"]}


def test_the_document_that_is_served_is_the_one_that_is_kept(site: Site) -> None:
    served = site.client.get(f"{V1}/openapi.json")
    assert served.status_code == 200
    assert served.json == json.loads((ROOT / OPENAPI).read_text(encoding="utf-8"))


def test_every_route_says_who_may_ask_and_only_changes_need_an_editor() -> None:
    assert {route.name for route in ROUTES if route.role == "act" and route.verb == "GET"} == set()
    assert len({route.name for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize(
    ("address", "path", "told"),
    [
        ("/jobs?stat=FAILED", "stat", "there are: page_size, page_token, state, country, revision"),
        ("/queues?page_size=3", "page_size", "takes none"),
        ("/jobs?page_size=1000", "page_size", "less than or equal to 100"),
        ("/jobs?view=basic&view=full", "view", "is given 2 times"),
        ("/jobs?state=BROKEN", "state[0]", "'ACCEPTED', 'EXTRACTED'"),
        ("/jobs?country=../..", "country", "must be a short name such as DE"),
        ("/jobs?page_token=nope", "page_token", "is none that a list answered"),
    ],
)
def test_a_parameter_that_is_wrong_is_told_with_what_there_is(
    site: Site, address: str, path: str, told: str
) -> None:
    answer = site.client.get(V1 + address)
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert (answer.json["type"], answer.json["instance"]) == (
        "/problems/bad-query",
        V1 + address.split("?")[0],
    )
    (violation,) = answer.json["violations"]
    assert violation["path"] == path
    assert told in f"{violation['message']}; {violation['advice']}"


def test_a_list_is_read_in_parts_and_every_job_comes_once(site: Site) -> None:
    for number in range(7):
        site.job(S.SUCCEEDED, f"job-{number}", country="DE" if number % 2 else "AT")
    seen, token = [], ""
    while True:
        part = site.client.get(f"{V1}/jobs?page_size=2&page_token={token}").json
        seen += [job["job_id"] for job in part["jobs"]]
        token = part["next_page_token"]
        if not token:
            break
    assert seen == [f"job-{number}" for number in reversed(range(7))]
    basic, full = (site.client.get(f"{V1}/jobs?view={view}").json["jobs"][0] for view in ("basic", "full"))
    assert "request" not in basic
    assert full["request"] == site.stored("job-6").request


def test_what_has_not_changed_is_not_sent_again(site: Site) -> None:
    job = site.job(S.RUNNING)
    first = site.client.get(f"{V1}/jobs/weekly-1")
    again = site.client.get(f"{V1}/jobs/weekly-1", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    site.heartbeat(job, step="search", done=0.5)
    moved = site.client.get(f"{V1}/jobs/weekly-1", headers={"If-None-Match": first.headers["ETag"]})
    assert (moved.status_code, moved.json["progress"]["step"]) == (200, "search")
    assert moved.json["heartbeat"]["execution"] == "run-7"


def test_a_change_can_be_bound_to_what_was_seen(site: Site) -> None:
    job = site.job(S.RUNNING)
    seen = {"If-Match": site.client.get(f"{V1}/jobs/weekly-1").headers["ETag"]}
    site.ports.jobs.replace(job.model_copy(update={"requested_by": "ann"}), job.version)
    late = site.client.post(f"{V1}/jobs/weekly-1:cancel", headers=seen)
    assert (late.status_code, late.json["type"]) == (412, "/problems/changed")
    assert site.stored().state is S.RUNNING
    seen = {"If-Match": site.client.get(f"{V1}/jobs/weekly-1").headers["ETag"]}
    site.heartbeat(job, step="search")  # no change of the job
    assert site.client.post(f"{V1}/jobs/weekly-1:cancel", headers=seen).json["state"] == "CANCELLING"


def test_queues_settings_marks_and_letters_are_bound_to_what_was_seen_too(site: Site) -> None:
    trained(site)
    site.client.post(f"{V1}/queues/default:pause")
    site.client.post(f"{V1}/countries/DE:use", json={"job_id": "weekly-1"})
    old = {"If-Match": '"1-00000000"'}
    for path in ("/queues/default:resume", "/countries/DE:stop_using"):
        current = site.client.post(V1 + path, headers={"If-Match": '"99-x"'})
        assert (current.status_code, current.json["type"]) == (412, "/problems/changed"), path
    assert (
        site.client.post(f"{V1}/countries/DE:use", json={"job_id": "weekly-1"}, headers=old).status_code
        == 200
    )
    assert site.client.post(f"{V1}/countries/DE:stop_using", headers=old).status_code == 412
    address = f"{V1}/countries/DE/settings"
    seen = {"If-Match": site.client.get(address).headers["ETag"]}
    settings = {"settings": {"revision": "q4", "columns": COLUMNS}}
    assert site.client.put(address, json=settings).status_code == 400, "which ones are replaced?"
    assert site.client.put(address, json=settings, headers=seen).status_code == 200
    assert site.client.put(address, json=settings, headers=seen).status_code == 412


def test_uploads_are_listed_by_state_and_in_parts(site: Site) -> None:
    for number in range(3):
        upload = {"name": f"drop-zone/DE/{number}.csv", "generation": 1, "country": "DE", "since": SINCE}
        site.ports.jobs.create(Upload(**upload, state="REJECTED" if number == 1 else "WAITING"))
    first = site.client.get(f"{V1}/uploads?page_size=1").json
    assert [one["name"] for one in first["uploads"]] == ["drop-zone/DE/2.csv"]
    rest = site.client.get(f"{V1}/uploads?page_token={first['next_page_token']}").json
    assert ([one["name"] for one in rest["uploads"]], rest["next_page_token"]) == (["drop-zone/DE/0.csv"], "")
    rejected = site.client.get(f"{V1}/uploads?state=REJECTED").json["uploads"]
    assert [one["name"] for one in rejected] == ["drop-zone/DE/1.csv"]
    assert site.client.get(f"{V1}/uploads?state=GONE").status_code == 400


def test_a_verb_that_is_read_is_a_405_and_an_id_has_no_colon(site: Site) -> None:
    site.job(JobState.RUNNING)
    answer = site.client.get(f"{V1}/jobs/weekly-1:cancel")
    assert (answer.status_code, set(answer.headers["Allow"].split(", "))) == (405, {"POST", "OPTIONS"})
    assert site.client.get(f"{V1}/jobs/weekly-1:other").status_code == 404


def test_jobs_are_found_by_each_filter_and_by_all_together(site: Site) -> None:
    person, labels = "ann@shop.example", ["team=growth", "for.whom=a = b & c"]
    site.job(
        S.FAILED, "a", country="DE", queue="bulk", requested_by=person, request_id="weekly-1", labels=labels
    )
    site.job(S.SUCCEEDED, "b", country="DE", requested_by="bob@x.example", request_id="weekly-2")
    site.job(S.REJECTED, "c", country="AT", request_id="daily-1")
    site.clock.time += timedelta(hours=1)
    site.job(S.RUNNING, "d", country="AT", request_id="weekly-3")
    for asked, found in {
        "": "dcba",
        "state=FAILED&state=REJECTED": "ca",
        "country=DE": "ba",
        "queue=bulk": "a",
        "revision=q4": "dcba",
        "requested_by=bob@x.example": "b",
        "request_id=weekly": "dba",
        "accepted_after=2026-11-21T12:30:00Z": "d",
        "request_id=weekly&accepted_after=2026-11-21T12:30:00Z": "d",
        "accepted_before=2026-11-21T12:30:00Z": "cba",
        "accepted_before=2026-11-21T12:00:00Z": "",
        "accepted_before=2026-11-21T12:30:00Z&country=DE": "ba",
        "request_id=weekly&accepted_before=2026-11-21T12:30:00Z": "ba",
        "label.team=growth": "a",
        "label.team=grow": "",
        "label.for.whom=a = b %26 c&country=DE&request_id=weekly": "a",
        "label.team=growth&country=AT": "",
        "country=DE&state=FAILED&queue=bulk&request_id=weekly-1": "a",
    }.items():
        jobs = site.client.get(f"{V1}/jobs?{asked}").json["jobs"]
        assert "".join(job["job_id"] for job in jobs) == found, asked
        assert site.client.get(f"{V1}/jobs:count?{asked}").json == {"count": len(found), "more": False}
    assert site.client.get(f"{V1}/jobs:count?state=FAILED&state=RUNNING&most=1").json == {
        "count": 1,
        "more": True,
    }
    assert site.client.get(f"{V1}/jobs:count?request_id=weekly&most=2").json == {"count": 2, "more": True}
    assert site.client.get(f"{V1}/jobs.csv?label.team=growth").text.count("weekly-1") == 1
    for wrong, told in {
        "label.team=a&label.tier=b": "one label at a time",
        "label=team=growth": "label.<name>",
        "label.team=a&label.team=b": "given 2 times",
    }.items():
        answer = site.client.get(f"{V1}/jobs?{wrong}")
        assert (answer.status_code, told in answer.text) == (400, True)


def test_a_body_that_is_too_large_is_refused_with_and_without_a_length(site: Site) -> None:
    small, large = b'{"request_id":"x"}', b'{"request_id":"' + b"x" * (256 << 10) + b'"}'
    for data, status in ((small, 400), (large, 413)):
        streamed = {"input_stream": io.BytesIO(data), "environ_overrides": {"wsgi.input_terminated": True}}
        for how in ({"data": data}, streamed):
            answer = site.client.post(f"{V1}/jobs", content_type="application/json", **how)
            assert answer.status_code == status, answer.json


def test_an_address_of_the_former_api_is_answered_with_what_to_call(site: Site) -> None:
    for said, instead in {
        "api=train&country=fr&iterations=2000": "POST /api/v1/jobs",
        "api=status&job_id=x": "GET /api/v1/jobs/{job_id}",
        "api=metadata&country=fr": "GET /api/v1/countries/{country}/settings",
    }.items():
        answer = site.client.get(f"/?{said}")
        assert (answer.status_code, instead in answer.text) == (400, True)
    assert "/api/v1/openapi.json lists" in site.client.get(f"{V1}/job").json["detail"]


def test_a_model_is_found_by_its_name(site: Site) -> None:
    trained(site)
    listed = site.client.get(f"{V1}/jobs/weekly-1/models").json["models"]
    for model in listed:
        assert site.client.get(f"{V1}/jobs/weekly-1/models/{model['sol_id']}").json == model
    assert site.client.get(f"{V1}/jobs/weekly-1/models/9_9_9").status_code == 404


def test_the_reference_tells_every_route_and_every_kind_of_problem(site: Site) -> None:
    html = site.client.get("/api").text
    for route in ROUTES:
        assert f'id="{route.name}"' in html
        assert f"{route.verb} {route.path}" in html
    assert set(re.findall(r'href="#(\w+)"', html)) <= set(re.findall(r' id="(\w+)"', html))
    told = site.client.get(f"{V1}/jobs/nope").json["type"]
    assert "Not found" in site.client.get(told).text
    for wrong in (
        site.client.get(f"{V1}/nothing"),
        site.client.post(f"{V1}/queues"),
        site.client.get(f"{V1}/jobs?x=1"),
    ):
        assert site.client.get(wrong.json["type"]).status_code == 200, wrong.json
    assert site.client.get("/problems/nothing").status_code == 404
    assert 'href="/problems/changed"' in site.client.get("/problems").text


def test_every_example_of_the_reference_is_answered_as_it_shows(site: Site) -> None:
    trained(site)
    site.ports.objects.create(f"{names.results(site.stored())}curves.json", CURVES.read_bytes())
    site.job(S.FAILED, "weekly-2", error=Problem(type="x", title="It ran out of memory"))
    site.job(S.QUEUED, "weekly-3")
    letter(site)
    routes = {route.name: route for route in ROUTES}
    shown = site.client.get("/api").text
    for name, example in EXAMPLES.items():
        route = routes[name]
        sent = {"method": route.verb, "json": example.body} if example.body else {"method": route.verb}
        if name == "preview_source":
            site.ports.objects.create("sources/DE/sales.csv", b"week,revenue\n2026-01-05,7\n")
        with site.functions():
            answer = site.client.open(V1 + example.path, **sent)
        assert answer.status_code in route.statuses, (name, answer.json)
        if example.answer is not None:
            assert answer.json == example.answer, name
            assert f"Answer of {name}" in shown
