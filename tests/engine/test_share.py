"""Trials spread over tasks give what one task gives: the same names of models, the same numbers."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from contracts.model import Columns, ModelConfig
from infra.local.demo_data import demo_request, generate
from trainer.engines.base import EngineError, Host, Material, SearchProgress
from trainer.engines.native import outputs
from trainer.engines.native.engine import NativeEngine
from trainer.life import trials_of

TRIALS = 4


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They show the numbers that are compared here, and take most of the time."""
    monkeypatch.setattr(outputs, "_draw", lambda *_: None)


class Training:
    def __init__(self, folder: Path, search: dict[str, Any], **changes: Any) -> None:
        self.folder = folder
        request = demo_request("shares") | {"prophet": {"components": ["trend"]}} | changes
        columns = {name: value for name, value in request["columns"].items() if name != "factors"}
        prepared = folder / "prepared.parquet"
        generate(weeks=104).table.to_parquet(prepared)
        config = ModelConfig.model_validate(
            {name: value for name, value in request.items() if name in ModelConfig.model_fields}
            | {"columns": columns, "search": {"iterations": 60, "trials": TRIALS, **search}}
        )
        self.material, self.reports = Material(prepared, config, None), list[SearchProgress]()

    def engine(self) -> NativeEngine:
        """In a process of its own: nothing is shared but the material."""
        host = Host(1, lambda _: nullcontext(), self.reports.append, lambda _: None)
        return NativeEngine(self.material, host)

    def run(self, tasks: int) -> Path:
        """The folder of the result."""
        shares = [self.folder / f"{tasks}-{task}.parquet" for task in range(tasks)]
        for task, share in enumerate(shares):
            last = self.engine()
            last.search(trials_of(task, tasks, TRIALS), share)
        result = self.folder / f"result-{tasks}"
        result.mkdir()
        last.finish(shares, result)
        return result


EARLY = {"stop": {"unmoved_iterations": 12}}
VALIDATED = {"time_series_validation": True, "penalty_factors": True}


@pytest.mark.parametrize(
    ("search", "counts"),
    [({}, (2, 3, 4)), (EARLY, (3,)), (VALIDATED, (2,))],
    ids=["all iterations", "ended early", "validation and penalties"],
)
def test_several_tasks_leave_the_same_files_as_one(
    tmp_path: Path, search: dict[str, Any], counts: tuple[int, ...]
):
    training = Training(tmp_path, search)
    alone = training.run(1)
    models = pd.read_parquet(alone / "models.parquet")
    assert (len(models) < TRIALS * 60) == (search is EARLY)
    for tasks in counts:
        together = training.run(tasks)
        files = {path.name for path in alone.iterdir()}
        assert {path.name for path in together.iterdir()} == files
        for name in files - {"models.parquet"}:
            assert (together / name).read_bytes() == (alone / name).read_bytes(), name
        pd.testing.assert_frame_equal(pd.read_parquet(together / "models.parquet"), models, check_exact=True)


def test_tasks_that_prepared_different_columns_are_not_merged(tmp_path: Path):
    here, there = Training(tmp_path, {}), tmp_path / "there"
    there.mkdir()
    elsewhere = Training(there, {})
    data = pd.read_parquet(elsewhere.material.prepared)
    data["revenue"] *= 1 + 1e-3 * (data.index % 3)
    data.to_parquet(elsewhere.material.prepared)
    shares = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    here.engine().search(trials_of(0, 2, TRIALS), shares[0])
    elsewhere.engine().search(trials_of(1, 2, TRIALS), shares[1])
    with pytest.raises(EngineError, match="the task of trial 3 prepared other columns"):
        here.engine().finish(shares, tmp_path)


def test_with_nothing_to_search_one_task_finds_the_one_model_and_the_others_nothing(tmp_path: Path):
    fixed = {"alphas": 1.0, "gammas": 0.5, "thetas": 0.3}
    media = Columns.model_validate(demo_request("shares")["columns"]).media
    ranges = {f"{name}_{kind}": value for name in media for kind, value in fixed.items()} | {"lambda": 0.2}
    result = Training(tmp_path, {}, hyperparameters={"ranges": ranges}).run(3)
    assert list(pd.read_parquet(result / "models.parquet")["solID"]) == ["1_1_1"]


def test_time_is_shared_by_the_trials_of_a_task_and_each_makes_some_steps(tmp_path: Path):
    training = Training(tmp_path, {"iterations": 100_000, "stop": {"seconds": 0.01}})
    models = pd.read_parquet(training.run(3) / "models.parquet")
    assert set(models["trial"]) == {1, 2, 3, 4}
    assert len(models) < TRIALS * 100_000


def test_a_task_reports_the_progress_of_its_own_trials(tmp_path: Path):
    training = Training(tmp_path, {})
    training.engine().search(range(3, 5), tmp_path / "share.parquet")
    last = training.reports[-1]
    assert (last.trial, last.trials, last.iteration, last.iterations) == (2, 2, 120, 120)
