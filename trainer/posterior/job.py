"""The posterior in a job: asked by the engine in the task that merges, and never a reason to fail."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from contracts.model import ModelConfig
from contracts.posterior import PosteriorDocument
from trainer.engines.native.records import Inputs
from trainer.posterior.document import document
from trainer.posterior.fit import posterior
from trainer.posterior.model import NotOffered
from trainer.posterior.result import Posterior


@dataclass
class Asked:
    """What `Host.posterior` is in a job."""

    cores: int
    step: Callable[[str], AbstractContextManager[Any]]
    log: Callable[[str], None]
    tell: Callable[[str], None] = lambda _: None
    """Is told how far it is."""
    found: Posterior | None = field(default=None, init=False)
    """What was answered last."""

    def __call__(
        self, data: pd.DataFrame, config: ModelConfig, folder: Path, inputs: Inputs | None
    ) -> PosteriorDocument | None:
        """The posterior's document, its draws left in `folder`; None if it is off or not offered.

        Raises:
            InvalidInputs: data and configuration do not fit together, a line per problem.
        """
        self.found = None
        if config.posterior is None:
            self.log("posterior: off")
            return None
        with self.step("posterior"):
            try:
                found = posterior(data, config, inputs=inputs, cores=self.cores, progress=self._progressed)
            except NotOffered as reason:
                self.log(f"posterior: none: {reason}")
                return None
            found.table().to_parquet(folder / "posterior.parquet", compression="zstd", index=False)
            answer = document(found)
        self.found = found
        for line in (*answer.notes, f"posterior: {found.sweeps:,} sweeps; {' '.join(answer.sentences)}"):
            self.log(line)
        return answer

    def _progressed(self, done: int, planned: int) -> None:
        self.tell(f"{done:,} of {planned:,} sweeps")
