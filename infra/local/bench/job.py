"""A whole job on an idle system, from publish to SUCCEEDED, step by step."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import yaml

from contracts import names
from contracts.events import TRAIN_REQUESTS
from contracts.job import Job, JobState
from contracts.request import parse_settings
from functions.adapters.embedded.warehouse import load_table
from functions.log import Log
from functions.ports import Ports
from infra.local.bench.figures import Figure
from infra.local.demo_data import demo_request, generate
from infra.local.host import CONNECTION, LocalHost, local_settings

ITERATIONS, TRIALS, WEEKS = 200, 5, 208
PATIENCE_S = 300.0
_ROBYN = {
    "decompose": "Robyn 3.12.1, with its other inputs: 5 CPU s",
    "search": "Robyn 3.12.1: 79 CPU s for 1,000 iterations",
    "outputs": "Robyn 3.12.1: 79 CPU s for 128 Pareto models",
}
"""What the same step cost in R, on another machine with 2 cores."""


def measure(
    folder: Path, upload: tuple[Path, Path] | None = None, iterations: int = ITERATIONS, trials: int = TRIALS
) -> list[Figure]:
    """Run one job in a fresh folder, with the settings of `make up`.

    `upload`: a CSV file and its settings to train on, instead of a warehouse table of generated data. Its own
    numbers of iterations and trials are not used.

    Raises:
        RuntimeError: the job did not succeed.
    """
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        lines = stack.enter_context((folder / "host.log").open("w", encoding="utf-8"))
        host = stack.enter_context(LocalHost(local_settings(folder), 0, Log("text", lines)))
        ports = host.embedded.ports()
        ask = _request(folder, iterations, trials) if upload is None else _upload(*upload, iterations, trials)
        asked = datetime.now(UTC)
        ask(ports)
        job = _ended(ports, folder)
        timings = json.loads(ports.objects.read(f"{names.results(job)}timings.json"))
        cores = host.settings.cores
    what = "generated data, 208 weeks" if upload is None else upload[0].name
    return _figures(
        job, asked, timings, f"{what}; {trials} × {iterations} iterations; on up to {cores} cores"
    )


def _request(folder: Path, iterations: int, trials: int) -> Callable[[Ports], object]:
    table = pa.Table.from_pandas(generate(weeks=WEEKS).table, preserve_index=False)
    load_table(folder / "warehouse", CONNECTION, "main", "weekly_sales", table)
    body = json.dumps(demo_request("bench", iterations, trials)).encode()
    return lambda ports: ports.bus.publish(TRAIN_REQUESTS, body)


def _upload(data: Path, settings: Path, iterations: int, trials: int) -> Callable[[Ports], object]:
    body = parse_settings(settings.read_bytes())
    body["search"] = {**body.get("search", {}), "iterations": iterations, "trials": trials}
    target = f"drop-zone/{body['country']}/{data.stem}"

    def upload(ports: Ports) -> None:
        ports.objects.create(f"{target}.request.yaml", yaml.safe_dump(body).encode())
        ports.objects.create(f"{target}{data.suffix}", data.read_bytes())

    return upload


def _ended(ports: Ports, folder: Path) -> Job:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        job = next(iter(ports.jobs.find(Job)), None)
        if job is not None and job.state is JobState.SUCCEEDED:
            return job
        if job is not None and job.state.terminal:
            raise RuntimeError(f"the job ended {job.state}: {job.error}")
        time.sleep(0.05)
    raise RuntimeError(f"the job has not ended in {PATIENCE_S:.0f} s; see {folder}/host.log")


def _figures(job: Job, asked: datetime, timings: dict[str, dict[str, float]], how: str) -> list[Figure]:
    at = {entry.state: entry.at for entry in job.timeline}
    total = (at[JobState.SUCCEEDED] - asked).total_seconds()
    before = (at[JobState.RUNNING] - asked).total_seconds()
    steps = sum(step["seconds"] for step in timings.values())
    return [
        Figure("publish → SUCCEEDED", f"{total:.1f}", "s", f"at most 20 on 2 cores; {how}"),
        Figure("  publish → RUNNING", f"{before:.2f}", "s", "extract, validate, launch"),
        *(
            Figure(f"  {name}", f"{step['seconds']:.2f}", "s", _beside(name, step))
            for name, step in timings.items()
        ),
        Figure("  all the rest", f"{total - before - steps:.2f}", "s", "process start, finalize, summarize"),
    ]


def _beside(name: str, step: dict[str, float]) -> str:
    used = f"{step['cpu_s']:.2f} CPU s"
    return f"{used}; {_ROBYN[name]}" if name in _ROBYN else used
