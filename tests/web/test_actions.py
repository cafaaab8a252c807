from __future__ import annotations

import base64
import getpass
from datetime import timedelta
from typing import Any

import pytest

from contracts.attempt import Progress
from contracts.events import SWEEP_REQUESTS, TRAIN_REQUESTS, TRAINING_READY
from contracts.job import DeadLetter, Job, JobState, Queue
from contracts.problem import Problem
from functions.ports import JobStore
from tests.web.harness import S, Site

ACTIVE = [state for state in JobState if not state.terminal]
ENDED = [state for state in JobState if state.terminal]
SWEEP = (SWEEP_REQUESTS, {"schema_version": 1, "job_id": "weekly-1", "check_id": None}, {})


# cancel


@pytest.mark.parametrize("state", ACTIVE)
def test_cancel_commits_cancelling_and_wakes_sweep(site: Site, state: JobState) -> None:
    site.job(state)
    answer = site.client.post("/jobs/weekly-1/cancel")
    assert (answer.status_code, answer.location) == (303, "/jobs/weekly-1")
    job = site.stored()
    assert job.state is S.CANCELLING
    assert job.deadline == site.clock.now() + timedelta(minutes=15) or state is S.CANCELLING
    assert site.published() == [SWEEP]


def test_cancel_again_only_wakes_sweep_again(site: Site) -> None:
    site.job()
    first = site.client.post("/api/v1/jobs/weekly-1:cancel").json
    assert first["state"] == "CANCELLING"
    site.drain()
    assert site.client.post("/api/v1/jobs/weekly-1:cancel").json == first
    assert site.published() == [SWEEP]


@pytest.mark.parametrize("state", ENDED)
def test_cancel_of_a_job_that_has_ended_is_refused(site: Site, state: JobState) -> None:
    before = site.job(state)
    answer = site.client.post("/api/v1/jobs/weekly-1:cancel")
    assert (answer.status_code, answer.content_type) == (409, "application/problem+json")
    assert answer.json["type"] == "/problems/conflict"
    assert state.value in answer.json["detail"]
    assert site.stored() == before
    assert site.published() == []
    page = site.client.post("/jobs/weekly-1/cancel")
    assert page.status_code == 409
    assert f"it is {state}" in page.text


class Overtaken:
    """A job store in which somebody else writes before our first write."""

    def __init__(self, jobs: JobStore, state: JobState) -> None:
        self._jobs, self._state = jobs, state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    def replace(self, document: Any, expected_version: int) -> Any:
        job = self._jobs.get(Job, document.key)
        if job and job.version == expected_version and job.state is not self._state:
            self._jobs.replace(job.moved(self._state, job.updated_at, None), expected_version)
        return self._jobs.replace(document, expected_version)


def test_cancel_decides_anew_when_the_job_moved_meanwhile(site: Site) -> None:
    site.job(S.RUNNING)
    client = site.with_ports(jobs=Overtaken(site.ports.jobs, S.TRAINED))
    assert client.post("/api/v1/jobs/weekly-1:cancel").status_code == 200
    assert [entry.state for entry in site.stored().timeline][-2:] == [S.TRAINED, S.CANCELLING]


def test_cancel_is_refused_when_the_job_ended_meanwhile(site: Site) -> None:
    site.job(S.TRAINED)
    client = site.with_ports(jobs=Overtaken(site.ports.jobs, S.SUCCEEDED))
    assert client.post("/api/v1/jobs/weekly-1:cancel").status_code == 409
    assert site.stored().state is S.SUCCEEDED


# retry


@pytest.mark.parametrize("state", [S.FAILED, S.CANCELLED])
def test_retry_begins_a_new_attempt_at_the_prepared_data(site: Site, state: JobState) -> None:
    error = Problem(type="crashed", title="It crashed")
    job = site.job(state, attempt=3, error=error, execution="run-7", progress=Progress(step="search"))
    site.dataset(job)
    site.prepared(job)
    site.drain()
    assert site.client.post("/jobs/weekly-1/retry").status_code == 303
    job = site.stored()
    assert (job.state, job.attempt, job.first_attempt) == (S.QUEUED, 4, 4)
    assert (job.error, job.progress, job.execution) == (None, None, None)
    assert job.deadline == site.clock.now() + timedelta(minutes=15)
    assert (job.timeline[-1].attempt, job.timeline[-1].note) == (4, f"retried by {getpass.getuser()}")
    ready = {"schema_version": 1, "job_id": "weekly-1", "attempt": 4}
    assert site.published() == [(TRAINING_READY, ready, {})]


@pytest.mark.parametrize("prepared", [False, True])
def test_retry_begins_at_the_dataset_if_no_valid_data_were_prepared(site: Site, prepared: bool) -> None:
    job = site.job(S.FAILED)
    dataset = site.dataset(job)
    if prepared:
        site.prepared(job, valid=False)
    site.drain()
    assert site.client.post("/api/v1/jobs/weekly-1:retry").json["state"] == "EXTRACTED"
    ((topic, data, attributes),) = site.published()
    assert (topic, data["name"]) == ("objects-datasets", dataset.name)
    assert attributes["objectGeneration"] == str(dataset.generation)


