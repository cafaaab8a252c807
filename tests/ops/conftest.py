"""An installation on one machine that runs, and a cloud that answers as told."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.log import Log
from functions.runtime import Runtime, use
from infra.local.host import LocalHost, local_settings
from infra.ops.__main__ import main
from tests.ops.cloud import Cloud

Run = Callable[..., tuple[int, Any]]
GCLOUD = shutil.which("gcloud")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalHost, Runtime]]:
    """A system that runs for the tests of a module.

    No longer: its functions work with whatever the next test of this process says they should, and its sweeps
    would be faults of a simulation that somebody else counts.
    """
    folder = tmp_path_factory.mktemp("installation")
    with (
        (folder / "host.log").open("w") as lines,
        LocalHost(local_settings(folder), 0, log := Log("text", lines)) as host,
    ):
        yield host, Runtime(host.embedded.ports(), host.settings, log)


@pytest.fixture
def host(started: tuple[LocalHost, Runtime]) -> LocalHost:
    """The system that runs, with its functions working for it."""
    host, runtime = started
    use(runtime)
    return host


@pytest.fixture
def ops(capsys: pytest.CaptureFixture[str]) -> Run:
    """One command with --json: its exit status and its rows, or what it said on standard error."""

    def run(*words: str) -> tuple[int, Any]:
        capsys.readouterr()
        status = main([*words, "--json"])
        said = capsys.readouterr()
        return status, json.loads(said.out) if said.out else said.err

    return run


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A stand-in for gcloud and bq; what was asked must be commands that the real gcloud knows."""
    folder = tmp_path / "path"
    folder.mkdir()
    cloud = Cloud(folder)
    cloud.install(monkeypatch)
    yield cloud
    asked = {shlex.join(words) for words, _ in cloud.asked() if words[0] == "gcloud"}
    _check_grammar(sorted(asked), tmp_path)


def _check_grammar(commands: list[str], folder: Path) -> None:
    if not commands:
        return
    if GCLOUD is None:
        pytest.skip("gcloud is not installed: whether it knows the commands was not looked at")
    file = folder / "commands.json"
    file.write_text(json.dumps([{"command_string": command} for command in commands]))
    done = subprocess.run(
        [GCLOUD, "meta", "lint-gcloud-commands", f"--commands-file={file}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    wrong = [one for one in json.loads(done.stdout) if not one["success"]]
    assert [(one["command_string"], one["error_message"]) for one in wrong] == []
