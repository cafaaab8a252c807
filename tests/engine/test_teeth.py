"""Each mistake in the engine's files and answers is noticed by the checks of `columns`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.engine.columns import CASES, CHECKS, Case, Found
from tests.engine.mutations import FEW, MUTATIONS
from tests.mutants import applied

TRIED = list(MUTATIONS) if os.environ.get("ENGINE_TEETH") else list(MUTATIONS)[:: len(MUTATIONS) // FEW]


@pytest.mark.parametrize("name", TRIED)
def test_a_mistake_in_a_number_is_noticed(name: str, tmp_path: Path) -> None:
    for case in CASES.values():
        assert case.searched  # before the mistake is made: what is searched is the same with every mistake
    with applied(MUTATIONS[name]):
        assert any(complaints(case, tmp_path / label) for label, case in CASES.items()), "it was not noticed"


def complaints(case: Case, folder: Path) -> bool:
    folder.mkdir()
    with np.errstate(all="ignore"):
        case.write(folder)
    found = Found(case, folder)
    return any(_fails(found, name) for name in CHECKS)


def _fails(found: Found, name: str) -> bool:
    try:
        CHECKS[name](found)
    except AssertionError:
        return True
    return False
