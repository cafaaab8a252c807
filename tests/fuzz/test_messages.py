"""Envelopes, requests and notifications that nobody should send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import DEAD_LETTERS, SUBSCRIPTIONS, TRAIN_REQUESTS
from contracts.job import DeadLetter, Job, JobState
from contracts.request import job_id_for
from functions.errors import Permanent
from infra.local.demo_data import demo_request
from tests.fuzz import hostile
from tests.pipeline.world import World

FUNCTIONS = sorted({function for _, function in SUBSCRIPTIONS.values()})
BODY = demo_request("fuzz", 5, 1)
PATHS = hostile.paths(BODY)
DEEP = "[" * 100_000 + "]" * 100_000


@hostile.examples(150)
@given(
    st.sampled_from(FUNCTIONS),
    hostile.values,
    st.sampled_from(["message", "subscription", "all"]),
    hostile.texts,
)
def test_an_envelope_is_handled_or_refused(world: World, function: str, value: Any, part: str, key: str):
    good = hostile.envelope(b"{}")
    envelopes = {"message": {**good, "message": {**good["message"], key: value, "attributes": value}}}
    envelopes |= {"subscription": {**good, "subscription": value, "deliveryAttempt": value}, "all": value}
    answer = world.http.post(
        f"/{function}", data=json.dumps(envelopes[part]), content_type="application/json"
    )
    assert answer.status_code in (204, 400), answer.get_data(as_text=True)
    assert "Traceback" not in answer.get_data(as_text=True)
    hostile.settle(world)


@pytest.mark.parametrize(
    "body",
    [
        "", "null", "{}", "[1]", DEEP, '{"message": ' + DEEP + "}", '{"message": {"data": 5}}', "9" * 5000,
        '{"message": {"messageId": "1"}, "subscription": "s", "deliveryAttempt": 1e999}',
        '{"message": {"messageId": "\\ud800"}, "subscription": "s"}',
        '{"message": {"messageId": "1", "attributes": {"a": "\\udfff"}}, "subscription": "s"}',
        '{"message": {"messageId": "1", "data": "not base64!"}, "subscription": "s"}',
    ],
)  # fmt: skip
def test_what_is_no_envelope_is_answered_with_400(world: World, body: str):
    answer = world.http.post("/extract", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_data(as_text=True).startswith("not a Pub/Sub push envelope") or "depth" in answer.text


def test_a_web_page_cannot_make_a_browser_send_a_message(world: World):
    """Without asking first, a browser sends a foreign form or text, but never JSON."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        sent = json.dumps(hostile.envelope(json.dumps(BODY).encode()))
        assert world.http.post("/extract", data=sent, content_type=kind).status_code == 400
    assert world.ports.jobs.find(Job) == []


@hostile.examples(150)
@given(st.sampled_from(PATHS), hostile.values, st.integers())
def test_a_spoilt_request_ends_with_a_reason(world: World, path: tuple[Any, ...], value: Any, number: int):
    body = hostile.spoilt({**BODY, "request_id": f"r{number}"}, path, value)
    world.publish(json.dumps(body).encode())
    hostile.settle(world)
    if path != ("request_id",):
        assert world.ports.jobs.get(Job, job_id_for(f"r{number}")), "a usable request_id makes a job"


@hostile.examples(100)
@given(st.dictionaries(hostile.texts, hostile.values, max_size=4), st.integers(), st.booleans())
def test_whatever_a_request_holds_it_is_a_job_and_the_same_one_again(
    world: World, fields: dict[str, Any], number: int, repeated: bool
):
    text = json.dumps({**fields, "request_id": f"r{number}"})
    sent = (text[:-1] + ', "x": 1, "x": 2}' if repeated else text).encode()
    before = len(world.received)
    for _ in range(2):
        world.publish(sent)
        hostile.settle(world)
    job = world.job(job_id_for(f"r{number}"))
    assert job.state is JobState.REJECTED
    first, second = world.received[before:]
    assert first == second, "it is told the same twice"
    json.loads(job.model_dump_json(), parse_constant=pytest.fail)
    assert world.ports.jobs.find(DeadLetter) == []


ODD = [
    ('"priority": NaN', "priority: NaN is not a JSON number"),
    ('"priority": -Infinity', "priority: -Infinity is not a JSON number"),
    ('"budget": {"total": 1e999}', "budget.total: 1e999 is out of range"),
    ('"labels": {"a": [1, -1e999]}', "labels.a[1]: -1e999 is out of range"),
    ('"priority": 1' + "0" * 5000, "priority: a number of 5001 digits"),
    ('"country": "\\ud800"', "country: text that is not valid Unicode"),
    ('"labels": {"\\udfff": "x"}', "labels: text that is not valid Unicode"),
    ('"columns": {"date": "a", "date": "b"}', "columns.date: given 2 times"),
    ('"queue": "a", "queue": "a", "queue": "b"', "queue: given 3 times"),
    ('"labels": ' + "[" * 16 + "]" * 16, "nested more than 16 levels deep"),
    ('"labels": {"a": ' + DEEP + "}", "nested more than 16 levels deep"),
    ('"labels": {"a": "' + "y" * 300_000 + '"}', "the request is larger than 256 KiB"),
    ('"x": [' + "NaN," * 60_000 + "1]", "the request is larger than 256 KiB"),
    ('"x": "\\ud800' + "y" * 300_000 + '"', "the request is larger than 256 KiB"),
    ('"x": [' + "1e999, 2, " * 200_000 + "1]", "the request is larger than 1024 KiB"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "reason"), ODD, ids=[reason for _, reason in ODD])
