from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.ports import JobStore, Launcher, ObjectStore
from tests.adapters.families import FAMILIES, Family, StepClock, skipped_if_missing


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Family]:
    with skipped_if_missing(), FAMILIES[request.param](tmp_path) as family:
        yield family


@pytest.fixture
def job_store(family: Family) -> JobStore:
    return family.ports.jobs


@pytest.fixture
def object_store(family: Family) -> ObjectStore:
    return family.ports.objects


@pytest.fixture
def launcher(family: Family) -> Launcher:
    return family.ports.launcher


@pytest.fixture
def clock() -> StepClock:
    return StepClock()
