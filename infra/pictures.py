"""Pictures of a result of the native engine, from a folder with its files."""

from __future__ import annotations

import re
from pathlib import Path

_NEEDED = r"(model|posterior|trust|allocator(-\d+)?)\.json|models\.parquet"


def needed(name: str) -> bool:
    """Whether a file of the result is read, if it is there; beside those also prepared.parquet."""
    return re.fullmatch(_NEEDED, name) is not None


def draw(folder: Path, solution: str, path: Path) -> None:
    """Write the one-pager of a candidate to `path`; KeyError if there is no such candidate."""
    import pandas as pd  # here and below, as most commands draw nothing

    from trainer.engines.native.reopen import draw

    draw(pd.read_parquet(folder / "prepared.parquet"), folder, solution, path)
