"""Cloud Run Jobs as a family of launchers: the real client against the server of `cloud_run_server`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc

from functions.adapters.gcp.launcher import CloudRunLauncher, CloudRunSettings
from tests.adapters.cloud_run_server import CloudRun, serving

SETTINGS = CloudRunSettings(
    "p", "europe-west1", {"native": "trainer-small", "small": "trainer-small", "large": "trainer-large"}
)
JOBS = tuple(f"{SETTINGS.parent}/jobs/{job}" for job in ("trainer-small", "trainer-large"))


@contextmanager
def cloud_run(
    settings: CloudRunSettings = SETTINGS, **options: Any
) -> Iterator[tuple[CloudRun, CloudRunLauncher]]:
    """A server, with the options of `CloudRun`, and a launcher that uses it."""
    with (
        serving(CloudRun(JOBS, **options)) as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        yield service, CloudRunLauncher(settings, channel)


@contextmanager
def launching(script: str, folder: Path, timeout_s: int = 3600) -> Iterator[CloudRunLauncher]:
    """A launcher whose tasks run a shell script."""
    settings = replace(SETTINGS, task_timeout_s=timeout_s)
    with cloud_run(settings, command=("/bin/sh", "-c", script), folder=folder) as (_, launcher):
        yield launcher
