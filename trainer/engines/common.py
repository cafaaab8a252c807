"""Types and names that both engines share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SearchRange = tuple[float, float]
"""A hyperparameter's searched range (low, high); equal ends fix it."""


INTERCEPT = "(Intercept)"
"""The row or column of the intercept, as Robyn writes it."""


class InvalidInputs(ValueError):
    """Data and configuration do not fit together; a line per problem."""