def test_what_cannot_be_stored_is_a_rejected_job_that_says_where(world: World, field: str, reason: str):
    text = '{"request_id": "a", ' + field + ', "revision": "r1"}'
    assert reason in sent(world, text)
    job = world.job(job_id_for("a"))
    assert (job.state, job.request["request_id"], job.revision) == (JobState.REJECTED, "a", "r1")
    assert "left out" in json.dumps(job.request)
    assert len({error.partition(": ")[0] for error in job.error.errors}) == len(job.error.errors)
    for again in (text, text.replace(": ", " :\n") if len(text) < 1 << 20 else text):
        world.publish(again.encode())
        hostile.settle(world)
    assert [event["type"] for event in world.received] == ["job-finished"] * 3


@pytest.mark.parametrize(("field", "_"), ODD, ids=[reason for _, reason in ODD])
def test_the_same_request_put_right_or_spoilt_otherwise_is_another_request(world: World, field: str, _: str):
    spoilt = '{"request_id": "a", ' + field + "}"
    world.publish(spoilt.encode())
    hostile.settle(world)
    stored = json.dumps(world.job(job_id_for("a")).request)
    name = field.partition(":")[0]
    for other in ("{}", "{" + f'{name}: "x"' + "}", "{" + f"{name}: [NaN, 1e999]" + "}"):
        world.publish(other.replace("{", '{"request_id": "a", ', 1).replace(", }", "}").encode())
        hostile.settle(world)
    assert [event["type"] for event in world.received] == ["job-finished"] + ["request-refused"] * 3
    assert json.dumps(world.job(job_id_for("a")).request) == stored


@hostile.examples(60)
@given(st.binary(max_size=200) | st.builds(lambda v: json.dumps(v).encode(), hostile.values))
def test_data_that_are_no_request_are_dead_letters(world: World, data: bytes):
    world.publish(data)
    hostile.settle(world)


def sent(world: World, text: str) -> str:
    """What came of a message: the reason of its dead letter, or of its job."""
    world.publish(text.encode())
    hostile.settle(world)
    jobs, letters = world.ports.jobs.find(Job), world.ports.jobs.find(DeadLetter)
    assert len(jobs) + len(letters) == 1
    error = jobs[0].error if jobs else None
    return "; ".join(error.errors) if error else letters[0].reason


def request_with(**fields: Any) -> str:
    return json.dumps({**BODY, **fields})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"request_id": "a", "x": ' + "9" * 4000 + "}", "x: unknown field"),
        ('{"request_id": "a", "request_id": "b"}', "request_id: given 2 times"),
        ('{"request_id": NaN}', "request_id: NaN is not a JSON number"),
        ('{"request_id": "a", "x": ' + "[" * 100_000, "not JSON"),
        ('{"request_id": "a", "x": "' + '\\"' * 1_000_000, "not JSON"),
        ('{"request_id": "a\\u0000b"}', "printable ASCII"),
        (request_with(labels={"a": "\0", "\0": "a"}), "labels"),
        (request_with(country="DE\n"), "country"),
        (request_with(source={"kind": "x" * 100_000}), "source"),
        (request_with(source={"kind": "object", "name": "drop-zone/DE/" + "ü" * 200}), "at most 255"),
        (request_with(source={"kind": "object", "name": "drop-zone/DE/../../state.db"}), "`..`"),
        (request_with(source={"kind": "object", "name": "drop-zone/DE/a\x7f"}), "source.object.name"),
        (request_with(source={"kind": "object", "name": "drop-zone/DE/nothing.csv"}), ""),
        (request_with(**{f"unknown_{i}": 1 for i in range(5000)}), "and 4950 more"),
    ],
)  # fmt: skip
def test_found_once_and_never_again(world: World, text: str, reason: str):
    assert reason in sent(world, text)


def test_many_inputs_of_a_derived_column_do_not_fill_the_memory(world: World):
    world.fill_warehouse()
    job_id = world.submit("r1", derived=[{"op": "sum", "name": "a", "of": ["tv_spend"] * 10_000}] * 2)
    hostile.settle(world)
    assert world.job(job_id).state is JobState.REJECTED


