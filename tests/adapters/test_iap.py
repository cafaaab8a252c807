"""Identity-Aware Proxy's assertion: nobody is let in without one, and nobody does more than they may."""

from __future__ import annotations

import base64
import getpass
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from contracts.job import JobState
from functions.settings import PeopleSettings
from functions.web.app import create_app
from functions.web.routes import BASE
from functions.web.v1.table import ROUTES
from tests.web.harness import Site, open_site
from tests.web.test_actions import letter
from tests.web.test_schedules import text
from tests.web.trained import trained

pytest.importorskip("google.auth", reason="requirements/gcp.txt is not installed")

from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec
from google.auth import crypt, jwt

from functions.adapters.gcp.iap import HEADER, ISSUER, IapPeople

AUDIENCE = "/projects/123/locations/europe-west1/services/mmm-web"
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo).decode()
PEOPLE = {
    "iap_audience": AUDIENCE,
    "allowed_domains": ["shop.example"],
    "editors": ["boss@shop.example", "team.example"],
}


def assertion(key: Any = KEY, begins: int = -5, ends: int = 600, **changes: Any) -> str:
    """An assertion that is valid from `begins` to `ends`, in seconds from now."""
    now = int(time.time())
    times = {"iat": now + begins, "exp": now + ends}
    claims = {"iss": ISSUER, "aud": AUDIENCE, **times, "email": "ann@shop.example"}
    told = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode(crypt.EsSigner(key, "one"), told).decode()


class Page:
    def __init__(self, site: Site, **people: Any) -> None:
        self.fetched = 0
        settings = PeopleSettings(**{**PEOPLE, **people})
        app = create_app(site.runtime, IapPeople(settings, self._fetch))
        self.client: FlaskClient = app.test_client()

    def _fetch(self) -> dict[str, str]:
        self.fetched += 1
        return {"one": PUBLIC}

    def get(self, token: str | None = None, path: str = "/api/v1/jobs") -> Any:
        return self.client.get(path, headers={HEADER: token} if token else {})

    def cancel(self, **claims: Any) -> Any:
        return self.client.post("/api/v1/jobs/weekly-1:cancel", headers={HEADER: assertion(**claims)})


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return open_site(tmp_path)


@pytest.mark.parametrize("path", ["/", "/api/v1/jobs", "/dead-letters", "/assets/style.css"])
def test_without_an_assertion_nothing_is_answered(site: Site, path: str) -> None:
    answer = Page(site).get(path=path)
    assert answer.status_code == 401
    assert "Identity-Aware Proxy" in answer.get_data(as_text=True)


def test_no_route_forgets_who_asks_and_where_from(site: Site) -> None:
    trained(site)
    page = Page(site)
    parts = {"job_id": "weekly-1", "attempt": "1", "country": "DE", "sol_id": "1_238_1"}
    looking = {f"{BASE}{route.path}" for route in ROUTES if route.role == "view" and route.verb == "POST"}
    viewer = {HEADER: assertion(email="ann@shop.example")}
    elsewhere = {HEADER: assertion(email="boss@shop.example"), "Sec-Fetch-Site": "cross-site"}
    before, changes = site.stored(), 0
    for rule in page.client.application.url_map.iter_rules():
        if rule.rule == "/health":
            continue
        path = re.sub(r"<.*?(\w+)>", lambda found: parts.get(found[1], "x"), rule.rule)
        for verb in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            assert page.client.open(path, method=verb).status_code == 401, f"{verb} {path}"
            if verb != "GET":
                changes += 1
                assert page.client.open(path, method=verb, headers=elsewhere).status_code == 403, path
                answer = page.client.open(path, method=verb, headers=viewer)
                shows = re.sub(r"<.*?(\w+)>", r"{\1}", rule.rule) in looking
                assert answer.status_code == (415 if shows else 403), f"{verb} {path}"
    assert changes > 50
    assert (site.stored(), site.published()) == (before, [])


def test_the_health_of_the_service_needs_none(site: Site) -> None:
    assert Page(site).get(path="/health").status_code == 200


