"""A training that may have less memory than it needs, by a limit that the system itself keeps."""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from contracts.job import Job, JobState
from contracts.request import job_id_for
from functions.adapters.embedded import LauncherSettings
from functions.adapters.embedded.warehouse import load_table
from infra.local import host
from infra.local.demo_data import generate
from tests.local.system import PATIENCE_S, SHORT, request


@pytest.mark.parametrize("megabytes", [300, 700], ids=["to-load-its-libraries", "to-train"])
def test_a_training_without_enough_memory_says_so_and_is_tried_once(tmp_path: Path, megabytes: int) -> None:
    limited = f"ulimit -v {1000 * megabytes}; exec {shlex.quote(sys.executable)} -m trainer"
    trainings = LauncherSettings(command=("/bin/sh", "-c", limited))
    table = pa.Table.from_pandas(generate().table, preserve_index=False)
    load_table(tmp_path / "warehouse", "demo", "main", "weekly_sales", table)
    with host.LocalHost(host.local_settings(tmp_path), 0, trainings=trainings) as local:
        ports = local.embedded.ports()
        ports.bus.publish("train-requests", json.dumps(request("greedy", SHORT)).encode())
        end = time.monotonic() + PATIENCE_S
        job = None
        while not (job and job.state.terminal) and time.monotonic() < end:
            time.sleep(0.1)
            job = ports.jobs.get(Job, job_id_for("greedy"))
    assert job
    assert (job.state, job.attempt) == (JobState.FAILED, 1)
    assert job.error
    assert job.error.type == "out-of-memory"
    assert "needs more memory than it may have" in job.error.title
