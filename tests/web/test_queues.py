"""Queues with those who wait in them, and messages that could not be handled, by reason."""

from __future__ import annotations

import base64
import re
from datetime import timedelta

import pytest

from contracts.job import DeadLetter, Job, Queue, Slot
from functions.web.queue_views import MOST_LETTERS
from tests.web.harness import S, Site

V1 = "/api/v1"
HOSTILE = "<script>alert(1)</script>\"'>"


def waits(site: Site, job_id: str, country: str, priority: int = 0, **changes: object) -> Job:
    site.clock.time += timedelta(minutes=1)
    return site.job(S.QUEUED, job_id, country=country, priority=priority, **changes)


def order(site: Site) -> list[str]:
    html = site.client.get("/queues").text
    shown = re.findall(r'<span class="place">\d+</span>\s*<a class="name" href="/jobs/([^"]+)"', html)
    told = [row["job_id"] for row in site.client.get(f"{V1}/queues/default").json["waiting"]]
    assert shown == told
    return shown


def test_who_waits_is_shown_in_the_order_in_which_launch_starts_them(site: Site) -> None:
    now = site.clock.now()
    slot = Slot(job_id="runs-1", attempt=1, country="DE", since=now)
    site.ports.jobs.create(Queue(name="default", slots=[slot]))
    waits(site, "de-old", "DE")
    waits(site, "at-1", "AT")
    waits(site, "at-2", "AT")
    waits(site, "urgent", "DE", priority=5)
    assert order(site) == ["urgent", "at-1", "at-2", "de-old"]
    html = site.client.get("/queues").text
    assert "1 of 2 run, 4 wait" in html
    assert "/jobs/runs-1" in html


def test_of_many_those_whose_turn_comes_first_are_shown_whatever_their_country(site: Site) -> None:
    for number in range(30):
        waits(site, f"at-{number}", "AT")
    waits(site, "zz-1", "ZZ", priority=1)
    shown = order(site)
    assert shown[0] == "zz-1"
    assert "more than" in site.client.get("/queues").text


def test_a_waiting_job_changes_its_queue_and_priority_and_the_timeline_says_who(site: Site) -> None:
    waits(site, "a", "DE")
    waits(site, "b", "DE")
    site.drain()
    answer = site.client.post("/jobs/b/move", data={"queue": "default", "priority": "7"})
    assert answer.status_code == 303
    assert order(site) == ["b", "a"]
    moved = site.client.post(f"{V1}/jobs/b:move", json={"queue": "bulk", "priority": -1}).json
    assert (moved["queue"], moved["priority"], moved["state"]) == ("bulk", -1, "QUEUED")
    note = site.stored("b").timeline[-1].note
    assert note.startswith("queue bulk, priority -1 (before: default, 7), as ")
    assert [topic for topic, _, _ in site.published()] == ["training-ready"] * 2
    site.job(S.RUNNING, "c").model_dump()
    assert site.client.post("/jobs/c/move", data={"queue": "bulk", "priority": "1"}).status_code == 409
    for wrong in ({"queue": "nope", "priority": "1"}, {"queue": "bulk"}, {"queue": "bulk", "priority": "x"}):
        assert site.client.post("/jobs/b/move", data=wrong).status_code in (400, 404)
    assert site.client.post("/jobs/b/move", data={"queue": "bulk", "priority": "101"}).status_code == 409


def test_a_job_that_is_about_to_start_stays_where_it_is(site: Site) -> None:
    job = waits(site, "a", "DE")
    slot = Slot(job_id="a", attempt=job.attempt, country="DE", since=site.clock.now())
    site.ports.jobs.create(Queue(name="default", slots=[slot]))
    assert site.client.post("/jobs/a/move", data={"queue": "bulk", "priority": "1"}).status_code == 409
    assert site.stored("a").queue == "default"


def test_a_paused_queue_says_who_paused_it(site: Site) -> None:
    site.client.post("/queues/default/pause")
    html = site.client.get("/queues").text
    assert re.search(r"nothing new is started, as \w+ asked", html)
    site.client.post("/queues/default/resume")
    assert "nothing new is started" not in site.client.get("/queues").text


# dead letters


def letter(site: Site, name: str, reason: str, subscription: str = "extract-requests") -> None:
    site.clock.time += timedelta(minutes=1)
    data = base64.b64encode(name.encode()).decode()
    site.ports.jobs.create(
        DeadLetter(letter_id=name, subscription=subscription, reason=reason, at=site.clock.now(), data=data)
    )


def test_the_navigation_says_how_many_letters_wait(site: Site) -> None:
    def shown(address: str) -> str:
        found = re.search(r'class="number"[^>]*>(\d+\+?)<', site.client.get(address).text)
        return found.group(1) if found else ""

    assert shown("/") == ""
    letter(site, "first", "x")
    letter(site, "second", "x")
    site.clock.time += timedelta(minutes=2)
    assert (shown("/new"), shown("/"), shown("/new")) == ("", "2", "2")
    site.client.post("/dead-letters/first/replay")
    assert (shown("/queues"), shown("/api")) == ("1", "1")
    for number in range(MOST_LETTERS):
        letter(site, f"more-{number}", "x")
    assert shown("/dead-letters") == f"{MOST_LETTERS}+"


@pytest.mark.parametrize("reason", ["it is\nno JSON", HOSTILE])
def test_letters_stand_by_reason_and_all_of_one_are_replayed_together(site: Site, reason: str) -> None:
    for number in range(3):
        letter(site, f"same-{number}", reason)
    letter(site, "other-1", "something else")
    assert site.client.get(f"{V1}/dead-letters/same-0").json["reason"] == reason
    assert site.client.get(f"{V1}/dead-letters/none").status_code == 404
    html = site.client.get("/dead-letters").text
    assert HOSTILE not in html
    assert "Replay all 3" in html
    assert html.count("Replay all") == 1
    site.drain()
    form = {"subscription": "extract-requests", "reason": reason.replace("\n", "\r\n")}
    answer = site.client.post("/dead-letters/replay", data=form)
    assert answer.headers["Location"].endswith("?sent=3")
    assert sorted(data.decode() for _, data, _ in site.published()) == ["same-0", "same-1", "same-2"]
    html = site.client.get("/dead-letters?sent=3").text
    assert "3 messages were published again" in html
    assert "Replayed: 3" in html
    again = site.client.post(f"{V1}/dead-letters:replay", json=form | {"reason": reason})
    assert again.json == {"dead_letters": []}
    stored = site.ports.jobs.get(DeadLetter, "same-1")
    assert stored is not None
    assert stored.replayed_by


def test_all_of_a_reason_are_replayed_however_many_came_since(site: Site) -> None:
    letter(site, "old", "no JSON")
    for number in range(130):
        letter(site, f"new-{number}", "something else")
    answer = site.client.post(
        f"{V1}/dead-letters:replay", json={"subscription": "extract-requests", "reason": "no JSON"}
    )
    assert [one["letter_id"] for one in answer.json["dead_letters"]] == ["old"]


@pytest.mark.parametrize("address", ["/dead-letters/replay", "/jobs/a/move", "/new", "/queues/default/pause"])
def test_other_sites_change_nothing(site: Site, address: str) -> None:
    waits(site, "a", "DE")
    answer = site.client.post(address, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert site.client.post(address, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
