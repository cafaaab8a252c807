"""A process that finds machine code compiles nothing, even where it may not write."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEARCH = """
import numba.core.event
import trainer.engines.native.training
from tests.engine.golden import load
from trainer.engines.native.training import fit_inputs
from trainer.engines.native.search.trials import Plan
with numba.core.event.install_recorder("numba:compile") as recorder:
    result = fit_inputs(load("weekly_calibrated").inputs, Plan(iterations=40, trials=1, seed=1))
print(len(recorder.buffer), numba.config.CACHE_DIR)
"""
AS_ORDINARY_USER = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
"""root may write everywhere; without this capability it may not."""


def compilations(cache: Path, *prefix: str) -> tuple[int, Path]:
    """How much a new process compiled, and the folder that it took machine code from."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    command = [*prefix, sys.executable, "-c", SEARCH]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
    count, folder = done.stdout.split()
    return int(count), Path(folder)


def test_a_warm_process_compiles_nothing_and_needs_no_place_to_write(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    known = Path(os.environ.get("NUMBA_CACHE_DIR", ROOT / ".numba"))
    if known.is_dir():  # saves the time of compiling
        shutil.copytree(known, cache, ignore=shutil.ignore_patterns("*.tmp.*"))
    compilations(cache)
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    for path in [cache, *cache.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    prefix = AS_ORDINARY_USER if os.geteuid() == 0 else ()
    count, used = compilations(cache, *prefix)
    assert count == 0
    assert used != cache
    assert not used.exists()  # what it copied is gone
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


ONE_FUNCTION = """
import numba.core.event
from trainer.engines.native.search.machine_code import compiled
@compiled
def doubled(x):
    return 2 * x
with numba.core.event.install_recorder("numba:compile") as recorder:
    assert doubled(1.5) == 3.0
print(len(recorder.buffer), numba.config.CACHE_DIR)
"""


def test_without_a_folder_for_machine_code_it_is_kept_in_the_user_s_own(tmp_path: Path) -> None:
    module = tmp_path / "notebook.py"
    module.write_text(ONE_FUNCTION)
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    told = [
        subprocess.run(
            [sys.executable, str(module)], env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    own = tmp_path / "cache" / "mmm-trainer"
    assert [folder for _, folder in told] == [str(own)] * 2
    assert int(told[0][0]) > 0
    assert int(told[1][0]) == 0
    assert list(own.rglob("*.nbc"))
