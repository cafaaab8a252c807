"""The result of a job in a notebook: tables, figures, intervals, pictures."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from contracts.api import File, JobAnswer
from contracts.changes import ChangesDocument
from contracts.figures import ModelFigures, figures_name
from contracts.posterior import PosteriorDocument
from contracts.summary import ModelSummary
from contracts.trust import TrustLine
from mmm.errors import MmmError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Picture:
    """A picture; a notebook shows it."""

    png: bytes = field(repr=False)

    def _repr_png_(self) -> bytes:
        return self.png

    def save(self, path: Path | str) -> None:
        """Write it as a PNG file."""
        Path(path).write_bytes(self.png)


class Result:
    """What a training found. Files are read when they are first asked for.

    Tables need pandas, and pyarrow for those that are Parquet: `pip install 'mmm-trainer-client[notebook]'`.
    """

    def __init__(self, job: JobAnswer, files: list[File], read: Callable[[File], bytes]) -> None:
        """Of a job with its files, each of which `read` gives the content of."""
        self.job = job
        self._files = {file.name: file for file in files}
        self._read = read
        self._known: dict[str, bytes] = {}
        self.summary = ModelSummary.model_validate_json(self.content("model_summary.json"))
        """The result in short: best model, budget answer, trust."""

    def content(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            MmmError: the result has no such file; it says which there are.
        """
        if name not in self._files:
            there = ", ".join(sorted(self._files)) or "none"
            raise MmmError(f"job {self.job.job_id} ({self.job.state}) has no file {name}; there are: {there}")
        if name not in self._known:
            self._known[name] = self._read(self._files[name])
        return self._known[name]

    @property
    def channels(self) -> pd.DataFrame:
        """A row per channel: spend, and the best model's contribution and ROAS or CPA.

        Beside them, where there is a posterior to rely on, what it expects (`expected_contribution`,
        `expected_roas` or `expected_cpa`), and its 90 % interval.
        """
        import pandas as pd

        best = self.summary.best_model
        found = best.posterior.channels if best.posterior and best.posterior.converged else []
        expected = {
            one.name: {"expected_contribution": one.contribution, f"expected_{one.metric}": one.mean}
            for one in found
        }
        rows = [channel.model_dump() | expected.get(channel.name, {}) for channel in best.channels]
        return pd.DataFrame(rows).set_index("name").dropna(axis="columns", how="all")

    @property
    def trust(self) -> list[TrustLine]:
        """What speaks for and against the result."""
        return self.summary.trust

    @property
    def changes(self) -> ChangesDocument:
        """What has changed since the job before it in its series; results of former releases have none."""
        return ChangesDocument.model_validate_json(self.content("changes.json"))

    @property
    def intervals(self) -> pd.DataFrame:
        """A row per channel and figure of the posterior with its 5 %, 50 % and 95 %."""
        import pandas as pd

        document = PosteriorDocument.model_validate_json(self.content("posterior.json"))
        rows = [
            {"channel": channel["name"], "figure": name, **figure}
            for channel in document.model_dump(mode="json")["channels"]
            for name, figure in channel.items()
            if isinstance(figure, dict) and {"q05", "q50", "q95"} <= figure.keys()
        ]
        return pd.DataFrame(rows).set_index(["channel", "figure"])

    @property
    def regions(self) -> pd.DataFrame:
        """Of data by region: a row per region and channel, with the columns of `regions.csv`.

        Raises:
            MmmError: the result has no regions; it says which files there are.
        """
        import pandas as pd

        text = {"region": str, "channel": str}
        table = pd.read_csv(
            io.BytesIO(self.content("regions.csv")), dtype=text, keep_default_na=False, na_values=""
        )
        return table.set_index(["region", "channel"])

    def table(self, name: str) -> pd.DataFrame:
        """A table of the result, such as `pareto_aggregated`, from its CSV or Parquet file."""
        import pandas as pd

        if f"{name}.csv" in self._files or f"{name}.parquet" not in self._files:
            return pd.read_csv(io.BytesIO(self.content(f"{name}.csv")))
        return pd.read_parquet(io.BytesIO(self.content(f"{name}.parquet")))

    def figures(self, sol_id: str | None = None) -> ModelFigures:
        """What the charts of a model show: the best one, or another winner by its name.

        Raises:
            MmmError: there are no figures of this model; it says of which there are.
        """
        best = self.summary.best_model.sol_id
        name = figures_name(sol_id or best, best)
        if name not in self._files:
            found = (re.fullmatch(r"figures-(.+)\.json", file) for file in self._files)
            there = ", ".join([best, *sorted(one[1] for one in found if one)])
            raise MmmError(f"job {self.job.job_id} has no figures of model {sol_id}; there are: {there}")
        return ModelFigures.model_validate_json(self.content(name))

    def picture(self, name: str = "onepager") -> Picture:
        """A picture of the result: `onepager`, `roas`, `curves`, `contributions`, `fit`, `posterior`, …"""
        return Picture(self.content(f"{name}.png"))

    def download(self, folder: Path | str) -> list[Path]:
        """Write every file of the result into a folder."""
        return write_files({name: partial(self.content, name) for name in self._files}, folder)

    def _repr_html_(self) -> str:
        return f"<p>{self.job.job_id}: {self.job.state}</p>{self.channels.to_html()}"


def write_files(files: Mapping[str, Callable[[], bytes]], folder: Path | str) -> list[Path]:
    """Read the files of a result into a folder; one whose name leads out of the folder is not written."""
    paths = []
    for name, read in files.items():
        parts = PurePosixPath(name)
        if not parts.is_absolute() and ".." not in parts.parts:
            path = Path(folder) / parts
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(read())
            paths.append(path)
    return paths
