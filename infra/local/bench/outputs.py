"""CPU and memory that writing a whole result of the native engine takes after a usual search."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from contracts.request import TrainRequest
from infra.local.bench.figures import Figure, peak_memory_mb
from infra.local.demo_data import demo_request, generate


def measure(folder: Path, iterations: int = 2_000, trials: int = 5) -> list[Figure]:
    """Fit, answer a budget question and write everything, in a process of its own."""
    call = f"outputs.report({str(folder)!r}, {iterations}, {trials})"
    command = [sys.executable, "-c", f"from infra.local.bench import outputs; {call}"]
    done = subprocess.run(command, capture_output=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    size = f"{trials} × {iterations:,} iterations, 208 weeks"
    models = f"{found['pareto']} Pareto models, {found['pictures']} pictures"
    return [
        Figure(
            "Prophet, search and selection", f"{found['fit']:.1f}", "CPU s", f"{size}; with Stan's process"
        ),
        Figure("all files of a result", f"{found['write']:.1f}", "CPU s", f"{models}; Robyn, 128 models: 79"),
        Figure("peak memory of both", f"{found['memory']:.0f}", "MB", size),
    ]


def report(folder: str, iterations: int, trials: int) -> None:
    """Print CPU seconds (`fit`, `write`), peak memory in MB, and how many models and pictures there are."""
    from trainer.engines.native import fit, write

    request = demo_request("bench", iterations, trials) | {"budget": {}}
    config = TrainRequest.model_validate(request).model_spec()
    place = Path(folder)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    data = generate().table
    times = [sum(os.times()[:4])]  # with those of processes that have ended
    result = fit(data, config)
    times.append(sum(os.times()[:4]))
    write(result, config, place)
    times.append(sum(os.times()[:4]))
    found = {
        "fit": times[1] - times[0],
        "write": times[2] - times[1],
        "memory": peak_memory_mb(),
        "pareto": len(result.pareto),
        "pictures": len(list(place.glob("*.png"))),
    }
    print(json.dumps(found))
