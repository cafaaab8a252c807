"""What a bus promises of delivery over HTTP: at least once, later if refused, never silently not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from contracts.events import SWEEP_REQUESTS, TRAINING_FINISHED
from functions.message import decode
from tests.adapters.families import Delivering, Family


@pytest.fixture
def delivering(family: Family) -> Iterator[Delivering]:
    with family.delivering() as delivering:
        yield delivering


def test_a_message_reaches_every_subscription_of_its_topic_as_it_was_sent(delivering: Delivering) -> None:
    attributes = {"größe": "ü", "topic": "t", "data": "d", "timeout": "1"}
    message_id = delivering.bus.publish(TRAINING_FINISHED, b"\x00\xff data", attributes)
    got = delivering.receiver.wait_for(2)
    assert sorted(path for path, _ in got) == ["launch", "summarize"]
    messages = [decode(envelope) for _, envelope in got]
    assert sorted(message.subscription for message in messages) == ["launch-finished", "summarize-finished"]
    assert [message.data for message in messages] == [b"\x00\xff data"] * 2
    assert [message.attributes for message in messages] == [attributes] * 2
    assert [message.message_id for message in messages] == [message_id] * 2


def test_a_message_without_data_or_attributes_is_delivered(delivering: Delivering) -> None:
    delivering.bus.publish(SWEEP_REQUESTS, b"", {"a": "b"})
    delivering.bus.publish(SWEEP_REQUESTS, b"x")
    got = [decode(envelope) for _, envelope in delivering.receiver.wait_for(2)]
    assert sorted((message.data, message.attributes.get("a")) for message in got) == [
        (b"", "b"),
        (b"x", None),
    ]


def test_a_refused_message_comes_again_later_and_later(delivering: Delivering) -> None:
    statuses = iter([500, 503, 429])
    delivering.receiver.answer = lambda _, __: next(statuses, 204)
    message_id = delivering.bus.publish(SWEEP_REQUESTS, b"x")
    got = delivering.receiver.wait_for(4)
    times = delivering.receiver.times
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[0] < waits[1] < waits[2]
    assert {decode(envelope).message_id for _, envelope in got} == {message_id}


def test_one_refused_message_does_not_hold_up_the_others(delivering: Delivering) -> None:
    refused = delivering.bus.publish(SWEEP_REQUESTS, b"1")
    delivering.receiver.answer = lambda _, envelope: 500 if decode(envelope).message_id == refused else 204
    accepted = delivering.bus.publish(SWEEP_REQUESTS, b"2")
    got = delivering.receiver.wait_for(3)
    assert [decode(envelope).message_id for _, envelope in got].count(accepted) == 1


def test_without_an_answer_in_time_a_message_is_delivered_beside_the_first(delivering: Delivering) -> None:
    go_on = threading.Event()

    def slow_at_first(path: str, envelope: dict[str, Any]) -> int:
        if len(delivering.receiver.got) == 1:
            go_on.wait(60)
        return 204

    delivering.receiver.answer = slow_at_first
    delivering.bus.publish(SWEEP_REQUESTS, b"x")
    delivering.receiver.wait_for(2)
    assert not go_on.is_set(), "the first delivery is still being handled"
    go_on.set()
    first, second = delivering.receiver.times[:2]
    assert second - first > 0.9 * delivering.ack_deadline_s


def test_after_the_last_attempt_a_message_is_a_dead_letter(delivering: Delivering) -> None:
    delivering.receiver.answer = lambda path, _: 204 if path == "bury" else 500
    delivering.bus.publish(SWEEP_REQUESTS, b"\x01data", {"own": "attribute"})
    got = delivering.receiver.wait_for(delivering.max_attempts + 1)
    assert [path for path, _ in got] == ["sweep"] * delivering.max_attempts + ["bury"]
    letter = decode(got[-1][1])
    assert (letter.data, letter.attributes["own"]) == (b"\x01data", "attribute")
    assert ("reason" in letter.attributes) == delivering.tells_reason