@pytest.mark.parametrize(
    "part", ["a.", "+1", "::int", "(", "NOT ", "CASE WHEN 1 THEN ", "/*", "UNION SELECT 1 "]
)
def test_a_query_of_thousands_of_levels_is_refused_at_once(world: World, part: str):
    world.fill_warehouse()
    tail = "a" if part == "a." else ""
    head = "SELECT 1 " if part in ("+1", "::int", "/*", "UNION SELECT 1 ") else "SELECT "
    query = head + part * (90_000 // len(part)) + tail
    job_id = world.submit("r1", source={"kind": "sql", "connection": "demo", "query": query})
    hostile.settle(world)
    assert world.job(job_id).state is JobState.REJECTED


def test_the_same_odd_request_twice_is_still_the_same_request(world: World):
    """What is stored must compare equal with what was sent."""
    odd = request_with(labels={"n": "\0 ü \U0010ffff"}, priority=10**300, x=[0.1, -0.0, 1e308, {"": None}])
    for _ in range(2):
        world.publish(odd.encode())
        hostile.settle(world)
    assert [event["type"] for event in world.received] == ["job-finished"] * 2


def test_a_reason_fits_into_an_attribute_of_a_message(world: World):
    world.publish(
        json.dumps({"schema_version": "ü" * 3000, "job_id": {"ü" * 3000: 1}}).encode(), "sweep-requests"
    )
    world.publish(b'{"a": 1}', "objects-drop-zone")
    hostile.settle(world)
    assert all(len(letter.reason.encode()) <= 1024 for letter in world.ports.jobs.find(DeadLetter))


def test_of_a_huge_message_enough_is_kept_to_see_what_it_was(world: World):
    world.publish(b"x" * 3_000_000)
    hostile.settle(world)
    [letter] = world.ports.jobs.find(DeadLetter)
    assert "only the first" in letter.reason


def test_a_permanent_error_that_no_handler_expects_is_a_dead_letter(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    real = world.embedded.jobs.create

    def create(document: Any) -> Any:
        if isinstance(document, Job):
            raise Permanent("the document is too large for the store")
        return real(document)

    monkeypatch.setattr(world.embedded.jobs, "create", create)
    world.submit("r1")
    hostile.settle(world)
    assert [letter.reason for letter in world.ports.jobs.find(DeadLetter)] == [
        "the document is too large for the store"
    ]


def notification(name: str, /, **resource: Any) -> tuple[bytes, dict[str, str]]:
    known = {"name": name, "generation": "1", "size": "1", "crc32c": "x", "updated": "2026-01-01T00:00:00Z"}
    attributes = {"eventType": "OBJECT_FINALIZE", "objectId": name.encode(errors="replace").decode()}
    return json.dumps({**known, **resource}).encode(), attributes


@hostile.examples(100)
@given(
    st.sampled_from(["objects-drop-zone", "objects-datasets", "objects-outcomes"]),
    st.sampled_from(["drop-zone/DE/", "datasets/DE/", "outcomes/", "outcomes/x/attempt-", ""]),
    hostile.texts,
    st.sampled_from(["generation", "size", "updated", "metadata", "name"]),
    hostile.values,
)
def test_a_notification_of_nothing(world: World, topic: str, folder: str, text: str, field: str, value: Any):
    data, attributes = notification(folder + text, **{field: value})
    world.ports.bus.publish(topic, data, attributes)
    hostile.settle(world)


@pytest.mark.parametrize(
    "name", ["outcomes/x\0/attempt-1.json", f"outcomes/x/attempt-{'9' * 4000}.json", "\ud800"]
)
def test_a_name_that_cannot_be_is_a_dead_letter(world: World, name: str):
    data, attributes = notification(name)
    world.ports.bus.publish("objects-outcomes", data, attributes)
    hostile.settle(world)
    assert len(world.ports.jobs.find(DeadLetter)) == 1


@pytest.mark.parametrize(
    "name", ["", "x", "drop-zone", "drop-zone/", "drop-zone/x", "drop-zone//x", "/", "../x"]
)
def test_an_upload_that_is_not_there_changes_nothing(world: World, name: str):
    data, attributes = notification(name)
    world.ports.bus.publish("objects-drop-zone", data, attributes)
    hostile.settle(world)
    assert world.ports.jobs.find(Job) == []


def test_what_a_publisher_says_of_itself_does_not_hide_a_dead_letter(world: World):
    claims = {"message_id": "same", "reason": "none", "subscription": "mine"}
    given_up = {**claims, "CloudPubSubDeadLetterSourceSubscription": "extract-requests"}
    for _ in range(2):
        world.ports.bus.publish(TRAIN_REQUESTS, b"no json", claims)
        world.ports.bus.publish(DEAD_LETTERS, b"handled by nobody", given_up)
    hostile.settle(world)
    letters = world.ports.jobs.find(DeadLetter)
    assert len(letters) == 4
    assert {letter.subscription for letter in letters} == {"extract-requests"}
    assert {letter.reason.split(":")[0] for letter in letters} == {
        "the data are not JSON", "the platform gave up after the last delivery attempt",
    }  # fmt: skip
