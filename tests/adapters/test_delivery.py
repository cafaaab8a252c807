"""What a bus promises of delivery over HTTP: at least once, later if refused, never silently not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from contracts.events import SWEEP_REQUESTS, TRAINING_FINISHED
from functions.message import decode
from functions.ports import Ports
from tests.adapters.families import Delivering, Family, race


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
    assert waits[0] < min(waits[1:])  # between the later ones the emulator's jitter may be larger
    messages = [decode(envelope) for _, envelope in got[:4]]
    assert {message.message_id for message in messages} == {message_id}
    attempts = [message.delivery_attempt for message in messages]
    assert attempts == ([1, 2, 3, 4] if delivering.counts else [1, 1, 1, 1])


def test_a_receiver_that_dies_in_the_middle_gets_the_message_again(delivering: Delivering) -> None:
    statuses = iter([0])
    delivering.receiver.answer = lambda _, __: next(statuses, 204)
    message_id = delivering.bus.publish(SWEEP_REQUESTS, b"x")
    got = delivering.receiver.wait_for(2)
    assert [decode(envelope).message_id for _, envelope in got] == [message_id] * 2


def until(true: Callable[[], bool]) -> None:
    while not true():
        threading.Event().wait(0.02)


def test_a_refused_message_does_not_hold_up_a_later_one_and_comes_after_it(delivering: Delivering) -> None:
    accepted: list[bytes] = []

    def answer(_: str, envelope: dict[str, Any]) -> int:
        data = decode(envelope).data
        if data == b"first" and not accepted:
            return 500
        accepted.append(data)
        return 204

    delivering.receiver.answer = answer
    delivering.bus.publish(SWEEP_REQUESTS, b"first")
    delivering.receiver.wait_for(1)
    delivering.bus.publish(SWEEP_REQUESTS, b"second")
    until(lambda: len(accepted) == 2)
    assert accepted == [b"second", b"first"]


def _publish_many(ports: Ports, number: int) -> list[str]:
    return [ports.bus.publish(SWEEP_REQUESTS, f"{number} {index}".encode()) for index in range(25)]


def test_every_message_of_racing_publishers_arrives(family: Family, delivering: Delivering) -> None:
    published = {message_id for ids in race(4, _publish_many, family.reopen) for message_id in ids}
    assert len(published) == 100
    until(lambda: {decode(envelope).message_id for _, envelope in delivering.receiver.got} == published)


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
