from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = """
import pytest
@pytest.mark.parametrize("x", [1, 2])
def test_a(x): pytest.skip("there is no printer")
@pytest.mark.skip(reason="it is Sunday")
def test_b(): pass
def test_c(): pass
"""


def last_lines(folder: Path, *options: str) -> list[str]:
    (folder / "test_of_a_kind.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", "/dev/null", "-q", "-ra"]
    answer = subprocess.run(
        [*command, "--rootdir", str(folder), str(folder), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip().splitlines()[-4:]


def test_the_last_lines_of_a_run_say_how_many_tests_were_skipped_and_why(tmp_path: Path) -> None:
    title, first, second, totals = last_lines(tmp_path)
    assert "3 tests were skipped" in title
    assert first.split() == ["2", "×", "there", "is", "no", "printer"]
    assert second.split() == ["1", "×", "it", "is", "Sunday"]
    assert totals.startswith("1 passed, 3 skipped")


def test_a_run_without_skips_says_so(tmp_path: Path) -> None:
    assert "no test was skipped" in last_lines(tmp_path, "-k", "test_c")[-2]
