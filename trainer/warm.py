"""What a server loads before it forks tasks (`functions.adapters.embedded.forks`), and what each of these is.

A task that is forked finds libraries, machine code and fonts loaded, which is half of what a small training
costs. Nothing is loaded by threads, and none of what is left is about a job.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from contracts.model import ModelConfig
from trainer.__main__ import main as task
from trainer.check import CONFIG, table
from trainer.engines.common import Floats
from trainer.engines.native.prepare.prophet_columns import ProphetColumns
from trainer.engines.native.training import fit

_STAN = "cmdstanpy"


def preload() -> None:
    """Import what trainings use, and call what has machine code: a search, a posterior, checks, a picture."""
    import holidays  # noqa: F401
    import prophet

    from trainer.engines.native import outputs
    from trainer.posterior.budget.curves import curves
    from trainer.posterior.fit import posterior
    from trainer.trust.refits import backtests

    prophet.Prophet()
    data = table()
    config = ModelConfig.model_validate({**CONFIG, "search": {**CONFIG["search"], "iterations": 30}})
    nothing: dict[str, Floats] = dict.fromkeys(config.prophet.components, np.zeros(len(data)))
    result = fit(data, config, prophet=ProphetColumns(nothing, {}))
    found = posterior(data, config, inputs=result.inputs, sweeps=20, longest=1)
    curves(found)
    backtests(found, data, config, cores=1)
    with tempfile.TemporaryDirectory(prefix="warm-") as folder:
        outputs.draw_onepager(result, config, result.best.solution, Path(folder) / "onepager.png")


def main() -> int:
    """Run one task, as `python -m trainer` does."""
    _move_temporary_files()
    return task()


def _move_temporary_files() -> None:
    """Stan's library has chosen a folder for its files when it was imported; a task has one of its own."""
    own = tempfile.mkdtemp(prefix="stan-")
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == _STAN and hasattr(module, "_TMPDIR"):
            setattr(module, "_TMPDIR", own)  # noqa: B010 (no attribute that the library declares)
