"""A request that is sent to the API, from the answer of the first call to the log of its training."""

from __future__ import annotations

from typing import Any

from contracts.base import canonical_json
from contracts.job import Job, JobState
from contracts.names import Attempt
from functions.acceptance.request import MAX_REQUEST_BYTES
from functions.attempts import claim
from tests.pipeline.world import World

V1 = "/api/v1"


def send(world: World, body: Any, path: str = "/jobs") -> Any:
    return world.web.post(V1 + path, json=body)


def test_a_request_is_answered_with_its_job_which_trains(world: World) -> None:
    answer = send(world, world.request("r1"))
    job_id = answer.json["job_id"]
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{V1}/jobs/{job_id}")
    assert (answer.json["state"], answer.json["done"]) == ("ACCEPTED", False)
    assert answer.json["timeline"][0]["note"].startswith("sent by ")
    world.run()
    job = world.web.get(answer.headers["Location"]).json
    assert (job["state"], job["done"]) == ("SUCCEEDED", True)
    assert job["request"] == world.request("r1")


def test_sent_again_it_is_the_same_job_by_whichever_way_it_came(world: World) -> None:
    by_topic = world.submit("r1")
    world.until(by_topic, JobState.QUEUED)
    again = send(world, dict(reversed(world.request("r1").items())))
    assert (again.status_code, again.json["job_id"], again.json["state"]) == (200, by_topic, "QUEUED")
    send(world, world.request("r2"))
    world.submit("r2")
    world.run()
    assert {job.state for job in world.ports.jobs.find(Job)} == {JobState.SUCCEEDED}
    assert len(world.ports.jobs.find(Job)) == 2
    assert [event["type"] for event in world.received].count("request-refused") == 0


def test_a_request_id_with_another_body_is_refused_and_the_job_goes_on(world: World) -> None:
    job_id = send(world, world.request("r1")).json["job_id"]
    answer = send(world, world.request("r1", priority=3))
    assert (answer.status_code, answer.json["type"]) == (409, "/problems/request-id-reused")
    assert job_id in answer.json["detail"]
    world.run()
    assert world.job(job_id).state is JobState.SUCCEEDED


def test_a_request_that_is_not_valid_makes_no_job_and_may_be_put_right(world: World) -> None:
    wrong = world.request("r1", queue="fast", colour="red", country="Germany!")
    answer = send(world, wrong)
    assert (answer.status_code, answer.json["type"]) == (400, "/problems/bad-body")
    told = {one["path"]: one for one in answer.json["violations"]}
    assert told.keys() >= {"colour", "country"}
    assert told["colour"] == {
        "path": "colour",
        "message": "unknown field",
        "advice": "check the spelling or remove it",
    }
    assert world.ports.jobs.find(Job) == []
    installed = send(world, world.request("r1", queue="fast")).json["violations"]
    assert [(one["path"], one["advice"]) for one in installed] == [("queue", "there are: default")]
    assert send(world, world.request("r1")).status_code == 201


def test_what_is_no_request_at_all_is_told_so(world: World) -> None:
    nameless = world.request("r1")
    del nameless["request_id"]
    assert [one["path"] for one in send(world, nameless).json["violations"]] == ["request_id"]
    for data in (b"", b"[]", b"{", b'"x"', b"\xff", b'{"request_id": 1e999}', b'{"a":' * 500):
        answer = world.web.post(f"{V1}/jobs", data=data, content_type="application/json")
        assert answer.status_code == 400, data
        assert answer.json["violations"], data
    assert world.web.post(f"{V1}/jobs", data=canonical_json(nameless)).status_code == 415
    large = send(world, world.request("r2", labels={"a": "x" * MAX_REQUEST_BYTES}))
    assert (large.status_code, large.json["type"]) == (413, "/problems/too-large")
    assert world.ports.jobs.find(Job) == []


def test_a_job_whose_message_was_lost_is_started_by_sending_it_again(world: World) -> None:
    job_id = send(world, world.request("r1")).json["job_id"]
    with world.embedded.bus._database.transaction() as connection:
        connection.execute("DELETE FROM deliveries")
    assert send(world, world.request("r1")).status_code == 200
    world.run()
    assert world.job(job_id).state is JobState.SUCCEEDED


def test_a_request_can_be_validated_without_or_with_its_data(world: World) -> None:
    good = send(world, world.request("r1"), "/jobs:validate")
    assert (good.status_code, good.json["valid"], good.json["violations"]) == (200, True, [])
    assert good.json["normalized"]["search"]["trials"] == 1
    assert good.json["normalized"]["adstock"] == "geometric"
    bad = send(world, world.request("r1", country=7), "/jobs:validate").json
    assert (bad["valid"], bad["normalized"]) == (False, None)
    assert [one["path"] for one in bad["violations"]] == ["country"]
    assert world.ports.jobs.find(Job) == []
    started = send(world, world.request("r1"), "/jobs:validate?data=true")
    assert started.status_code == 202
    again = send(world, world.request("r1"), "/jobs:validate?data=true")
    assert again.json["job_id"] == started.json["job_id"]
    world.run()
    (job,) = world.ports.jobs.find(Job)
    assert job.state is JobState.SUCCEEDED
    assert [entry.state for entry in job.timeline][-1] is JobState.SUCCEEDED
    assert "TRAINED" not in world.states(job.job_id)
    assert send(world, world.request("r1")).status_code == 201, "the request itself was not used up"


