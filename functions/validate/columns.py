"""All columns of numbers of a frame as one array: pandas takes as long for each as this for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Numbers:
    """Columns of numbers, each once."""

    names: list[str]
    values: Floats
    """(N, C), NaN where a cell is empty."""

    @classmethod
    def of(cls, frame: pd.DataFrame, names: Iterable[str]) -> Numbers:
        """Those of these columns that the frame has."""
        there = [name for name in dict.fromkeys(names) if name in frame]
        columns = [frame[name].to_numpy(np.float64) for name in there]
        return cls(there, np.column_stack(columns) if columns else np.empty((len(frame), 0)))

    def rows(self, first: int, stop: int) -> Numbers:
        """The same columns in some rows, counted from 0."""
        return Numbers(self.names, self.values[first:stop])

    def only(self, names: Iterable[str]) -> Numbers:
        """Those of these columns that are here, in this order."""
        there = [name for name in dict.fromkeys(names) if name in self.names]
        return Numbers(there, self.values[:, [self.names.index(name) for name in there]])

    def column(self, name: str) -> Floats:
        """(N,) one column."""
        return self.values[:, self.names.index(name)]

    def varies(self, name: str) -> bool:
        """Whether a column is here, has no empty cell, and holds several values."""
        if name not in self.names:
            return False
        values = self.column(name)
        return not np.isnan(values).any() and bool((values[1:] != values[:1]).any())

    def where(self, condition: Callable[[Floats], Mask | np.bool_]) -> list[str]:
        """The columns in which some value meets a condition."""
        return self._named(np.any(condition(self.values), axis=0))

    def constant(self) -> list[str]:
        """The columns in which all known values are the same; none without rows."""
        if not len(self.values):
            return []
        return self._named(np.fmax.reduce(self.values) == np.fmin.reduce(self.values))

    def _named(self, chosen: Mask) -> list[str]:
        return [name for name, found in zip(self.names, chosen, strict=True) if found]


def incomplete(frame: pd.DataFrame) -> list[str]:
    """The columns of a frame, of any kind, in which a cell is empty."""
    return [str(name) for name in frame if pd.isna(frame[name].to_numpy()).any()]
