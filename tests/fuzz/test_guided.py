"""Coverage-guided fuzzing, where the fuzzer is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.fuzz import hostile

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_readers_of_foreign_bytes_raise_nothing_unexpected(tmp_path: Path):
    known = json.dumps(hostile.settings()).encode()
    seeds = [
        yaml.safe_dump(hostile.settings()).encode(),
        known,
        b'{"name": "a", "generation": "1", "size": 1}',
    ]
    seeds += [json.dumps(hostile.envelope(known)).encode(), b"date,revenue\n2024-01-01,1\n"]
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(bytes([number]) + seed)
    command = [sys.executable, "-m", "tests.fuzz.guided", "-runs=20000", "-seed=1", "-max_len=2000"]
    command += [f"-artifact_prefix={tmp_path}/", str(corpus)]
    known_modules = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=known_modules)
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert "Done 20000 runs" in answer.stderr
