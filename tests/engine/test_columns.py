"""Every number of a result's tables and documents is what the data and the fitted parameters give."""

from __future__ import annotations

import pytest

from tests.engine.columns import CASES, CHECKS, Found, unchecked


@pytest.fixture(scope="module", params=CASES)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp(request.param)
    CASES[request.param].write(folder)
    return Found(CASES[request.param], folder)


@pytest.mark.parametrize("name", CHECKS)
def test_every_column_is_what_it_is_called(found: Found, name: str) -> None:
    CHECKS[name](found)


def test_no_file_is_left_out(found: Found) -> None:
    assert not list(unchecked(found))
