"""The family of Google Cloud: the real clients against Google's emulators and the servers of this folder.

Known differences from production: the Pub/Sub emulator sends neither `deliveryAttempt` nor an identity, and
with a retry policy it forgets a message after a few refusals; the Firestore emulator misses no index; see
`gcp_servers.storage` and `cloud_run_server` for theirs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from google.cloud.firestore import Query
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

from contracts.events import DEAD_LETTERS, NOTIFIED_PREFIXES, SUBSCRIPTIONS, TOPICS
from functions.adapters.gcp import gcp_ports
from functions.adapters.gcp.bus import PubSubBus
from functions.ports import Ports
from functions.settings import GcpSettings
from tests.adapters.families import Delivering, Family
from tests.adapters.family_cloud_run import SETTINGS as CLOUD_RUN
from tests.adapters.family_cloud_run import cloud_run, launching
from tests.adapters.gcp_servers import emulators
from tests.adapters.gcp_servers.storage import BUCKET, Bucket, storage
from tests.adapters.receiver import Receiver, receiving

_ARRIVAL_S = 60.0
_SETTLE_S = 0.3  # a message that comes twice would come by then


def gcp_settings(project: str) -> GcpSettings:
    """The settings of an installation in a project of the emulators."""
    return GcpSettings(
        family="gcp",
        project=project,
        region="europe-west1",
        bucket=BUCKET,
        database="(default)",
        trainer_jobs={"medium": "trainer-small", **CLOUD_RUN.jobs},
        engines=["native"],
        queues={"default": 2},
    )


def open_ports(settings: GcpSettings, addresses: dict[str, str]) -> Ports:
    """The ports, in a process that knows no addresses yet."""
    os.environ.update(addresses)
    return gcp_ports(settings)


@contextmanager
def installation() -> Iterator[tuple[GcpSettings, dict[str, str], Bucket]]:
    """An empty project: its settings, the addresses of its servers (which clients find), and its bucket."""
    project = f"p-{uuid4().hex[:12]}"
    addresses = {"FIRESTORE_EMULATOR_HOST": emulators.firestore(), "PUBSUB_EMULATOR_HOST": emulators.pubsub()}
    with patch.dict(os.environ, addresses), storage(PubSubBus(project).publish) as (bucket, address):
        addresses["STORAGE_EMULATOR_HOST"] = os.environ["STORAGE_EMULATOR_HOST"] = address
        yield gcp_settings(project), addresses, bucket


def create_topics(project: str) -> None:
    """Every topic of the system."""
    publisher = PublisherClient()
    for topic in (*TOPICS, *NOTIFIED_PREFIXES.values()):
        publisher.create_topic(name=f"projects/{project}/topics/{topic}")


def subscribe(project: str, name: str, topic: str, url: str, **options: Any) -> None:
    """One push subscription."""
    SubscriberClient().create_subscription(
        request={
            "name": f"projects/{project}/subscriptions/{name}",
            "topic": f"projects/{project}/topics/{topic}",
            "push_config": {"push_endpoint": url},
            **options,
        }
    )


@contextmanager
def family() -> Iterator[Family]:
    """The family, as the tests use it."""
    with (
        installation() as (settings, addresses, bucket),
        receiving() as receiver,
        cloud_run() as (_, launcher),
    ):
        create_topics(settings.project)
        for name, (topic, function) in SUBSCRIPTIONS.items():
            if topic in NOTIFIED_PREFIXES.values():
                subscribe(settings.project, name, topic, f"{receiver.url}/{function}")
        yield Family(
            ports=replace(gcp_ports(settings), launcher=launcher),
            reopen=partial(open_ports, settings, addresses),
            delivered=partial(_delivered, bucket, receiver),
            delivering=partial(_delivering, settings.project),
            launching=launching,
            reads=_reads,
        )


@contextmanager
def _delivering(project: str) -> Iterator[Delivering]:
    """Every subscription but those of objects, with the shortest deadline and fewest attempts allowed."""
    dead_letters = {
        "dead_letter_topic": f"projects/{project}/topics/{DEAD_LETTERS}",
        "max_delivery_attempts": 5,
    }
    policy = {"ack_deadline_seconds": 10, "retry_policy": {"minimum_backoff": timedelta(seconds=0.5)}}
    with receiving() as receiver:
        for name, (topic, function) in SUBSCRIPTIONS.items():
            if topic in TOPICS:
                options = policy if topic == DEAD_LETTERS else {**policy, "dead_letter_policy": dead_letters}
                subscribe(project, name, topic, f"{receiver.url}/{function}", **options)
        yield Delivering(PubSubBus(project), receiver, 10, 5, tells_reason=False, counts=False)


def _reads(call: Callable[[], Any]) -> int:
    """Documents that a call's queries are sent; queries are ordered and limited, so none is read beside."""
    read: list[Any] = []
    stream = Query.stream

    def counted(query: Query, **options: Any) -> Iterator[Any]:
        for snapshot in stream(query, **options):
            read.append(snapshot)
            yield snapshot

    with patch.object(Query, "stream", counted):
        call()
    return len(read)


def _delivered(bucket: Bucket, receiver: Receiver) -> list[dict[str, Any]]:
    patience = time.monotonic() + _ARRIVAL_S
    while len(receiver.got) < bucket.told and time.monotonic() < patience:
        time.sleep(0.02)
    time.sleep(_SETTLE_S)
    envelopes = [envelope for _, envelope in receiver.got]
    receiver.got.clear()
    bucket.told = 0
    return sorted(envelopes, key=lambda envelope: int(envelope["message"]["messageId"]))
