"""Pictures of a result of the native engine, from a folder with its files."""

from __future__ import annotations

from pathlib import Path

NEEDED = ("model.json", "models.parquet", "posterior.json")
"""Files of the result that are read, the last if it is there; beside them prepared.parquet."""


def draw(folder: Path, solution: str, path: Path) -> None:
    """Write the one-pager of a candidate to `path`; KeyError if there is no such candidate."""
    import pandas as pd  # here and below, as most commands draw nothing

    from trainer.engines.native.reopen import draw

    draw(pd.read_parquet(folder / "prepared.parquet"), folder, solution, path)
