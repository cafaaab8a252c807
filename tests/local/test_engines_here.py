"""Which engines an installation on one machine has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.host import local_settings, task_environment

ROOT = Path(__file__).parents[2]


def up(folder: Path, engines: str) -> subprocess.CompletedProcess[str]:
    """`make up` on a machine without R."""
    command = [sys.executable, "-m", "infra.local", "--folder", str(folder), "up", "--port", "0"]
    environment = os.environ | {"PATH": str(folder)}
    return subprocess.run(
        [*command, "--engines", engines],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_engine_that_is_not_installed_or_not_known_is_told_at_the_start(tmp_path: Path) -> None:
    answer = up(tmp_path, "native,robyn")
    assert answer.returncode == 1
    assert "the engine robyn cannot be used here: this trainer has no R" in answer.stderr
    answer = up(tmp_path, "native,robin")
    assert answer.returncode == 2
    assert "there is no engine 'robin', only native and robyn" in answer.stderr


def test_trainings_know_where_robyn_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("R_LIBS", "/opt/r/lib")
    monkeypatch.setenv("RETICULATE_PYTHON", "/opt/py/bin/python")
    told = task_environment(local_settings(tmp_path, engines=["native", "robyn"]))
    assert (told["R_LIBS"], told["RETICULATE_PYTHON"]) == ("/opt/r/lib", "/opt/py/bin/python")
    assert told["MMM_ENGINES"] == '["native", "robyn"]'
