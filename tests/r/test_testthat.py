"""The R program's own tests, which need R with testthat but not Robyn."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2] / "r" / "tests" / "testthat"
RUN = "library(testthat); test_dir('.', reporter = 'summary', stop_on_failure = TRUE)"
HAS_TESTTHAT = "quit(status = !all(c('testthat', 'jsonlite') %in% rownames(installed.packages())))"


def test_the_r_program() -> None:
    rscript = shutil.which("Rscript")
    if rscript is None or subprocess.run([rscript, "-e", HAS_TESTTHAT], check=False).returncode:
        pytest.skip("R with testthat is not installed (`make test-deps`)")
    environment = os.environ | {"TZ": "UTC", "LC_ALL": "C.UTF-8"}
    answer = subprocess.run(
        [rscript, "-e", RUN], cwd=TESTS, env=environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
