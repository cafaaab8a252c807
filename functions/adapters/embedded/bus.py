"""The bus: a durable push queue in SQLite that behaves like Pub/Sub push subscriptions.

A message is one row per subscription of its topic. Whoever delivers it takes a lease (the ack deadline),
pushes the envelope, and deletes the row when the push was accepted. What a later stage waits for is delivered
first, so that what has begun is finished and slots come free; slow receivers have a few threads, never all.
"""

from __future__ import annotations

import base64
import json
import logging
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from contracts.events import DEAD_LETTERS, SUBSCRIPTIONS
from functions.adapters.embedded.database import DamagedFolder, Database
from functions.errors import Busy, Unavailable
from functions.ports import Clock, NotFound

log = logging.getLogger(__name__)

Envelope = dict[str, Any]
Push = Callable[[str, Envelope], None]
"""Hands an envelope to an endpoint (a function's name, or a whole URL). Any exception means: not accepted."""

EXTRACT, FOREIGN, OWN = "extract", "foreign", "own"
_LATER_STAGES_FIRST = (
    "sweep-requests",
    "bury-dead-letters",
    "summarize-finished",
    "launch-finished",
    "finalize-outcomes",
    "launch-ready",
    "validate-datasets",
)
"""Subscriptions added by users come after these, and extract's come last."""

_POLL_S = 0.05  # for messages that another process published, and for back-offs that end
_STOP_S = 5.0


@dataclass(frozen=True)
class BusSettings:
    """How the bus delivers."""

    min_back_off_s: float = 1.0
    max_back_off_s: float = 600.0
    ack_deadline_s: float = 600.0
    max_attempts: int = 20
    threads: int = 12
    extracts: int = 4  # threads for messages of extract that may take long
    foreign: int = 2  # threads for the receivers of other people

    def back_off_s(self, attempt: int) -> float:
        """How long to wait after a failed attempt (1 is the first)."""
        return float(min(self.max_back_off_s, self.min_back_off_s * 2 ** (attempt - 1)))


@dataclass(frozen=True)
class Delivery:
    """A message on its way to one subscription."""

    id: int
    message_id: str
    subscription: str
    data: bytes
    attributes: Mapping[str, str]
    published: str  # ISO-8601
    due: datetime  # when it is delivered next, or when the current lease ends
    attempt: int  # deliveries so far
    parked: bool  # given up: kept until the next start
    last_error: str

    @classmethod
    def of(cls, row: sqlite3.Row) -> Delivery:
        """The delivery that a row describes."""
        fields: dict[str, Any] = {**row}
        del fields["leased"]
        fields["attributes"] = json.loads(row["attributes"])
        fields["due"] = datetime.fromtimestamp(row["due"], UTC)
        fields["parked"] = bool(row["parked"])
        return cls(**fields)

    def envelope(self) -> Envelope:
        """What is pushed: the JSON of Pub/Sub."""
        return {
            "message": {
                "data": base64.b64encode(self.data).decode(),
                "attributes": dict(self.attributes),
                "messageId": self.message_id,
                "publishTime": self.published,
            },
            "subscription": self.subscription,
            "deliveryAttempt": self.attempt,
        }


