from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from contracts.events import DEAD_LETTERS, SWEEP_REQUESTS, TRAIN_REQUESTS, TRAINING_FINISHED, TRAINING_READY
from functions.adapters.embedded import Embedded
from functions.adapters.embedded.bus import BusSettings
from functions.adapters.embedded.clock import ClockSteps
from functions.errors import Busy
from functions.ports import NotFound
from tests.adapters.families import SPAWN, StepClock, crash, die

QUICK = BusSettings(min_back_off_s=0.05)


class Receiver:
    """Records what is pushed to it, and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.fails: Exception | None = None

    def __call__(self, endpoint: str, envelope: dict[str, Any]) -> None:
        self.got.append((endpoint, envelope))
        if self.fails:
            raise self.fails

    @property
    def attempts(self) -> list[int]:
        return [envelope["deliveryAttempt"] for _, envelope in self.got]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def embedded(tmp_path: Path, clock: StepClock, receiver: Receiver) -> Embedded:
    return Embedded(tmp_path, clock, push=receiver)


def test_a_message_reaches_every_subscription_of_its_topic(embedded: Embedded, receiver: Receiver) -> None:
    message_id = embedded.bus.publish(TRAINING_FINISHED, b"\x00\xff data", {"größe": "ü"})
    while embedded.bus.deliver_one():
        pass
    assert sorted(endpoint for endpoint, _ in receiver.got) == ["launch", "summarize"]
    envelope = receiver.got[0][1]
    assert json.loads(json.dumps(envelope)) == envelope
    assert base64.b64decode(envelope["message"]["data"]) == b"\x00\xff data"
    assert envelope["message"]["attributes"] == {"größe": "ü"}
    assert envelope["message"]["messageId"] == message_id
    assert envelope["message"]["publishTime"].startswith("2026-01-05T12:00:00")
    assert envelope["subscription"] in ("launch-finished", "summarize-finished")
    assert envelope["deliveryAttempt"] == 1
    assert embedded.bus.pending() == []


def test_a_topic_that_nobody_hears_drops_its_messages(embedded: Embedded) -> None:
    embedded.bus.publish("job-finished", b"x")
    assert embedded.bus.pending() == []
    assert not embedded.bus.deliver_one()


def test_a_refused_message_comes_again_after_a_growing_back_off(
    embedded: Embedded, receiver: Receiver, clock: StepClock
) -> None:
    receiver.fails = RuntimeError("not now")
    embedded.bus.publish(SWEEP_REQUESTS, b"x")
    waits = []
    for _ in range(12):
        assert embedded.bus.deliver_one()
        assert not embedded.bus.deliver_one()
        [pending] = embedded.bus.pending()
        wait = (pending.due - clock.now()).total_seconds()
        waits.append(wait)
        clock.advance(wait - 0.01)
        assert not embedded.bus.deliver_one()
        clock.advance(0.01)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    receiver.fails = None
    assert embedded.bus.deliver_one()
    assert receiver.attempts == list(range(1, 14))
    assert len({envelope["message"]["messageId"] for _, envelope in receiver.got}) == 1
    assert embedded.bus.pending() == []


def test_a_clock_that_is_set_back_delays_nothing(
    embedded: Embedded, receiver: Receiver, clock: StepClock
) -> None:
    steps = ClockSteps(clock)
    receiver.fails = RuntimeError("not now")
    embedded.bus.publish(SWEEP_REQUESTS, b"x")
    embedded.bus.deliver_one()
    clock.advance(-3600)
    step_s = steps.step_s()
    assert -3601 < step_s <= -3599
    assert steps.step_s() == 0
    embedded.bus.clock_was_set_back(-step_s)
    clock.advance(2)
    assert embedded.bus.deliver_one()


def test_a_clock_that_was_set_back_while_no_host_ran_delays_nothing(
    embedded: Embedded, clock: StepClock
) -> None:
    embedded.bus.publish(SWEEP_REQUESTS, b"x")
    clock.advance(-86400)
    embedded.bus.start("http://127.0.0.1:9")
    deadline = time.monotonic() + 60
    while embedded.bus.pending() and time.monotonic() < deadline:
        time.sleep(0.01)
    embedded.bus.stop()
    assert embedded.bus.pending() == []


def test_later_stages_come_first(embedded: Embedded, receiver: Receiver, clock: StepClock) -> None:
    for topic in (TRAIN_REQUESTS, "objects-datasets", TRAINING_READY, "objects-outcomes", TRAINING_FINISHED):
        embedded.bus.publish(topic, b"x")
        clock.advance(1)
    while embedded.bus.deliver_one():
        pass
    assert [endpoint for endpoint, _ in receiver.got] == [
        "summarize",
        "launch",
        "finalize",
        "launch",
        "validate",
        "extract",
    ]


class Slow:
    """A receiver whose extract and whose people take their time; counts who is in it."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.inside: Counter[str] = Counter()
        self.done: Counter[str] = Counter()

    def __call__(self, endpoint: str, _: dict[str, Any]) -> None:
        self.inside[endpoint] += 1
        if endpoint in ("extract", "people"):
            self.go.wait(60)
        self.inside[endpoint] -= 1
        self.done[endpoint] += 1


