"""What the trainer makes of the R program: R is played by a shell script that says what R would say."""

from __future__ import annotations

import json
import os
import traceback
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from contracts.posterior import PosteriorDocument
from tests.engine.robyn import Heard, material
from tests.engine.test_refresh import request, train
from trainer.engines.base import EngineError, SearchProgress
from trainer.engines.registry import load
from trainer.engines.robyn import RFailed, check_installation
from trainer.posterior import Posterior
from trainer.posterior.job import JobPosterior

EXAMPLES = Path(__file__).parents[2] / "contracts" / "examples"


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put an `Rscript` on the PATH that runs these lines; $OUT and $IN are the folders it was given."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def play(*lines: str) -> None:
        words = 'while [ $# -gt 0 ]; do case "$1" in --out) OUT=$2;; --in) IN=$2;; esac; shift; done'
        script = folder / "Rscript"
        script.write_text("\n".join(["#!/bin/sh", 'echo "called with $*" >&2', words, *lines]))
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return play


def search(tmp_path: Path, heard: Heard) -> Path:
    share = tmp_path / "share.rds"
    load("robyn")(material(tmp_path, search={"iterations": 60, "trials": 4}), heard.host()).search(
        range(2, 4), share
    )
    return share


def failure(tmp_path: Path, heard: Heard | None = None) -> RFailed:
    with pytest.raises(RFailed) as caught:
        search(tmp_path, heard or Heard())
    return caught.value