class SqliteBus:
    """Implements `functions.ports.Bus`, and delivers: by threads (`start`) or in steps (`deliver_one`)."""

    def __init__(
        self, database: Database, clock: Clock, push: Push | None = None, settings: BusSettings | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._push = push
        self._settings = settings or BusSettings()
        self._news = threading.Condition()
        self._is_news = False
        self._watched = False
        self._left_over: tuple[str, ...] = ()  # subscriptions of another release that have messages
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._leasing = threading.Lock()
        self._at_work: Counter[str] = Counter()  # deliveries per lane

    # publishing

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str] | None = None) -> str:
        """Publish a message and return its id. A topic without subscriptions drops it, as Pub/Sub does."""
        with self._database.transaction() as connection:
            message_id = self.enqueue(connection, topic, data, attributes or {})
        self.wake()
        return message_id

    def redeliver(self, subscription: str, data: bytes, attributes: Mapping[str, str]) -> str:
        """Publish a message to one subscription only, and return its new id.

        Raises:
            NotFound: there is no such subscription.
        """
        with self._database.transaction() as connection:
            if subscription not in self._subscriptions():
                raise NotFound(f"there is no subscription '{subscription}'")
            message_id = self._insert(connection, [subscription], data, attributes)
        self.wake()
        return message_id

    def on_its_way(self, topic: str, published_before: datetime) -> bool:
        """Whether a message of a topic that was published before a time is not acknowledged yet."""
        oldest = (
            self._database.row(
                "SELECT published FROM deliveries WHERE subscription = ? ORDER BY id LIMIT 1", (name,)
            )
            for name in self._subscribed(topic)
        )
        return any(row and datetime.fromisoformat(row["published"]) < published_before for row in oldest)

    def enqueue(
        self, connection: sqlite3.Connection, topic: str, data: bytes, attributes: Mapping[str, str]
    ) -> str:
        """Publish within a transaction of the caller, who calls `wake` after it."""
        return self._insert(connection, self._subscribed(topic), data, attributes)

    def wake(self) -> None:
        """Make a thread of this process look for messages at once; if it finds one, it wakes another."""
        with self._news:
            self._is_news = True
            self._news.notify()

    def _wait(self) -> None:
        """Until there is news. Of the threads that wait, one looks around: other processes publish, too."""
        with self._news:
            if not self._is_news and not self._stopping.is_set():
                looks_around, self._watched = not self._watched, True
                self._news.wait(_POLL_S if looks_around else None)
                if looks_around:
                    self._watched = False
            self._is_news = False

    def _insert(
        self, connection: sqlite3.Connection, names: list[str], data: bytes, attributes: Mapping[str, str]
    ) -> str:
        message_id = uuid4().hex
        now = self._clock.now()
        connection.executemany(
            "INSERT INTO deliveries (message_id, subscription, data, attributes, published, due)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (message_id, name, data, json.dumps(dict(attributes)), now.isoformat(), now.timestamp())
                for name in names
            ],
        )
        return message_id

    # subscriptions

    def subscribe(self, name: str, topic: str, url: str) -> None:
        """Deliver a topic to a URL as well, until `unsubscribe`; survives a restart.

        Raises:
            ValueError: the name is that of a subscription of the system.
        """
        if name in SUBSCRIPTIONS:
            raise ValueError(f"'{name}' is a subscription of the system; choose another name")
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO subscriptions VALUES (?, ?, ?)", (name, topic, url))

    def unsubscribe(self, name: str) -> None:
        """Forget a subscription and what waits for it."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM subscriptions WHERE name = ?", (name,))
            connection.execute("DELETE FROM deliveries WHERE subscription = ?", (name,))

    def _subscribed(self, topic: str) -> list[str]:
        return [name for name, (its_topic, _) in self._subscriptions().items() if its_topic == topic]

    def _subscriptions(self) -> dict[str, tuple[str, str]]:
        own = self._database.rows("SELECT name, topic, endpoint FROM subscriptions")
        return {**SUBSCRIPTIONS, **{name: (topic, endpoint) for name, topic, endpoint in own}}

    # delivering

    def pending(self) -> list[Delivery]:
        """Every unacknowledged message, oldest first."""
        return [Delivery.of(row) for row in self._database.rows("SELECT * FROM deliveries ORDER BY id")]

    def due(self) -> list[Delivery]:
        """The messages that could be delivered now, in the order of `deliver_one`."""
        rows = self._database.rows(
            "SELECT * FROM deliveries WHERE parked = 0 AND due <= ? ORDER BY due, id", (self._now(),)
        )
        return [Delivery.of(row) for row in sorted(rows, key=lambda row: _stage(row["subscription"]))]

    def deliver_one(self) -> bool:
        """Deliver the message of the latest stage that is due longest; False if none may be delivered now."""
        delivery = self._lease_next(None)
        if delivery is None:
            return False
        if self._pushed(delivery):
            self._acknowledged(delivery)
        return True

    def deliver(self, delivery_id: int, *, lose_ack: bool = False) -> bool:
        """Deliver one message now, due or not, and say whether it was acknowledged.

        `lose_ack`: the receiver's answer never arrives.

        Raises:
            NotFound: it was acknowledged before.
        """
        delivery = self._lease("id = :id", {"id": delivery_id})
        if delivery is None:
            raise NotFound(f"no message is waiting as delivery {delivery_id}")
        if not self._accepted(delivery):
            return False
        if lose_ack:
            self._failed(delivery, "the answer was lost")
            return False
        return self._acknowledged(delivery)

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _lease_next(self, done: Delivery | None) -> Delivery | None:
        """Lease the next message, and acknowledge the one before it at the same time."""
        with self._leasing:
            next_one, values = self._next()
            if self._database.row(next_one, values) is None:
                if done:
                    self._acknowledged(done)
                return None
            delivery = self._lease(f"id = ({next_one})", values, done)
            if delivery is None:
                return None
            self._at_work[_lane(delivery.subscription)] += 1
        self.wake()  # another thread looks for the next message meanwhile
        return delivery

    def _next(self) -> tuple[str, dict[str, Any]]:
        """Selects the message to deliver next: of each subscription the one that is due longest."""
        names = sorted({*self._subscriptions(), *self._left_over}, key=lambda name: (_stage(name), name))
        every = " UNION ALL ".join(
            "SELECT * FROM (SELECT id FROM deliveries"  # noqa: S608 (numbers of ours)
            f" WHERE subscription = :name{number} AND parked = 0 AND due <= :now{self._room(name)}"
            " ORDER BY due, id LIMIT 1)"
            for number, name in enumerate(names)
        )
        values = {f"name{number}": name for number, name in enumerate(names)}
        return f"SELECT id FROM ({every}) LIMIT 1", {**values, "now": self._now()}  # noqa: S608 (of ours)

    def _room(self, name: str) -> str:
        """Which messages of a subscription may be delivered beside those at work, as a condition.

        What is new of extract's is delivered beside slow sources, too: so a request or an upload is accepted,
        and only its source may have to wait. Files take longer to read than it takes to accept a request,
        which therefore has room beside them.
        """
        lane = _lane(name)
        if lane == OWN or self._at_work[lane] < getattr(self._settings, _LANES[lane]):
            return ""
        most = self._settings.extracts * (4 if name == "extract-requests" else 3) // 2
        return " AND attempt = 0" if lane == EXTRACT and self._at_work[lane] < most else " AND 0"

    def _awaited(self) -> Iterator[str]:
        """The subscriptions that have messages; as many look-ups as there are, however many messages."""
        name: str | None = ""
        while True:
            (name,) = self._database.rows(
                "SELECT MIN(subscription) FROM deliveries WHERE subscription > ?", (name,)
            )[0]
            if name is None:
                return
            yield name

    def _lease(
        self, condition: str, values: Mapping[str, Any], done: Delivery | None = None
    ) -> Delivery | None:
        now = self._now()
        times = {"now": now, "deadline": now + self._settings.ack_deadline_s}
        with self._database.transaction() as connection:
            if done:
                self._remove(connection, done)
            row = connection.execute(
                "UPDATE deliveries SET attempt = attempt + 1, leased = 1, due = :deadline"  # noqa: S608
                f" WHERE {condition} RETURNING *",
                {**values, **times},
            ).fetchone()
        with self._database.reading("a message"):
            return Delivery.of(row) if row else None

    def _pushed(self, delivery: Delivery) -> bool:
        """Deliver a message that was leased as the next; whether it was accepted."""
        try:
            return self._accepted(delivery)
        finally:
            with self._leasing:
                self._at_work[_lane(delivery.subscription)] -= 1

    def _accepted(self, delivery: Delivery) -> bool:
        if delivery.attempt > self._settings.max_attempts:  # the last one was leased and never answered
            self._failed(delivery, delivery.last_error or "no answer within the ack deadline")
            return False
        if self._push is None:
            raise RuntimeError("the bus has nowhere to push to: give it `push`, or start it")
        _, endpoint = self._subscriptions().get(delivery.subscription, ("", ""))
        try:
            if not endpoint:
                raise NotFound(f"there is no subscription '{delivery.subscription}' any more")
            self._push(endpoint, delivery.envelope())
        except Exception as error:  # noqa: BLE001 (whatever it is, the message was not accepted)
            if isinstance(error, Busy) and _lane(delivery.subscription) == EXTRACT:
                self._put_back(delivery, str(error))
            else:
                self._failed(delivery, f"{type(error).__name__}: {error}")
            return False
        return True

    def _acknowledged(self, delivery: Delivery) -> bool:
        with self._database.transaction() as connection:
            return self._remove(connection, delivery)

    def _remove(self, connection: sqlite3.Connection, delivery: Delivery) -> bool:
        deleted = connection.execute(
            "DELETE FROM deliveries WHERE id = ? AND attempt = ?", (delivery.id, delivery.attempt)
        )
        return deleted.rowcount == 1  # 0: the lease had ended, and it is being delivered again

    def _failed(self, delivery: Delivery, reason: str) -> None:
        log.warning("delivery %d to %s failed: %s", delivery.attempt, delivery.subscription, reason)
        if delivery.attempt >= self._settings.max_attempts:
            self._give_up(delivery, reason)
            return
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE deliveries SET leased = 0, due = ?, last_error = ? WHERE id = ? AND attempt = ?",
                (
                    self._now() + self._settings.back_off_s(delivery.attempt),
                    reason,
                    delivery.id,
                    delivery.attempt,
                ),
            )

    def _put_back(self, delivery: Delivery, reason: str) -> None:
        """Postpone a message for which there is no room; all postponements count as one delivery."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE deliveries SET leased = 0, due = ?, attempt = MAX(1, attempt - 1), last_error = ?"
                " WHERE id = ? AND attempt = ?",
                (self._now() + self._settings.min_back_off_s, reason, delivery.id, delivery.attempt),
            )

    def _give_up(self, delivery: Delivery, reason: str) -> None:
        """Publish a message to the dead letters; park a dead letter, which would circulate for ever."""
        topic, _ = self._subscriptions().get(delivery.subscription, ("", ""))
        this = (delivery.id, delivery.attempt)
        with self._database.transaction() as connection:
            if topic == DEAD_LETTERS:
                connection.execute(
                    "UPDATE deliveries SET leased = 0, parked = 1, last_error = ?"
                    " WHERE id = ? AND attempt = ?",
                    (reason, *this),
                )
                return
            if connection.execute("DELETE FROM deliveries WHERE id = ? AND attempt = ?", this).rowcount:
                told = {
                    "subscription": delivery.subscription,
                    "message_id": delivery.message_id,
                    "reason": reason,
                    "delivery_attempts": str(min(delivery.attempt, self._settings.max_attempts)),
                }
                self.enqueue(connection, DEAD_LETTERS, delivery.data, {**delivery.attributes, **told})
        self.wake()

    def clock_was_set_back(self, seconds: float) -> None:
        """Move due times back by the same step: messages must not wait longer, shorter does no harm."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE deliveries SET due = due - ? WHERE due > ?", (seconds, self._now()))
        self.wake()

    # threads

    def start(self, functions_url: str = "") -> None:
        """Deliver with threads until `stop`, where there is no `push` to `functions_url`/the function's name.

        What a host that died was delivering, and what was parked, is delivered again; so is what waits for
        longer than anything does, because the clock was set back.
        """
        from functions.adapters.embedded.push import HttpPush  # requests: only the host needs it

        self._push = self._push or HttpPush(self._settings.ack_deadline_s, functions_url)
        with self._database.transaction() as connection:
            now = self._now()
            longest = max(self._settings.max_back_off_s, self._settings.ack_deadline_s)
            connection.execute(
                "UPDATE deliveries SET leased = 0, due = ? WHERE leased = 1 OR due > ?", (now, now + longest)
            )
            connection.execute(
                "UPDATE deliveries SET parked = 0, attempt = 0, due = ? WHERE parked = 1", (self._now(),)
            )
        self._left_over = tuple(self._awaited())
        self._stopping.clear()
        self._threads = [
            threading.Thread(target=self._run, name=f"bus-{index}", daemon=True)
            for index in range(self._settings.threads)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop after the deliveries under way, within a few seconds; the rest waits for the next start."""
        with self._news:
            self._stopping.set()
            self._news.notify_all()
        end = time.monotonic() + _STOP_S
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._threads = []

    def _run(self) -> None:
        done: Delivery | None = None
        while not self._stopping.is_set():
            try:
                delivery = self._lease_next(done)
                done = delivery if delivery and self._pushed(delivery) else None
            except DamagedFolder:
                break  # the host looks and says so
            except Unavailable as error:
                log.warning("the bus waits: %s", error)
                self._stopping.wait(_POLL_S)
                continue
            if delivery is None:
                self._wait()
        if done:
            with suppress(Unavailable):  # else it is delivered once more
                self._acknowledged(done)
        self._database.close()


_LANES = {EXTRACT: "extracts", FOREIGN: "foreign"}


def _lane(subscription: str) -> str:
    """Whose threads deliver a subscription's messages."""
    if subscription not in SUBSCRIPTIONS:
        return FOREIGN
    return EXTRACT if subscription.startswith("extract-") else OWN


def _stage(subscription: str) -> int:
    if subscription in _LATER_STAGES_FIRST:
        return _LATER_STAGES_FIRST.index(subscription)
    return len(_LATER_STAGES_FIRST) + (_lane(subscription) == EXTRACT)
