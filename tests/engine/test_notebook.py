"""The page on notebooks and the example say what works: their code is run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.local.demo_data import generate

ROOT = Path(__file__).parents[2]


def test_the_code_of_the_page_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate().table[:190].to_csv(tmp_path / "sales.csv", index=False)
    generate().table.to_csv(tmp_path / "sales-until-now.csv", index=False)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/notebook.md", "exec"), names)  # noqa: S102 (our own page)
    assert len(blocks) == 7
    assert names["again"].best.solution == names["result"].best.solution
    assert (tmp_path / "my-model" / "onepager.png").is_file()
    assert (tmp_path / "my-model-refreshed" / "report_decomposition.png").is_file()
    tv = [channel.name for channel in names["answer"].plan.channels].index("tv_spend")
    assert names["answer"].spend[tv] == pytest.approx(1_200_000)
    tv = names["found"].frame.spend_names.index("tv_spend")
    frame = names["found"].frame
    assert frame.limits[:, tv] * len(frame.dates) == pytest.approx([1_200_000] * 2)


def test_the_example_fits_answers_and_comes_again(tmp_path: Path) -> None:
    script = ROOT / "examples" / "fit_in_a_notebook.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "model")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^the same model: \d+_\d+_1 True$", done.stdout, re.MULTILINE)
    assert "true_roas" in done.stdout
    assert (tmp_path / "model" / "prophet_decomp.png").is_file()
