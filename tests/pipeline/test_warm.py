"""A training in a forked task leaves what one in a new process leaves, byte for byte."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from contracts.attempt import TrainingConfig
from contracts.model import ModelConfig
from contracts.names import Attempt
from functions.adapters.embedded import Embedded
from functions.adapters.embedded.launcher import LauncherSettings
from infra.local.host import TRAININGS, local_settings, task_environment
from trainer.check import CONFIG, table

TOLD_OF_ITS_RUN = {"timings.json", "console.log", "manifest.json"}


@pytest.mark.skipif(TRAININGS.warm is None, reason="tasks are forked on Linux only")
def test_a_forked_training_leaves_the_same_files_and_nothing_else_of_itself(tmp_path: Path) -> None:
    results = []
    for settings in (TRAININGS, LauncherSettings()):
        folder = tmp_path / str(settings.warm)
        embedded = Embedded(folder, environment=task_environment(local_settings(folder)), launcher=settings)
        prepared = io.BytesIO()
        table().to_parquet(prepared)
        embedded.objects.create("prepared.parquet", prepared.getvalue())
        config = TrainingConfig(
            job_id="warm",
            attempt=1,
            request_id="warm",
            country="DE",
            revision="r",
            engine="native",
            prepared="prepared.parquet",
            fingerprint="",
            results="results/",
            model=ModelConfig.model_validate(CONFIG),
        )
        embedded.objects.create(Attempt("warm", 1).config, config.model_dump_json().encode())
        execution = embedded.launcher.start("warm", 1, "small", 1)
        while not embedded.launcher.find("warm", 1)[0].state.ended:
            embedded.launcher.step()
            embedded.launcher.wait(0.05)
        output = (folder / "logs" / f"{execution}-0.log").read_text()
        assert "attempt succeeded" in output, output
        assert (folder / "logs" / "warm.log").exists() == (settings.warm is not None)
        left = {path.name: path.read_bytes() for path in (folder / "bucket" / "results").iterdir()}
        results.append({name: content for name, content in left.items() if name not in TOLD_OF_ITS_RUN})
        assert [path.name for path in (folder / "temporary").iterdir()] in ([], ["server"])
        embedded.close()
    assert results[0].keys() == results[1].keys()
    assert [name for name in results[0] if results[0][name] != results[1][name]] == []
