"""The documents of a result, as JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np


def write_json(document: dict[str, Any], path: Path) -> None:
    """Write a document as JSON in one line; numbers that are not finite become null."""
    text = json.dumps(_finite(document), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    path.write_text(text, encoding="utf-8")


def _finite(value: Any) -> Any:
    """Return the document with lists for arrays and None for numbers that are not finite."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | np.ndarray):
        return [_finite(entry) for entry in value]
    if isinstance(value, float):  # numpy's float64 is one
        return float(value) if math.isfinite(value) else None
    return value