@pytest.mark.parametrize(
    ("forged", "told"),
    {
        "audience": (
            lambda: assertion(aud="/projects/123/locations/europe-west1/services/other"),
            "audience",
        ),
        "expired": (lambda: assertion(begins=-700, ends=-120), "expired"),
        "too early": (lambda: assertion(begins=600, ends=1200), "too early"),
        "issuer": (lambda: assertion(iss="https://accounts.example"), "no issuer"),
        "nobody": (lambda: assertion(email=None), "no person"),
        "other key": (lambda: assertion(ec.generate_private_key(ec.SECP256R1())), "signature"),
        "signature": (lambda: assertion()[:-8] + "AAAAAAAA", "signature"),
        "garbage": (lambda: "no.token.atall", "not valid"),
        "short": (lambda: "x", "segments"),
    }.values(),
)
def test_an_assertion_that_is_not_valid_is_refused(site: Site, forged: Callable[[], str], told: str) -> None:
    answer = Page(site).get(forged())
    assert (answer.status_code, answer.json["type"]) == (401, "/problems/not-identified")
    assert told in answer.json["detail"]
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_an_assertion_without_a_signature_is_refused(site: Site) -> None:
    head, body, _ = assertion().split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "one"}).encode()).decode().rstrip("=")
    assert Page(site).get(f"{none}.{body}.").status_code == 401
    assert Page(site).get(f"{head}.{body}.").status_code == 401


def test_keys_are_fetched_once_for_many_requests(site: Site) -> None:
    page = Page(site)
    assert [page.get(assertion()).status_code for _ in range(3)] == [200] * 3
    assert page.fetched == 1


@pytest.mark.parametrize(
    ("address", "people", "looks", "acts"),
    [
        ("ann@shop.example", {}, True, False),
        ("Boss@Shop.example", {}, True, True),
        ("any@team.example", {}, True, True),
        ("ann@elsewhere.example", {}, False, False),
        ("ann@shop.example", {"viewers": ["bob@shop.example"]}, False, False),
        ("bob@shop.example", {"viewers": ["bob@shop.example"]}, True, False),
        ("robot@p.iam.gserviceaccount.com", {"viewers": ["robot@p.iam.gserviceaccount.com"]}, True, False),
        ("ann@shop.example", {"allowed_domains": []}, False, False),
        ("shop.example", {}, False, False),
    ],
)
def test_people_look_and_act_as_the_lists_say(
    site: Site, address: str, people: dict[str, list[str]], looks: bool, acts: bool
) -> None:
    site.job(JobState.RUNNING)
    page = Page(site, **people)
    assert page.get(assertion(email=address)).status_code == (200 if looks else 403)
    assert page.cancel(email=address).status_code == (200 if acts else 403)
    assert site.stored().state is (JobState.CANCELLING if acts else JobState.RUNNING)


def test_timeline_and_log_name_the_person(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.job(JobState.RUNNING)
    assert Page(site).cancel(email="boss@shop.example").status_code == 200
    assert site.stored().timeline[-1].note == "cancelled by boss@shop.example"
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (line["message"], line["person"], line["status"]) == (
        "POST /api/v1/jobs/weekly-1:cancel",
        "boss@shop.example",
        200,
    )


def test_every_kind_of_action_keeps_the_person(site: Site) -> None:
    trained(site)
    site.job(JobState.FAILED, "weekly-2")
    site.job(JobState.QUEUED, "weekly-3")
    letter(site)
    page, boss = Page(site), {HEADER: assertion(email="boss@shop.example")}

    def act(path: str, body: Any = None, verb: str = "POST") -> Any:
        told = {"json": body} if body is not None else {}
        answer = page.client.open(f"/api/v1{path}", method=verb, headers=boss, **told)
        assert answer.status_code in (200, 201), (path, answer.json)
        return answer.json

    asked = text()["request"] | {"request_id": "weekly-4", "window": {}}
    settings = {"revision": "q4", "columns": asked["columns"]}
    answers = [
        act("/jobs", asked),
        act("/jobs/weekly-2:retry"),
        act("/jobs/weekly-3:move", {"queue": "bulk", "priority": 1}),
        act("/queues/default:pause"),
        act("/countries/DE:use", {"job_id": "weekly-1"}),
        act("/countries/DE:stop_using"),
        act("/dead-letters:replay", {"subscription": "extract-requests", "reason": "the data are not JSON"}),
        act("/mappings/DE/weekly", {"settings": settings}, "PUT"),
        act("/schedules/weekly", {"version": 0, "schedule": text()}, "PUT"),
    ]
    for answer in answers:
        assert "boss@shop.example" in json.dumps(answer), answer
    act("/jobs/weekly-1:delete_results")
    assert site.stored().deletion.by == "boss@shop.example"
    act("/countries/DE/settings", {"generation": 0, "settings": settings}, "PUT")
    assert page.client.get("/api/v1/mappings/DE/default", headers=boss).json["by"] == "boss@shop.example"


def test_on_one_machine_its_user_acts(site: Site) -> None:
    site.job(JobState.RUNNING)
    assert site.client.post("/api/v1/jobs/weekly-1:cancel").status_code == 200
    assert site.stored().timeline[-1].note == f"cancelled by {getpass.getuser()}"