def test_what_has_begun_never_waits_behind_slow_sources_or_slow_receivers(tmp_path: Path) -> None:
    slow = Slow()
    bus = Embedded(tmp_path, push=slow).bus
    bus.subscribe("upstream", "job-finished", "people")
    for _ in range(30):
        bus.publish("objects-drop-zone", b"x")
        bus.publish(TRAIN_REQUESTS, b"x")
        bus.publish("job-finished", b"x")
    bus.start("http://127.0.0.1:9")
    _wait(lambda: slow.inside["extract"] >= 4 and slow.inside["people"] == 2)
    for _ in range(20):
        bus.publish("objects-outcomes", b"x")
    _wait(lambda: slow.done["finalize"] == 20)
    assert slow.inside["people"] == 2
    assert 4 <= slow.inside["extract"] <= 8
    slow.go.set()
    _wait(lambda: not bus.pending())
    assert (slow.done["extract"], slow.done["people"]) == (60, 30)
    bus.stop()


def test_an_upload_does_not_wait_behind_slow_sources_nor_a_request_behind_uploads(tmp_path: Path) -> None:
    slow = Slow()
    bus = Embedded(tmp_path, push=slow).bus
    bus.start("http://127.0.0.1:9")
    for topic, inside in ((TRAIN_REQUESTS, 4), ("objects-drop-zone", 6), (TRAIN_REQUESTS, 8)):
        for _ in range(inside - slow.inside["extract"]):
            bus.publish(topic, b"x")
        _wait(lambda inside=inside: slow.inside["extract"] == inside)
    slow.go.set()
    _wait(lambda: not bus.pending())
    bus.stop()


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_waiting_for_room_is_no_attempt(embedded: Embedded, receiver: Receiver, clock: StepClock) -> None:
    receiver.fails = Busy("others first")
    embedded.bus.publish(TRAIN_REQUESTS, b"x")
    for _ in range(30):
        assert embedded.bus.deliver_one()
        clock.advance(1)
    receiver.fails = None
    assert embedded.bus.deliver_one()
    assert max(receiver.attempts) == 2
    assert embedded.bus.pending() == []


def test_one_refused_message_does_not_hold_up_the_others(embedded: Embedded, receiver: Receiver) -> None:
    embedded.bus.publish(SWEEP_REQUESTS, b"1")
    receiver.fails = RuntimeError("not now")
    embedded.bus.deliver_one()
    receiver.fails = None
    embedded.bus.publish(SWEEP_REQUESTS, b"2")
    assert embedded.bus.deliver_one()
    assert [delivery.data for delivery in embedded.bus.pending()] == [b"1"]


def test_a_lost_answer_means_a_second_delivery(
    embedded: Embedded, receiver: Receiver, clock: StepClock
) -> None:
    embedded.bus.publish(SWEEP_REQUESTS, b"x")
    [due] = embedded.bus.due()
    assert not embedded.bus.deliver(due.id, lose_ack=True)
    clock.advance(1)
    assert embedded.bus.deliver_one()
    assert receiver.attempts == [1, 2]


def test_messages_can_be_delivered_in_any_order(embedded: Embedded, receiver: Receiver) -> None:
    for content in (b"1", b"2", b"3"):
        embedded.bus.publish(SWEEP_REQUESTS, content)
    for delivery in reversed(embedded.bus.due()):
        assert embedded.bus.deliver(delivery.id)
    data = [base64.b64decode(envelope["message"]["data"]) for _, envelope in receiver.got]
    assert data == [b"3", b"2", b"1"]
    with pytest.raises(NotFound):
        embedded.bus.deliver(1)


def test_without_an_answer_a_message_is_delivered_again_after_the_ack_deadline_beside_the_first(
    tmp_path: Path, clock: StepClock
) -> None:
    began, go_on = threading.Event(), threading.Event()
    attempts = []

    def push(_: str, envelope: dict[str, Any]) -> None:
        attempts.append(envelope["deliveryAttempt"])
        if envelope["deliveryAttempt"] == 1:
            began.set()
            go_on.wait()

    bus = Embedded(tmp_path, clock, push=push).bus
    bus.publish(SWEEP_REQUESTS, b"x")
    slow = threading.Thread(target=bus.deliver_one)
    slow.start()
    began.wait()
    clock.advance(599)
    assert not bus.deliver_one()
    clock.advance(1)
    second = bus.due()
    assert len(second) == 1
    assert bus.deliver_one()
    assert attempts == [1, 2]
    go_on.set()
    slow.join()
    assert bus.pending() == []


