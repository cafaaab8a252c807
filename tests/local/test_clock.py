"""The clock of the machine is set while the system runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.attempt import Heartbeat, Progress
from contracts.events import SWEEP_REQUESTS
from contracts.job import Job, JobState
from contracts.names import Attempt
from functions.adapters import SystemClock
from functions.adapters.embedded import LauncherSettings
from functions.attempts import claim
from infra.local import host
from tests.adapters.test_job_store import a_job

PERIOD_S = 4.0


def test_a_clock_that_is_set_forward_ends_no_training_that_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each step the training's last heartbeat looks an hour old, until it writes the next one."""
    ahead = timedelta(0)
    sleeping = LauncherSettings(command=("sleep", "60"))
    monkeypatch.setattr(SystemClock, "now", lambda _: datetime.now(UTC) + ahead)
    monkeypatch.setattr(host, "SWEEP_PERIOD_S", PERIOD_S)
    with host.LocalHost(host.local_settings(tmp_path), 0, trainings=sleeping) as local:
        ports = local.embedded.ports()
        execution = ports.launcher.start("j", 1, "small", 1)
        claim(ports, Attempt("j", 1), execution)
        beat = Heartbeat(job_id="j", attempt=1, task=0, execution=execution, progress=Progress())

        def lives() -> None:
            ports.objects.replace(Attempt("j", 1).heartbeat(0), beat.model_dump_json().encode(), None)

        lives()
        begun = datetime.now(UTC)
        known = {"state": JobState.RUNNING, "execution": execution, "country": "DE", "revision": "r"}
        ports.jobs.create(a_job("j", **known, accepted_at=begun, updated_at=begun, deadline=begun))
        while ports.jobs.get(Job, "j").deadline == begun:  # type: ignore[union-attr]
            time.sleep(0.05)  # until the first sweep
        for _ in range(5):
            while ports.bus.on_its_way(SWEEP_REQUESTS, SystemClock().now()):
                time.sleep(0.01)  # a sweep that was asked for before the clock moved may see it move
            ahead += timedelta(hours=1)
            time.sleep(0.2 * PERIOD_S)
            lives()
        for _ in range(10):
            time.sleep(0.25 * PERIOD_S)
            lives()
        job = ports.jobs.get(Job, "j")
        assert job is not None
        assert (job.state, ports.objects.stat(Attempt("j", 1).outcome)) == (JobState.RUNNING, None)
        assert job.deadline is not None
        assert job.deadline > begun + timedelta(hours=5), "sweep goes on"
        local.embedded.launcher.cancel(execution)
        time.sleep(0.5)