def test_r_is_given_data_and_configuration_and_its_share_is_kept(tmp_path: Path, says) -> None:
    says('cat "$IN/config.json" > "$OUT/share.rds"; head -2 "$IN/data.csv" >&2', "env >&2")
    heard = Heard()
    config = json.loads(search(tmp_path, heard).read_text())
    called = heard.log[0].split()
    assert called[called.index("--trials") + 1] == "2:3"
    assert called[called.index("--cores") + 1] == "2"
    assert heard.log[1].split(",")[:4] == ['"date"', '"revenue"', '"tv_spend"', '"ooh_spend"']
    assert heard.log[2].startswith("2021-01-04,650626.99,21263.04,0")
    assert config["model"]["search"]["trials"] == 4
    assert config["space"]["tv_spend_thetas"] == [0, 0.8]
    assert len(config["data_sha256"]) == 64
    for variable in ("OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "LC_ALL=C.UTF-8"):
        assert variable in heard.log
    assert any(line.startswith("RETICULATE_PYTHON=/") for line in heard.log)


def test_the_space_holds_every_range_that_is_not_robyns_own(tmp_path: Path, says) -> None:
    says('cp "$IN/config.json" "$OUT/share.rds"')
    changed = {"time_series_validation": True, "penalty_factors": True}
    ranges = {"lambda": 0.5, "trend_penalty": [0.2, 0.4]}
    job = material(tmp_path, search=changed, hyperparameters={"ranges": ranges})
    load("robyn")(job, Heard().host()).search(range(1, 2), tmp_path / "share")
    space = json.loads((tmp_path / "share").read_text())["space"]
    assert space["train_size"] == [0.5, 0.8]
    assert space["lambda"] == [0.5, 0.5]
    assert space["trend_penalty"] == [0.2, 0.4]
    assert "season_penalty" not in space


def test_r_is_told_of_the_posterior_only_if_the_best_model_is_chosen_by_it(tmp_path: Path, says) -> None:
    says('cp "$IN/config.json" "' + str(tmp_path) + '/told.json"; echo "@error {}" >&2; exit 1')
    document = PosteriorDocument.model_validate_json((EXAMPLES / "posterior.json").read_bytes())
    asked = JobPosterior(cast(Posterior, None), document, print, draws=False)
    for best_by, converged, aims in (("posterior", True, 2), (None, True, 0), ("posterior", False, 0)):
        told = replace(asked, document=document.model_copy(update={"converged": converged}))
        host = replace(Heard().host(), posterior=lambda *_, told=told: told)
        job = load("robyn")(material(tmp_path, search={"best_by": best_by}), host)
        with pytest.raises(RFailed):
            job.finish([tmp_path / "share.rds"], tmp_path)
        found = json.loads((tmp_path / "told.json").read_text())["posterior"] or []
        assert len(found) == aims
    paid = [channel for channel in document.channels if channel.paid]
    assert len(paid) == 2


def test_r_is_given_the_former_model_of_a_refresh(tmp_path: Path, says) -> None:
    says('cp "$IN/config.json" "$OUT/share.rds"')
    job = material(tmp_path, refresh_of="de-weekly-0123456789ab", window={})
    train("weekly_geometric", request("weekly_geometric"), slice(0, 199), tmp_path / "former")
    heard = Heard()
    load("robyn")(replace(job, former=tmp_path / "former"), heard.host()).search(
        range(1, 2), tmp_path / "share"
    )
    config = json.loads((tmp_path / "share").read_text())
    assert config["refresh"]["steps"] == 10
    assert config["refresh"]["added_start"] == "2024-10-28"
    assert sum(config["refresh"]["shares"].values()) == pytest.approx(1)
    assert config["model"]["window"] == {"start": "2021-03-15", "end": "2024-12-30"}
    assert config["model"]["search"]["objective_weights"] == [0, 1]
    low, high = config["space"]["tv_spend_thetas"]
    assert 0 < high - low <= 2 * 10 / 199 * 0.8 + 1e-9


def test_a_former_result_that_is_gone_is_told(tmp_path: Path, says) -> None:
    says("true")
    job = material(tmp_path, refresh_of="de-weekly-0123456789ab", window={})
    with pytest.raises(EngineError, match="does not exist any more"):
        load("robyn")(job, Heard().host()).search(range(1, 2), tmp_path / "share")


def test_steps_and_progress_reach_the_host_while_r_runs(tmp_path: Path, says) -> None:
    def line(trial: int, iteration: int, nrmse: float, rssd: str) -> str:
        counts = f'"trial": {trial}, "iteration": {iteration}, "iterations": 60'
        return f"""echo '@progress {{{counts}, "nrmse": {nrmse}, "rssd": {rssd}}}' >&2"""

    says(
        "echo '@step \"decompose\"' >&2",
        "echo '@step \"search\"' >&2",
        line(2, 1, 0.2, "Infinity"),
        line(3, 5, 0.1, "0.5"),
        line(2, 60, 0.15, "0.4"),
        'touch "$OUT/share.rds"',
    )
    heard = Heard()
    search(tmp_path, heard)
    assert heard.steps == ["decompose", "search"]
    assert heard.progress[0].rssd == float("inf")
    assert heard.progress[-1] == SearchProgress(
        trial=2, trials=2, iteration=65, iterations=120, nrmse=0.1, rssd=0.4
    )
    assert not any(told.startswith("@") for told in heard.log)


def test_what_cannot_be_trained_on_is_told_as_such(tmp_path: Path, says) -> None:
    told = r'@error {"kind": "untrainable", "message": "a\nb", "call": ""}'
    says(f"printf '%s\\n' '{told}' >&2; exit 1")
    with pytest.raises(EngineError, match=r"^a\nb$"):
        search(tmp_path, Heard())


def test_an_error_of_rs_has_its_message_its_calls_and_the_last_fifty_lines(tmp_path: Path, says) -> None:
    told = '{"kind": "failed", "message": "trial 2: no memory of x", "call": "train > stop"}'
    says("for i in $(seq 1 70); do echo line $i >&2; done", f"echo '@error {told}' >&2", "exit 1")
    error = failure(tmp_path)
    assert str(error) == "trial 2: no memory of x"
    lines = "".join(traceback.format_exception(error)).splitlines()
    assert "R's calls: train > stop" in lines
    assert [line for line in lines if line.startswith("line ")] == [f"line {i}" for i in range(21, 71)]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("kill -KILL $$", "status -9: it was killed, most likely because there was not enough memory"),
        ("kill -TERM $$", "status -15: it was told to stop, most likely because the time of the task was up"),
        ("kill -SEGV $$", "status -11: it crashed with a segmentation fault"),
        ("exit 3", "status 3: it told no reason"),
    ],
)
def test_the_ways_in_which_a_process_ends_are_told_apart(tmp_path: Path, says, end: str, reason: str) -> None:
    says("echo the last words >&2", end)
    error = failure(tmp_path)
    assert str(error) == f"R ended with {reason}"
    assert "the last words" in error.__notes__[-1]


def test_r_is_not_waited_for_when_the_host_fails(tmp_path: Path, says) -> None:
    says("exec sleep 100000")

    def fail(_: str) -> None:
        raise ConnectionError("the bucket is away")

    job, host = material(tmp_path), replace(Heard().host(), log=fail)
    with pytest.raises(ConnectionError, match="the bucket is away"):
        load("robyn")(job, host).search(range(1, 2), tmp_path / "share")


def test_without_r_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="Rscript is not on its PATH"):
        search(tmp_path, Heard())


def test_an_installation_that_is_not_complete_is_told_with_its_reason(says) -> None:
    says("echo 'R 4.2.2' >&2")
    assert check_installation().splitlines()[1:] == ["R 4.2.2"]
    says("""echo '@error {"kind": "failed", "message": "nevergrad is missing", "call": ""}' >&2; exit 1""")
    with pytest.raises(EngineError, match=r"^nevergrad is missing$"):
        check_installation()
