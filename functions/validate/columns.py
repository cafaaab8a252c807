"""Looks at all columns of a frame at once: one call instead of one per column, which costs as much."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def columns_where(
    frame: pd.DataFrame, names: Iterable[str], condition: Callable[[Floats], Mask]
) -> list[str]:
    """Of the columns of numbers that the frame has those in which some value meets a condition."""
    return _chosen(frame, names, lambda values: np.any(condition(values), axis=0))


def constant_columns(frame: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """Of the columns of numbers that the frame has those in which all known values are the same."""
    return _chosen(frame, names, lambda values: np.fmax.reduce(values) == np.fmin.reduce(values))


def _chosen(frame: pd.DataFrame, names: Iterable[str], choose: Callable[[Floats], Any]) -> list[str]:
    there = [name for name in dict.fromkeys(names) if name in frame]
    if not there or frame.empty:
        return []
    chosen = choose(frame[there].to_numpy(np.float64))
    return [name for name, found in zip(there, chosen, strict=True) if found]
