"""Trials spread over tasks: the wall time of real trainers here, the timeline of a large job in the cloud."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass
from pathlib import Path

from contracts.attempt import TrainingConfig
from contracts.engines import ENGINES
from contracts.model import ModelConfig
from contracts.names import Attempt
from functions.adapters.embedded import Embedded
from functions.attempts import read_heartbeats, read_outcome
from infra.local.bench.figures import Figure
from infra.local.demo_data import demo_request, generate
from infra.local.host import local_settings, task_environment
from trainer.life import trials_of

COUNTS = (1, 2, 4)
ITERATIONS, TRIALS = 30_000, 4
"""With Weibull adstock, enough that the search is most of what a task does."""
LARGE = 500, 10
"""Iterations and trials of the large job."""
LARGE_TASKS = 10
BEFORE = "the system we replace: 90 to 120 min, 20 to 25 planned"


@dataclass(frozen=True)
class Timeline:
    """Seconds of a job whose tasks all run at once, each with a core of its own."""

    start: float  # of a container, until the trainer begins; assumed
    prepare: float  # every task, before its first trial
    iteration: float  # of one trial on one core
    merge: float  # by the last task: selection, files, pictures

    def total(self, iterations: int, trials: int, tasks: int) -> float:
        """From the start of the execution to the outcome; a task runs its trials one after another."""
        most = max(len(trials_of(task, tasks, trials)) for task in range(tasks))
        return self.start + self.prepare + most * iterations * self.iteration + self.merge


ROBYN = Timeline(start=30.0, prepare=5.4, iteration=ENGINES["robyn"].iteration_s, merge=79.0 + 5 * 2.6 + 3.0)
"""Robyn 3.12.1 as measured on 2 cores: robyn_inputs; robyn_run; robyn_outputs of 128 models, five one-pagers,
the allocator."""


@dataclass(frozen=True)
class Run:
    """What one execution here took, in MB and seconds."""

    wall: float
    steps: dict[str, dict[str, float]]  # of the task that merged
    memory: float  # peak of the largest task

    def of(self, *names: str) -> float:
        """CPU seconds of steps, which other processes on the machine hardly change."""
        return sum(self.steps[name]["cpu_s"] for name in names)

    @property
    def parts(self) -> str:
        """What the task that merged did, in words."""
        search, merge = self.of("search"), self.merge
        return f"last task: search {search:.1f}, merge {merge:.1f} CPU s; at most {self.memory:.0f} MB"

    @property
    def merge(self) -> float:
        """Approximate CPU seconds from the last share to the outcome."""
        return self.of("select", "outputs", "upload")


def measure(
    folder: Path, iterations: int = ITERATIONS, trials: int = TRIALS, counts: tuple[int, ...] = COUNTS
) -> list[Figure]:
    """Run the same search in different numbers of tasks, each with one core; then the large job in one task.

    Raises:
        RuntimeError: a training did not succeed.
    """
    settings = local_settings(folder).model_copy(update={"cores": 1})
    embedded = Embedded(folder, environment=task_environment(settings))
    table = io.BytesIO()
    generate().table.to_parquet(table)
    embedded.objects.create("prepared/data.parquet", table.getvalue())
    runs = {tasks: _run(embedded, tasks, iterations, trials) for tasks in counts}
    large = _run(embedded, 1, *LARGE)
    embedded.close()
    figures = [
        Figure(f"{trials} × {iterations:,} iterations, tasks: {tasks}", f"{run.wall:.1f}", "s", run.parts)
        for tasks, run in runs.items()
    ]
    each = large.of("search") / (LARGE[0] * LARGE[1])
    native = Timeline(10.0, large.of("load", "prepare", "decompose"), each, large.merge)
    return [*figures, _large("native", native), _large("robyn", ROBYN)]


def _large(name: str, costs: Timeline) -> Figure:
    iterations, trials = LARGE
    seconds = costs.total(iterations, trials, LARGE_TASKS)
    parts = f"start {costs.start:.0f} (assumed), prepare {costs.prepare:.1f}, "
    parts += f"a trial {iterations * costs.iteration:.2f}, merge {costs.merge:.1f}"
    what = f"{trials} × {iterations} iterations on {LARGE_TASKS} tasks, {name}, computed"
    return Figure(what, f"{seconds:.0f}", "s", f"{parts}; {BEFORE}")


def _run(embedded: Embedded, tasks: int, iterations: int, trials: int) -> Run:
    ports, attempt = embedded.ports(), Attempt(f"bench-{trials}-{iterations}-{tasks}", 1)
    config = _config(attempt, iterations, trials)
    ports.objects.create(attempt.config, config.model_dump_json().encode())
    began = time.monotonic()
    execution = ports.launcher.start(attempt.job_id, 1, "native", tasks)
    while (known := ports.launcher.get(execution)) is not None and not known.state.ended:
        embedded.launcher.step()
        embedded.launcher.wait(0.05)
    wall = time.monotonic() - began
    outcome, beat = read_outcome(ports, attempt), read_heartbeats(ports, attempt)
    if outcome is None or outcome.status != "succeeded" or beat is None:
        raise RuntimeError(f"{tasks} tasks did not succeed: {outcome}; see {embedded.folder}/logs")
    steps = json.loads(ports.objects.read(f"{config.results}timings.json"))
    memory = max([beat.progress.memory_mb, *(step["peak_memory_mb"] for step in steps.values())])
    return Run(wall, steps, memory)


def _config(attempt: Attempt, iterations: int, trials: int) -> TrainingConfig:
    request = demo_request("bench", iterations, trials)
    model = {name: value for name, value in request.items() if name in ModelConfig.model_fields}
    model["adstock"] = "weibull_pdf"
    return TrainingConfig(
        job_id=attempt.job_id,
        attempt=attempt.attempt,
        request_id="bench",
        country="DE",
        revision="bench",
        engine="native",
        prepared="prepared/data.parquet",
        fingerprint="",
        results=f"robyn/bench/DE/{attempt.job_id}/",
        model=ModelConfig.model_validate(model),
    )
