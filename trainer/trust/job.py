"""The checks of a result in a job: `Host.trust`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from contracts.model import ModelConfig
from contracts.result import ResultWarning
from contracts.trust import TrustDocument
from trainer.posterior.job import Asked
from trainer.trust.document import judge


@dataclass
class Judge:
    """Judges what an engine left, by the posterior that it asked for."""

    asked: Asked
    warnings: Sequence[ResultWarning] = ()
    """Of the data, by validation."""

    def __call__(self, data: pd.DataFrame, config: ModelConfig, folder: Path) -> TrustDocument:
        """The checks of the result in `folder`, left there as trust.json and told in the log."""
        asked = self.asked
        with asked.step("trust"):
            by_region = asked.found if asked.found and asked.found.regions else None
            found = judge(
                data,
                config,
                folder,
                asked.totals,
                asked.cores,
                asked.tell,
                self.warnings,
                by_region,
                asked.regions,
            )
            (folder / "trust.json").write_text(found.model_dump_json(indent=1), encoding="utf-8")
        for line in found.lines:
            if line.word != "good":
                asked.log(f"{line.word}: {line.topic}: {line.figure}: {line.reason}; {line.advice}")
        return found