def test_retry_begins_at_the_request_if_nothing_was_extracted(site: Site) -> None:
    request = {"request_id": "a", "z": [1.5, 2], "country": "DE"}
    site.job(S.FAILED, request=request)
    assert site.client.post("/api/v1/jobs/weekly-1:retry").json["state"] == "ACCEPTED"
    assert site.published() == [(TRAIN_REQUESTS, request, {})]


def test_retry_of_an_upload_begins_at_the_file(site: Site) -> None:
    upload = site.upload()
    site.job(S.CANCELLED, upload=upload)
    site.drain()
    assert site.client.post("/api/v1/jobs/weekly-1:retry").json["state"] == "ACCEPTED"
    ((topic, data, attributes),) = site.published()
    assert (topic, data["name"]) == ("objects-drop-zone", upload.name)
    assert attributes["objectGeneration"] == str(upload.generation)


def test_retry_of_an_upload_whose_file_was_replaced_is_refused(site: Site) -> None:
    before = site.job(S.FAILED, upload=site.upload())
    site.upload()
    site.drain()
    answer = site.client.post("/api/v1/jobs/weekly-1:retry")
    assert answer.status_code == 409
    assert "upload it again" in answer.json["detail"]
    assert site.stored() == before
    assert site.published() == []


@pytest.mark.parametrize("state", [*ACTIVE, S.SUCCEEDED, S.REJECTED])
def test_retry_in_any_other_state_is_refused(site: Site, state: JobState) -> None:
    before = site.job(state)
    answer = site.client.post("/api/v1/jobs/weekly-1:retry")
    assert answer.status_code == 409
    assert answer.json["title"] == "Not possible now"
    assert site.stored() == before
    assert site.published() == []


def test_retry_twice_makes_one_attempt(site: Site) -> None:
    site.job(S.FAILED)
    answers = [site.client.post("/api/v1/jobs/weekly-1:retry").status_code for _ in range(2)]
    assert answers == [200, 409]
    assert site.stored().attempt == 2


# dead letters and queues


def letter(site: Site, subscription: str = "extract-requests") -> DeadLetter:
    stored = site.ports.jobs.create(
        DeadLetter(
            letter_id="m-1",
            subscription=subscription,
            reason="the data are not JSON",
            at=site.clock.now(),
            data=base64.b64encode(b"hello").decode(),
            attributes={"origin": "erp"},
        )
    )
    assert stored
    return stored


def test_replay_publishes_the_message_again_and_remembers_it(site: Site) -> None:
    letter(site)
    assert site.client.post("/dead-letters/m-1/replay").status_code == 303
    assert site.published() == [(TRAIN_REQUESTS, b"hello", {"origin": "erp", "replay_of": "m-1"})]
    assert "replayed" in site.client.get("/dead-letters").text
    assert site.client.post("/api/v1/dead-letters/m-1:replay").json["replayed_at"] == "2026-11-21T12:00:00Z"


def test_replay_of_what_nobody_subscribes_to_is_refused(site: Site) -> None:
    letter(site, subscription="my-own")
    answer = site.client.post("/api/v1/dead-letters/m-1:replay")
    assert answer.status_code == 409
    assert "my-own" in answer.json["detail"]
    assert site.published() == []
    assert site.client.post("/api/v1/dead-letters/other:replay").status_code == 404


def test_a_paused_queue_says_so_and_resuming_wakes_launch(site: Site) -> None:
    site.job(S.QUEUED)
    assert site.client.post("/queues/default/pause").status_code == 303
    assert "paused" in site.client.get("/").text
    assert site.published() == []
    assert site.client.post("/api/v1/queues/default:resume").json["paused"] is False
    queue = site.ports.jobs.get(Queue, "default")
    assert queue is not None
    assert queue.paused is False
    assert [topic for topic, *_ in site.published()] == [TRAINING_READY]


def test_a_queue_that_the_installation_does_not_have_is_unknown(site: Site) -> None:
    answer = site.client.post("/api/v1/queues/nope:pause")
    assert answer.status_code == 404
    assert "default, bulk" in answer.json["detail"]
    assert site.ports.jobs.get(Queue, "nope") is None


# who may ask


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "http://[::1"},
    ],
)
@pytest.mark.parametrize(
    "address", ["/jobs/weekly-1/cancel", "/api/v1/jobs/weekly-1:cancel", "/queues/default/pause"]
)
def test_other_sites_change_nothing(site: Site, headers: dict[str, str], address: str) -> None:
    before = site.job()
    assert site.client.post(address, headers=headers).status_code == 403
    assert site.stored() == before
    assert site.ports.jobs.get(Queue, "default") is None
    assert site.published() == []


def test_our_own_pages_and_programs_may(site: Site) -> None:
    site.job()
    own = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
    assert site.client.post("/jobs/weekly-1/cancel", headers=own).status_code == 303
    assert site.client.post("/api/v1/jobs/weekly-1:cancel").status_code == 200


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_an_unknown_job_is_a_404_as_page_and_as_problem(site: Site, verb: str) -> None:
    page, problem = site.client.post(f"/jobs/nope/{verb}"), site.client.post(f"/api/v1/jobs/nope:{verb}")
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert (problem.status_code, problem.mimetype) == (404, "application/problem+json")
    assert problem.json == {
        "type": "/problems/not-found",
        "instance": f"/api/v1/jobs/nope:{verb}",
        "violations": [],
        "title": "Not found",
        "status": 404,
        "detail": "there is no job nope",
        "errors": [],
    }