def test_a_late_answer_does_not_acknowledge_the_next_delivery(tmp_path: Path, clock: StepClock) -> None:
    def push(_: str, envelope: dict[str, Any]) -> None:
        if envelope["deliveryAttempt"] == 1:
            clock.advance(601)
            bus.deliver_one()  # the same message again, and that time its receiver fails
        else:
            raise RuntimeError

    bus = Embedded(tmp_path, clock, push=push).bus
    bus.publish(SWEEP_REQUESTS, b"x")
    [due] = bus.due()
    bus.deliver(due.id)
    assert [delivery.attempt for delivery in bus.pending()] == [2]


def test_the_last_failed_attempt_makes_a_dead_letter_with_its_reason(
    tmp_path: Path, clock: StepClock, receiver: Receiver
) -> None:
    bus = Embedded(tmp_path, clock, push=receiver, bus=BusSettings(max_attempts=3)).bus
    bus.publish(SWEEP_REQUESTS, b"\x01data", {"own": "attribute"})
    receiver.fails = RuntimeError("the disk is on fire")
    for _ in range(3):
        assert bus.deliver_one()
        clock.advance(600)
    [letter] = bus.pending()
    assert letter.subscription == "bury-dead-letters"
    assert letter.data == b"\x01data"
    assert letter.attributes["subscription"] == "sweep-requests"
    assert "the disk is on fire" in letter.attributes["reason"]
    assert letter.attributes["message_id"] == receiver.got[0][1]["message"]["messageId"]
    assert letter.attributes["delivery_attempts"] == "3"
    assert letter.attributes["own"] == "attribute"
    receiver.fails = None
    assert bus.deliver_one()
    assert receiver.got[-1][0] == "bury"
    assert bus.pending() == []


def test_a_message_whose_last_lease_just_ends_is_a_dead_letter_too(
    tmp_path: Path, clock: StepClock, receiver: Receiver
) -> None:
    bus = Embedded(tmp_path, clock, push=receiver, bus=BusSettings(max_attempts=1)).bus
    bus.publish(SWEEP_REQUESTS, b"x")

    class Crash(BaseException):
        """The host dies."""

    receiver.fails = Crash()  # type: ignore[assignment]
    with pytest.raises(Crash):
        bus.deliver_one()
    clock.advance(600)
    receiver.fails = None
    bus.deliver_one()
    assert receiver.attempts == [1]
    [letter] = bus.pending()
    assert letter.subscription == "bury-dead-letters"
    assert letter.attributes["reason"]


def test_a_dead_letter_that_cannot_be_buried_is_kept_and_does_not_go_in_circles(
    tmp_path: Path, clock: StepClock, receiver: Receiver
) -> None:
    settings = BusSettings(max_attempts=2)
    bus = Embedded(tmp_path, clock, push=receiver, bus=settings).bus
    bus.publish(DEAD_LETTERS, b"x", {"reason": "first"})
    receiver.fails = RuntimeError("no room")
    for _ in range(5):
        bus.deliver_one()
        clock.advance(600)
    assert receiver.attempts == [1, 2]
    [kept] = bus.pending()
    assert (kept.parked, kept.data, kept.attributes["reason"]) == (True, b"x", "first")
    assert "no room" in kept.last_error

    receiver.fails = None
    again = Embedded(tmp_path, clock, push=receiver, bus=settings).bus
    again.start("")
    wait_until(lambda: not again.pending())
    again.stop()
    assert receiver.attempts == [1, 2, 1]


def test_a_replayed_message_goes_to_its_subscription_only(embedded: Embedded, receiver: Receiver) -> None:
    embedded.bus.redeliver("launch-finished", b"x", {"a": "b"})
    while embedded.bus.deliver_one():
        pass
    assert [endpoint for endpoint, _ in receiver.got] == ["launch"]
    with pytest.raises(NotFound):
        embedded.bus.redeliver("launch-finishd", b"x", {})


def test_an_extra_subscription_survives_a_restart_until_it_is_removed(
    tmp_path: Path, clock: StepClock, receiver: Receiver
) -> None:
    Embedded(tmp_path, clock).bus.subscribe("watch", "job-finished", "http://127.0.0.1:9/hear")
    bus = Embedded(tmp_path, clock, push=receiver).bus
    bus.publish("job-finished", b"1")
    assert bus.deliver_one()
    assert receiver.got[0][0] == "http://127.0.0.1:9/hear"
    bus.publish("job-finished", b"2")
    bus.unsubscribe("watch")
    bus.publish("job-finished", b"3")
    assert bus.pending() == []
    with pytest.raises(ValueError, match="of the system"):
        bus.subscribe("sweep-requests", "job-finished", "http://127.0.0.1:9/")