def test_attempts_keep_what_they_said_and_why_they_failed(world: World) -> None:
    job_id = send(world, world.request("r1")).json["job_id"]
    world.until(job_id, JobState.RUNNING)
    (task,) = world.tasks()
    claim(world.ports, Attempt(job_id, 1), task["execution"])
    life = world.life(task["execution"], job_id, 1)
    life.console("first line")
    life.console.save()
    for _ in range(8):
        world.deliver()
        world.train(exit_code=139)
        world.clock.pass_(minutes=20)
        world.sweep()
        world.deliver()
    attempts = world.web.get(f"{V1}/jobs/{job_id}/attempts").json["attempts"]
    assert [one["attempt"] for one in attempts] == [1, 2, 3]
    assert [one["done"] for one in attempts] == [True, True, True]
    first = world.web.get(f"{V1}/jobs/{job_id}/attempts/1").json
    assert (first["status"], first["error"]["title"]) == ("crashed", world.job(job_id).error.title)
    assert first["execution"] == task["execution"]
    assert {entry["attempt"] for entry in first["timeline"]} == {1}
    log = world.web.get(f"{V1}/jobs/{job_id}/attempts/1/log")
    assert log.text.endswith("first line\n")
    assert log.headers["X-Log-Done"] == "true"
    names = [file["name"] for file in world.web.get(f"{V1}/jobs/{job_id}/attempts/1/files").json["files"]]
    assert {"config.json", "validation.json", "log-0000-00.txt"} <= set(names)
    assert world.web.get(f"{V1}/jobs/{job_id}/attempts/4").status_code == 404


def test_a_log_is_followed_by_ranges_and_says_when_it_is_done(world: World) -> None:
    job_id = send(world, world.request("r1")).json["job_id"]
    world.until(job_id, JobState.RUNNING)
    (task,) = world.tasks()
    address = f"{V1}/jobs/{job_id}/attempts/1/log"
    assert (world.web.get(address).status_code, world.web.get(address).data) == (200, b"")
    life = world.life(task["execution"], job_id, 1)
    life.console("one")
    life.console.save()
    begun = world.web.get(address)
    assert (begun.headers["X-Log-Done"], begun.headers["Accept-Ranges"]) == ("false", "bytes")
    follow = {"Range": f"bytes={len(begun.data)}-"}
    nothing = world.web.get(address, headers=follow)
    assert (nothing.status_code, nothing.headers["Content-Range"]) == (416, f"bytes */{len(begun.data)}")
    assert (nothing.headers["X-Log-Done"], nothing.mimetype) == ("false", "application/problem+json")
    life.console("two")
    life.console.save()
    new = world.web.get(address, headers=follow)
    assert new.status_code == 206
    whole = world.web.get(address).data
    assert begun.data + new.data == whole
    assert new.headers["Content-Range"] == f"bytes {len(begun.data)}-{len(whole) - 1}/{len(whole)}"
    assert world.web.get(address, headers={"Range": "bytes=-4"}).data == whole[-4:]
    assert world.web.get(address, headers={"Range": "lines=1-2"}).data == whole
    assert world.web.get(f"{address}?task=7").data == b""


def test_files_of_an_attempt_are_sent_once(world: World) -> None:
    job_id = send(world, world.request("r1")).json["job_id"]
    world.run()
    files = world.web.get(f"{V1}/jobs/{job_id}/attempts/1/files").json["files"]
    (best,) = [file for file in files if file["name"] == "best_model.json"]
    first = world.web.get(best["url"])
    assert (first.status_code, len(first.data)) == (200, best["size"])
    assert first.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    again = world.web.get(best["url"], headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    for wrong in ("../best_model.json", "%2e%2e/best_model.json", "best_model.json%00", "nothing.json"):
        assert world.web.get(f"{V1}/jobs/{job_id}/attempts/1/files/{wrong}").status_code == 404, wrong
    done = world.web.get(f"{V1}/jobs/{job_id}/attempts/1").json
    assert (done["status"], done["error"]) == ("succeeded", None)
    assert done["timings"]


def test_the_files_of_a_result_are_deleted_and_the_job_says_by_whom(world: World) -> None:
    job_id = send(world, world.request("r1")).json["job_id"]
    path = f"/jobs/{job_id}:delete_results"
    early = world.web.post(f"{V1}{path}")
    assert (early.status_code, "no result" in early.json["detail"]) == (409, True)
    world.run()
    there = world.results(job_id)
    looked = world.web.post(f"{V1}{path}?dry_run=true").json
    assert (looked["asked"], set(looked["files"])) == (False, set(there))
    assert world.results(job_id) == there
    country = world.job(job_id).country
    world.web.post(f"{V1}/countries/{country}:use", json={"job_id": job_id})
    used = world.web.post(f"{V1}{path}")
    assert (used.status_code, "mark another one first" in used.json["detail"]) == (409, True)
    other = send(world, world.request("r2")).json["job_id"]
    world.run()
    world.web.post(f"{V1}/countries/{country}:use", json={"job_id": other})
    assert world.web.post(f"{V1}{path}").json["asked"] is True
    world.deliver()
    assert world.results(job_id) == []
    assert len(world.results(other)) == len(there)
    job = world.job(job_id)
    assert (job.state, job.deletion.objects) == (JobState.SUCCEEDED, len(there))
    assert "deleted by" in job.timeline[-1].note
    before = world.job(job_id)
    assert world.web.post(f"{V1}{path}").status_code == 200
    world.deliver()
    assert world.job(job_id) == before, "asked again nothing happens"
    assert world.web.get(f"/jobs/{job_id}").status_code == 200
    refresh = send(world, world.request("r3", refresh_of=job_id), "/jobs:validate").json
    assert "had its files deleted" in refresh["violations"][0]["message"]
