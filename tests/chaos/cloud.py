"""The cloud family under stress: two processes of functions, tasks of Cloud Run Jobs, a bucket that is down.

Google's emulators, the bucket and Cloud Run are the platform: they are not killed. Subscriptions have no
retry policy, because with one the Pub/Sub emulator forgets messages; it pushes again every second instead.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from contracts.events import DEAD_LETTERS, JOB_FINISHED, SUBSCRIPTIONS, SWEEP_REQUESTS
from functions.adapters.gcp import gcp_ports
from functions.errors import Unavailable
from infra.local.host import ADDRESS
from tests.adapters.family_cloud_run import cloud_run
from tests.adapters.family_gcp import create_topics, installation, subscribe
from tests.adapters.gcp_servers.emulators import free_port
from tests.adapters.gcp_servers.storage import Bucket
from tests.adapters.receiver import receiving
from tests.chaos.haste import ACK_DEADLINE_S, SWEEP_PERIOD_S
from tests.chaos.plan import DATA, data
from tests.chaos.system import ROOT, Server, System
from tests.chaos.training import WATCH

PARTS = {"first": ("extract", "validate", "launch"), "second": ("finalize", "summarize", "sweep", "bury")}
"""Which process serves which functions."""
DOWN = [503] * 1_000_000
MAX_ATTEMPTS = 100  # the most that there may be: an outage of seconds dead-letters nothing


@dataclass
class CloudSystem(System):
    """Function processes that may be killed, and a bucket that may refuse everything for a while."""

    bucket: Bucket = field(default_factory=lambda: Bucket(lambda *_: None))
    sweep_at: float = 0.0

    def upload(self, name: str, content: bytes) -> None:
        """Create an object, unless the bucket is known to be down."""
        if self.full:
            raise Unavailable("the bucket is down")
        super().upload(name, content)

    def look_after(self) -> Iterator[str]:
        """Keep the processes running, and ask for a sweep as Cloud Scheduler does."""
        yield from super().look_after()
        if time.monotonic() >= self.sweep_at:
            self.ports.bus.publish(SWEEP_REQUESTS, b"{}")
            self.sweep_at = time.monotonic() + SWEEP_PERIOD_S

    def fill(self) -> None:
        """From now on the bucket answers nothing but 503."""
        super().fill()
        self.bucket.faults = list(DOWN)

    def free(self) -> None:
        """The bucket works again."""
        self.bucket.faults = []
        super().free()


@contextmanager
def cloud(base: Path, _: int) -> Iterator[tuple[System, str]]:
    """A fresh project; its logs are under `base`.

    Raises:
        tests.adapters.families.MissingPart: an emulator is not on this machine.
    """
    watch, temporary = base / "watch", base / "temporary"
    watch.mkdir(parents=True)
    temporary.mkdir()
    with installation() as (settings, addresses, bucket), receiving() as upstream:
        values = json.loads(settings.model_dump_json(exclude_defaults=True))
        told = {f"MMM_{k.upper()}": v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
        variables = {**told, **addresses, WATCH: str(watch), "TMPDIR": str(temporary)}
        with cloud_run(command=_training(base), environment=variables, folder=ROOT) as (service, launcher):
            create_topics(settings.project)
            subscribe(settings.project, "upstream", JOB_FINISHED, upstream.url)
            ports = {name: free_port() for name in PARTS}
            _subscribe_functions(settings.project, ports)
            system = CloudSystem(
                ports=replace(gcp_ports(settings), launcher=launcher),
                settings=settings,
                upstream=upstream,
                watch=watch,
                url=f"http://{ADDRESS}:{ports['second']}",
                servers=[
                    Server(
                        [sys.executable, "-m", "tests.chaos.serve", str(port), service.address],
                        base / f"{name}.log",
                        {**os.environ, **told, **addresses},
                    )
                    for name, port in ports.items()
                ],
                bucket=bucket,
            )
            system.upload(DATA, data())
            try:
                yield system, ""
            finally:
                system.stop()


def _training(base: Path) -> list[str]:
    """The command of a task; what it says goes to a file."""
    write_there = ["/bin/sh", "-c", 'exec "$@" >>"$0" 2>&1', str(base / "trainings.log")]
    return [*write_there, sys.executable, "-m", "tests.chaos.training"]


def _subscribe_functions(project: str, ports: dict[str, int]) -> None:
    dead_letters = {
        "dead_letter_topic": f"projects/{project}/topics/{DEAD_LETTERS}",
        "max_delivery_attempts": MAX_ATTEMPTS,
    }
    for name, (topic, function) in SUBSCRIPTIONS.items():
        port = next(port for part, port in ports.items() if function in PARTS[part])
        options: dict[str, Any] = {"ack_deadline_seconds": round(ACK_DEADLINE_S)}
        if topic != DEAD_LETTERS:
            options["dead_letter_policy"] = dead_letters
        subscribe(project, name, topic, f"http://{ADDRESS}:{port}/functions/{function}", **options)