# with threads, HTTP and time


class HttpReceiver:
    """A real HTTP server that answers with the given status codes, then with 204."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.got: Queue[tuple[str, dict[str, Any], int]] = Queue()  # path, envelope, client port
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.got.put((self.path, body, self.client_address[1]))
                self.send_response(outer.statuses.pop(0) if outer.statuses else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def http() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()
    yield receiver
    receiver.close()


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        threading.Event().wait(0.01)


def test_threads_push_to_the_functions_and_to_other_urls(tmp_path: Path, http: HttpReceiver) -> None:
    bus = Embedded(tmp_path, bus=QUICK).bus
    bus.subscribe("watch", TRAIN_REQUESTS, f"{http.url}/elsewhere")
    bus.start(f"{http.url}/functions")
    for number in range(50):
        bus.publish(TRAIN_REQUESTS, str(number).encode())
    got = [http.got.get() for _ in range(100)]
    wait_until(lambda: not bus.pending())
    bus.stop()
    assert {path for path, _, _ in got} == {"/functions/extract", "/elsewhere"}
    for path in ("/functions/extract", "/elsewhere"):
        numbers = [
            int(base64.b64decode(envelope["message"]["data"])) for its, envelope, _ in got if its == path
        ]
        assert sorted(numbers) == list(range(50))
    assert len({port for _, _, port in got}) <= 16, "connections are kept open"


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
def test_anything_but_2xx_is_delivered_again(tmp_path: Path, http: HttpReceiver, status: int) -> None:
    http.statuses = [status]
    bus = Embedded(tmp_path, bus=QUICK).bus
    bus.start(http.url)
    bus.publish(SWEEP_REQUESTS, b"x")
    attempts = [http.got.get()[1]["deliveryAttempt"] for _ in range(2)]
    wait_until(lambda: not bus.pending())
    bus.stop()
    assert attempts == [1, 2]


def test_a_receiver_that_is_not_there_yet_gets_its_messages_later(tmp_path: Path, http: HttpReceiver) -> None:
    bus = Embedded(tmp_path, bus=QUICK).bus
    bus.subscribe("watch", "job-finished", "http://127.0.0.1:1/")  # nobody listens on port 1
    bus.publish("job-finished", b"x")
    bus.start("http://127.0.0.1:1")
    wait_until(lambda: any(delivery.last_error for delivery in bus.pending()))
    bus.subscribe("watch", "job-finished", http.url)
    assert http.got.get()[1]["deliveryAttempt"] >= 2
    bus.stop()


def _publish(folder: Path) -> None:
    Embedded(folder).bus.publish(SWEEP_REQUESTS, b"from elsewhere")


def test_messages_of_other_processes_are_delivered(tmp_path: Path, http: HttpReceiver) -> None:
    bus = Embedded(tmp_path).bus
    bus.start(http.url)
    process = SPAWN.Process(target=_publish, args=(tmp_path,))
    process.start()
    assert base64.b64decode(http.got.get()[1]["message"]["data"]) == b"from elsewhere"
    process.join()
    bus.stop()


def _die_in_the_middle_of_a_delivery(folder: Path) -> None:
    bus = Embedded(folder, push=die).bus
    bus.publish(SWEEP_REQUESTS, b"x")
    bus.deliver_one()


def test_what_a_dead_host_was_delivering_is_delivered_at_the_next_start(
    tmp_path: Path, http: HttpReceiver
) -> None:
    crash(_die_in_the_middle_of_a_delivery, tmp_path)
    bus = Embedded(tmp_path).bus
    assert bus.due() == [], "its lease has not ended"
    bus.start(http.url)
    assert http.got.get()[1]["deliveryAttempt"] == 2
    bus.stop()


def test_stop_finishes_what_is_being_delivered(tmp_path: Path) -> None:
    began, ended = threading.Event(), threading.Event()

    def push(_: str, __: dict[str, Any]) -> None:
        began.set()
        threading.Event().wait(0.2)
        ended.set()

    bus = Embedded(tmp_path, push=push).bus
    bus.start("")
    bus.publish(SWEEP_REQUESTS, b"1")
    began.wait()
    bus.stop()
    assert ended.is_set()
    bus.publish(SWEEP_REQUESTS, b"2")
    assert [delivery.data for delivery in bus.pending()] == [b"2"]
