"""Terraform, the stand-in provider, and plans of both environments."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters.families import skipped_if_missing
from tests.terraform.cloud import Terraform, terraform


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    with skipped_if_missing(), terraform(tmp_path_factory.mktemp("terraform")) as running:
        yield running
