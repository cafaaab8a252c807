"""A world whose trainings are quick: the trainer's whole life, with an engine that computes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.pipeline.world import World
from tests.rights import beyond, recording
from trainer.engines.base import Host, Material, SearchProgress

EXAMPLE = Path(__file__).parents[2] / "contracts" / "examples" / "best_model.json"
"""What an engine that computes nothing leaves as its best model."""


class QuickEngine:
    """Computes nothing; a share is the list of its trials, and the result says which it was made of."""

    share_suffix = "json"

    def __init__(self, material: Material, host: Host) -> None:
        self.material, self.host = material, host

    def search(self, trials: range, share: Path) -> None:
        with self.host.step("search"):
            self.host.progress(SearchProgress(len(trials), len(trials), 5, 5, 0.07, 0.2))
        share.write_text(json.dumps(list(trials)))

    def finish(self, shares: Sequence[Path], folder: Path) -> None:
        trials = [trial for share in shares for trial in json.loads(share.read_text())]
        provenance = {"engine": "native", "seed": self.material.config.search.seed, "trials": trials}
        shutil.copyfile(EXAMPLE, folder / "best_model.json")
        (folder / "provenance.json").write_text(json.dumps(provenance))
        (folder / "onepager.png").write_bytes(b"not looked at here")


@pytest.fixture(autouse=True)
def rights() -> Iterator[None]:
    """No identity does what it may not do in the cloud."""
    with recording() as recorded:
        yield
    assert beyond(recorded) == {}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("trainer.life.load", lambda _: QuickEngine)
    world = World(tmp_path)
    world.fill_warehouse()
    return world
