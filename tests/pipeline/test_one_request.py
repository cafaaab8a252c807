"""One request's way, and what duplicates, reordering and refusals do to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts import names
from contracts.job import DeadLetter, Job, JobState, Queue
from contracts.summary import ModelSummary
from functions.ports import NotFound
from infra.local.demo_data import bad_request, bad_table, generate
from tests.pipeline.world import World

WAY = ["ACCEPTED", "EXTRACTED", "QUEUED", "RUNNING", "TRAINED", "SUCCEEDED"]


def test_a_request_becomes_a_trained_and_summarised_model(world: World):
    job_id = world.submit("r1", labels={"team": "growth"})
    world.run()
    assert world.states(job_id) == WAY
    job = world.job(job_id)
    summary = ModelSummary.model_validate_json(world.ports.objects.read(names.model_summary(job)))
    assert summary.best_model.channels[0].roas == 2.0
    assert [(one.trial, one.candidates) for one in summary.partial_trials] == [(2, 3)]
    assert summary.labels == {"team": "growth"}
    assert summary.provenance["fingerprint"] == job.fingerprint
    assert set(world.results(job_id)) == {
        "best_model.json", "changes.json", "provenance.json", "onepager.png", "timings.json", "console.log",
        "manifest.json", "model_summary.json",
    }  # fmt: skip
    [finished] = world.finished(job_id)
    assert finished["state"] == "SUCCEEDED"
    assert world.ports.objects.stat(finished["paths"]["onepager"]) is not None
    assert world.ports.objects.stat(finished["paths"]["model_summary"]) is not None
    assert world.ports.jobs.get(Queue, "default").slots == []


def test_a_duplicate_at_any_time_is_the_same_job_and_gets_the_same_answer(world: World):
    job_id = world.submit("r1")
    for state in (JobState.ACCEPTED, JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED):
        world.until(job_id, state) if state is not JobState.ACCEPTED else None
        world.submit("r1")
    world.run()
    assert world.states(job_id) == WAY
    assert len(world.ports.jobs.find(Job)) == 1
    answers = world.finished(job_id)
    assert len(answers) >= 2
    assert all(answer == answers[0] for answer in answers)


def test_the_same_request_with_its_fields_in_another_order_is_the_same_request(world: World):
    job_id = world.submit("r1")
    world.publish(dict(reversed(world.request("r1").items())))
    world.run()
    assert [e["type"] for e in world.received] == ["job-finished"]
    assert world.states(job_id) == WAY


def test_the_same_request_id_with_another_body_is_refused_and_changes_nothing(world: World):
    job_id = world.submit("r1")
    world.submit("r1", revision="other")
    world.run()
    refusals = [e for e in world.received if e["type"] == "request-refused"]
    assert [(e["job_id"], e["error"]["type"]) for e in refusals] == [(job_id, "request-id-reused")]
    assert world.job(job_id).revision == "demo"
    assert world.states(job_id) == WAY


def test_an_explicit_default_is_another_body(world: World):
    world.submit("r1")
    world.submit("r1", priority=0)
    world.run()
    assert [e["type"] for e in world.received if e["type"] == "request-refused"]


def test_data_that_are_wrong_in_four_ways_are_rejected_with_all_four_reasons(world: World):
    world.fill_warehouse(bad_table(generate().table), "broken_sales")
    world.publish(bad_request("bad"))
    world.run()
    [finished] = world.received
    assert finished["state"] == "REJECTED"
    text = "\n".join(finished["error"]["errors"])
    assert len(finished["error"]["errors"]) == 4
    for word in ("print_spend", "tv_spend", "competitor_sales", "2022-01-03"):
        assert word in text
    assert world.executions() == []


def test_an_invalid_request_is_a_rejected_job_with_all_its_errors(world: World):
    job_id = world.submit("r1", search={"trials": 0}, queue="fast", colour="red")
    world.run()
    job = world.job(job_id)
    assert job.state is JobState.REJECTED
    assert job.country == "DE"
    assert {line.split(":")[0] for line in job.error.errors} == {"search.trials", "colour"}
    assert world.finished(job_id)[0]["error"]["errors"] == job.error.errors


def test_what_this_installation_does_not_have_is_said_at_once(world: World):
    source = {**world.request("x")["source"], "connection": "elsewhere"}
    job_id = world.submit("r1", queue="fast", engine="robyn", source=source)
    world.run()
    paths = [line.split(":")[0] for line in world.job(job_id).error.errors]
    assert paths == ["queue", "engine", "source.connection"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"please train something", "not JSON"),
        (b"[1, 2]", "not an object"),
        (b'{"country": "DE"}', "request_id"),
        (b'{"request_id": "has space"}', "request_id"),
        (b'{"request_id": NaN}', "NaN"),
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_message_that_can_never_work_is_a_dead_letter_with_its_reason(
    world: World, data: bytes, reason: str
):
    world.publish(data)
    world.run()
    [letter] = world.ports.jobs.find(DeadLetter)
    assert reason in letter.reason
    assert letter.subscription == "extract-requests"
    assert world.ports.jobs.find(Job) == []


def test_a_replayed_dead_letter_is_handled_again(world: World):
    world.publish(b"nonsense", topic="training-finished")
    world.run()
    letters = world.ports.jobs.find(DeadLetter)
    assert {letter.subscription for letter in letters} == {"summarize-finished"}
    assert world.web.post(f"/api/v1/dead-letters/{letters[0].letter_id}:replay").status_code == 200
    world.run()
    assert len(world.ports.jobs.find(DeadLetter)) == 2


def test_a_request_that_only_validates_ends_with_its_findings(world: World):
    job_id = world.submit("r1", validate_only=True)
    world.run()
    assert world.states(job_id) == ["ACCEPTED", "EXTRACTED", "SUCCEEDED"]
    [finished] = world.finished(job_id)
    report = json.loads(world.ports.objects.read(finished["paths"]["validation"]))
    assert report["valid"] is True
    assert finished["paths"]["results"] is None


def test_a_recent_extract_is_reused_unless_the_request_says_refresh(world: World):
    first = world.submit("r1")
    world.run()
    world.fill_warehouse(generate(seed=3).table)
    second, third = world.submit("r2"), world.submit("r3", cache="refresh")
    world.run()
    prints = [world.job(job).fingerprint for job in (first, second, third)]
    assert prints[0] == prints[1] != prints[2]
    world.clock.pass_(hours=2)
    fourth = world.submit("r4", cache="use")
    world.run()
    assert world.job(fourth).fingerprint == prints[2]


def test_a_recent_extract_that_vanishes_while_it_is_copied_is_made_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    world.submit("r1")
    world.run()

    def vanished(*_: Any) -> Any:
        raise NotFound("somebody deleted it")

    monkeypatch.setattr(world.ports.objects, "copy", vanished)
    second = world.submit("r2")
    world.run()
    assert world.job(second).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            {"kind": "table", "connection": "demo", "database": "demo", "schema": "main", "table": "nothing"},
            "nothing",
        ),
        ({"kind": "sql", "connection": "demo", "query": "DROP TABLE weekly_sales"}, "SELECT"),
        ({"kind": "sql", "connection": "demo", "query": "SELECT 1; SELECT 2"}, "one"),
        ({"kind": "sql", "connection": "demo", "query": "SELECT * FROM read_csv('/etc/passwd')"}, "read_csv"),
        ({"kind": "object", "name": "drop-zone/DE/none.csv"}, "not there"),
        ({"kind": "object", "name": "drop-zone/FR/other.csv"}, "folder of its country"),
        ({"kind": "object", "name": "drop-zone/DE/../../x.csv"}, "without empty parts"),
    ],
)
def test_a_source_that_cannot_be_read_rejects_the_job_with_the_reason(world: World, source: dict, words: str):
    job_id = world.submit("r1", source=source)
    world.run()
    job = world.job(job_id)
    assert job.state is JobState.REJECTED, job
    assert words in f"{job.error.detail} {job.error.errors}"
    assert len(world.finished(job_id)) == 1


def test_what_only_the_native_engine_can_do_is_refused_at_once_with_another(world: World):
    search = {"solver": "converged", "best_by": "nrmse", "stop": {"unmoved_iterations": 5}}
    job_id = world.submit("r1", engine="robyn", search=search)
    world.run()
    assert world.job(job_id).state is JobState.REJECTED
    assert [error.split(" needs ")[0] for error in world.job(job_id).error.errors] == [
        "engine: 'robyn' is not installed; there are: native",
        "search.solver: converged",
        "search.best_by: nrmse",
        "search.stop:",
    ]


def test_what_only_robyn_can_do_is_refused_at_once_with_the_native_engine(world: World):
    job_id = world.submit("r1", search={"allow_partial_trials": True})
    world.run()
    assert world.job(job_id).error.errors == [
        "search.allow_partial_trials: needs the engine robyn; this request has the engine native"
    ]


def test_slots_are_never_exceeded_and_the_order_is_priority_then_country_then_age(world: World):
    world.web.post("/api/v1/queues/default:pause")
    jobs = []
    for number, (country, priority) in enumerate([("DE", 0), ("DE", 0), ("DE", 0), ("AT", 0), ("FR", 5)]):
        world.clock.pass_(seconds=1)
        jobs.append(world.submit(f"r{number}", country=country, priority=priority))
        world.deliver()
    assert world.executions() == []
    world.web.post("/api/v1/queues/default:resume")
    started: list[str] = []
    world.deliver()
    while running := world.executions():
        assert len(running) <= 2
        started += [job for _, job, _ in running if job not in started]
        name, job_id, attempt = running[0]
        world.life(name, job_id, attempt).live()
        world.embedded.launcher.finish_task(name, 0, 0)
        world.deliver()
    # the highest priority first; then DE, the oldest; a free slot goes to AT while DE has one running
    assert started == [jobs[4], jobs[0], jobs[3], jobs[1], jobs[2]]
    assert all(world.job(job).state is JobState.SUCCEEDED for job in jobs)
