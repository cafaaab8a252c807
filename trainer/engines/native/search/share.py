"""A task's candidates as a file, for the task that merges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from trainer.engines.native.search.trials import Candidates


def write_share(candidates: Candidates, share: Path) -> None:
    """Write candidates to a Parquet file, in full precision.

    The columns of coefficients are called 0, 1, ...; no column of the table has a number for a name.
    """
    coefficients = pd.DataFrame(candidates.coefficients)
    coefficients.columns = coefficients.columns.astype(str)
    both = pd.concat([candidates.table, coefficients], axis=1)
    both.to_parquet(share, compression="zstd", use_dictionary=False, index=False)  # numbers hardly repeat


def read_shares(shares: Sequence[Path]) -> Candidates:
    """The candidates of shares, one after another."""
    both = pd.concat([pd.read_parquet(share) for share in shares], ignore_index=True)
    numbered = [name for name in both if str(name).isdecimal()]
    return Candidates(both.drop(columns=numbered), np.ascontiguousarray(both[numbered]))
