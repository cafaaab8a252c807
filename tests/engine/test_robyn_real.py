"""The real Robyn, where it is installed, against the native engine on the same data and Prophet columns."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.engine.golden import load as recorded
from tests.engine.robyn import Heard, material
from tests.engine.test_refresh import request, train
from trainer.engines.base import EngineError, Material
from trainer.engines.native import files
from trainer.engines.native.prepare.prophet_columns import ProphetColumns
from trainer.engines.native.recreate import recreate
from trainer.engines.native.result import Result
from trainer.engines.native.training import fit
from trainer.engines.registry import load
from trainer.engines.robyn import RFailed, _environment

ERRORS = ["nrmse", "decomp.rssd", "mape", "rsq_train", "nrmse_train", "lambda"]
CHANGED: dict[str, Any] = {
    "search": {"iterations": 60, "trials": 2},
    "annotations": [{"date": "2023-01-02", "text": "a new price"}],
    "budget": {"start": "2023-01-02", "end": "2023-12-25"},
}


def has_robyn() -> bool:
    rscript = shutil.which("Rscript")
    code = "quit(status = !nzchar(system.file(package = 'Robyn')))"
    return rscript is not None and subprocess.run([rscript, "-e", code], check=False).returncode == 0


pytestmark = [
    pytest.mark.skipif(not has_robyn(), reason="Robyn is not installed; R_LIBS names where it is"),
    pytest.mark.timeout(0),
]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return material(tmp_path_factory.mktemp("material"), "weekly_calibrated", **CHANGED)


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def theirs(job: Material, heard: Heard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Robyn's result: two tasks with a trial each, the second one first."""
    folder = tmp_path_factory.mktemp("robyn")
    engine, results = load("robyn")(job, heard.host()), folder / "results"
    shares = [folder / "1.rds", folder / "2.rds"]
    for trial in (2, 1):
        engine.search(range(trial, trial + 1), shares[trial - 1])
    results.mkdir()
    engine.finish(shares, results)
    return results


@pytest.fixture(scope="module")
def ours(job: Material, theirs: Path) -> Result:
    """The native engine's result with the columns that Prophet gave to Robyn."""
    return fit(pd.read_parquet(job.prepared), job.config, prophet=prophet_of(theirs))


def prophet_of(results: Path) -> ProphetColumns:
    given = json.loads((results / "model.json").read_text())["prophet"]
    columns = {
        kind: {name: np.array(values) for name, values in given[kind].items()}
        for kind in ("components", "factors")
    }
    return ProphetColumns(**columns)


def test_the_search_is_identical_and_the_errors_are_equal(theirs: Path, ours: Result) -> None:
    models, candidates = pd.read_parquet(theirs / "models.parquet"), ours.candidates
    assert models["solID"].tolist() == candidates["solID"].tolist()
    hyper = [*ours.inputs.bounds, "lambda_hp"]
    np.testing.assert_allclose(candidates[hyper], models[hyper], rtol=1e-12)
    np.testing.assert_allclose(candidates[ERRORS], models[ERRORS], rtol=1e-9)
    coefficients = models[[name for name in models if name.endswith("_coef")]].to_numpy()
    np.testing.assert_allclose(ours.coefficients, coefficients, rtol=1e-9, atol=1e-9)


def test_the_same_models_are_chosen(theirs: Path, ours: Result) -> None:
    pareto = pd.read_csv(theirs / "pareto_hyperparameters.csv")
    assert sorted(pareto["solID"]) == sorted(ours.pareto)
    best = json.loads((theirs / "best_model.json").read_text())
    assert best["sol_id"] == ours.best.solution
    assert {winner["sol_id"] for winner in best["winners"]} == set(ours.clusters.winners)


def test_the_files_are_those_of_the_native_engine(
    job: Material, theirs: Path, ours: Result, tmp_path: Path
) -> None:
    files.write(ours, job.config, tmp_path)
    pictures = {"onepager.png", "pareto_front.png", "prophet_decomp.png", "allocator.png"}
    written = {path.name for path in theirs.iterdir()}
    assert pictures | {"provenance.json", "allocator.json"} <= written
    the_same_files(theirs, tmp_path)


@dataclass(frozen=True)
class Few:
    """Both engines' results of a search of seven candidates."""

    job: Material
    robyn: Path
    native: Path
    result: Result


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Few:
    folder = tmp_path_factory.mktemp("few")
    columns = recorded("weekly_geometric").config.columns.model_dump(mode="json")
    columns["dependent_type"] = "conversion"
    job = material(folder, columns=columns, search={"iterations": 7, "trials": 1})
    engine, theirs, ours = load("robyn")(job, Heard().host()), folder / "robyn", folder / "native"
    theirs.mkdir()
    ours.mkdir()
    engine.search(range(1, 2), folder / "1.rds")
    engine.finish([folder / "1.rds"], theirs)
    result = fit(pd.read_parquet(job.prepared), job.config, prophet=prophet_of(theirs))
    files.write(result, job.config, ours)
    return Few(job, theirs, ours, result)


def test_few_models_of_conversions_have_the_same_clusters_and_files(few: Few) -> None:
    assert len(few.result.pareto) == 5
    assert len(few.result.clusters.winners) == 1
    the_same_files(few.robyn, few.native)


@pytest.mark.parametrize("engine", ["native", "robyn"])
def test_plain_r_goes_on_with_the_model_of_either_engine(few: Few, engine: str, tmp_path: Path) -> None:
    """robyn_read, _recreate, _response, _allocator and _refresh, and the objects of the engine robyn."""
    folder, data = getattr(few, engine), tmp_path / "data.csv"
    pd.read_parquet(few.job.prepared).to_csv(data, index=False)
    found = use_in_r(folder / "model.json", data, tmp_path, *([folder] if engine == "robyn" else []))
    exported = json.loads((folder / "model.json").read_text())["ExportedModel"]
    for name, value in found["errors"].items():
        assert value == pytest.approx(exported["errors"][name], rel=1e-6), name
    assert found["allocator"]
    assert found["refreshed"].count("_") == 2
    assert engine == "native" or found["written"]


def use_in_r(model: Path, data: Path, folder: Path, *objects: Path) -> dict[str, Any]:
    """What Robyn itself makes of a model, in a folder of its own."""
    script = Path(__file__).with_name("use_model.R")
    command = ["Rscript", str(script), str(model), str(data), *map(str, objects)]
    done = subprocess.run(
        command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return found


def the_same_files(theirs: Path, ours: Path) -> None:
    """Robyn's folder has every file of ours, with the same tables and documents."""
    written = {path.name for path in ours.iterdir()}
    assert written <= {path.name for path in theirs.iterdir()}
    for name in sorted(name for name in written if name.endswith(".csv")):
        keys = [key for key in ("solID", "rn", "cluster", "ds") if key in pd.read_csv(theirs / name)]
        one, other = (pd.read_csv(folder / name).sort_values(keys) for folder in (theirs, ours))
        pd.testing.assert_frame_equal(
            one.reset_index(drop=True), other.reset_index(drop=True), rtol=1e-9, atol=1e-9, check_dtype=False
        )
    assert list(pd.read_parquet(theirs / "models.parquet")) == list(pd.read_parquet(ours / "models.parquet"))
    for name in ("best_model.json", "model.json"):
        same(json.loads((theirs / name).read_text()), json.loads((ours / name).read_text()), name)


NOT_COMPARED = {"solvers", "versions", "InputCollect"}


def same(there: Any, here: Any, where: str) -> None:
    """Documents with the same keys and numbers."""
    if isinstance(here, dict):
        assert set(there) == set(here), where
        for key in here.keys() - NOT_COMPARED:
            same(there[key], here[key], f"{where} {key}")
    elif isinstance(here, list):
        assert len(there) == len(here), where
        for i, (one, other) in enumerate(zip(there, here, strict=True)):
            same(one, other, f"{where} {i}")
    elif isinstance(here, float):
        assert there == pytest.approx(here, rel=1e-9, abs=1e-9), where
    else:
        assert there == here, where


def test_the_native_engine_computes_robyns_model_again(job: Material, theirs: Path) -> None:
    model = json.loads((theirs / "model.json").read_text())
    again = recreate(pd.read_parquet(job.prepared), model)
    best = json.loads((theirs / "best_model.json").read_text())
    assert again.best.candidate["nrmse"] == pytest.approx(best["nrmse"], rel=1e-9)


def test_progress_counts_every_candidate_and_the_log_says_what_was_used(theirs: Path, heard: Heard) -> None:
    assert theirs.is_dir()
    assert [told.iteration for told in heard.progress].count(60) >= 2
    assert heard.steps == ["load", "decompose", "search"] * 2 + ["load", "select", "outputs"]
    assert any("in 1 processes; BLAS threads: 1" in line for line in heard.log)


def test_a_refresh_is_the_native_engines_too(tmp_path: Path) -> None:
    train("weekly_geometric", request("weekly_geometric"), slice(0, 199), tmp_path / "former")
    search = {"iterations": 40, "trials": 1}
    job = material(tmp_path, refresh_of="de-weekly-0123456789ab", window={}, search=search)
    job, results = replace(job, former=tmp_path / "former"), tmp_path / "results"
    results.mkdir()
    engine = load("robyn")(job, Heard().host())
    engine.search(range(1, 2), tmp_path / "1.rds")
    engine.finish([tmp_path / "1.rds"], results)
    ours = fit(pd.read_parquet(job.prepared), job.config, former=job.former, prophet=prophet_of(results))
    models = pd.read_parquet(results / "models.parquet")
    hyper = [*ours.inputs.bounds, "lambda_hp"]
    np.testing.assert_allclose(ours.candidates[hyper], models[hyper], rtol=1e-12)
    np.testing.assert_allclose(ours.candidates[ERRORS], models[ERRORS], rtol=1e-9)
    pareto = ours.candidates[ours.candidates["solID"].isin(ours.pareto)].set_index("solID")
    nearest = pareto["decomp.rssd"].idxmin()  # Robyn's choice; ours weighs the fit of those near to it
    assert json.loads((results / "best_model.json").read_text())["sol_id"] == nearest
    reports = ("hyperparameters.csv", "aggregated.csv", "alldecomp_matrix.csv", "decomposition.png")
    assert all((results / f"report_{name}").is_file() for name in reports)


FAILING = """
setHook(packageEvent("Robyn", "attach"), function(...) {
  whole <- Robyn::model_decomp
  calls <- 0
  failing <- function(...) {
    calls <<- calls + 1
    if (calls > 25 && "2:2" %in% commandArgs()) stop("no numbers left")
    whole(...)
  }
  utils::assignInNamespace("model_decomp", failing, "Robyn")
})
"""
"""A profile of R with which Robyn's second trial ends with an error in its 26th iteration."""


def test_a_trial_that_an_error_ended_is_kept_only_where_the_request_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "profile.R").write_text(FAILING)
    monkeypatch.setenv("R_PROFILE_USER", str(tmp_path / "profile.R"))
    search, share, heard = {"iterations": 60, "trials": 2}, tmp_path / "2.rds", Heard()
    with pytest.raises(RFailed, match="Robyn ended after 25 of 60 iterations") as caught:
        load("robyn")(material(tmp_path, search=search), heard.host()).search(range(2, 3), share)
    assert any("no numbers left" in note for note in caught.value.__notes__)
    job = material(tmp_path, search=search | {"allow_partial_trials": True})
    engine, results = load("robyn")(job, heard.host()), tmp_path / "results"
    results.mkdir()
    engine.search(range(2, 3), share)
    engine.search(range(1, 2), tmp_path / "1.rds")
    engine.finish([tmp_path / "1.rds", share], results)
    best = json.loads((results / "best_model.json").read_text())
    assert best["candidates"] == 85
    assert best["partial_trials"] == [{"trial": 2, "candidates": 25}]
    ours = fit(pd.read_parquet(job.prepared), job.config, prophet=prophet_of(results))
    models = pd.read_parquet(results / "models.parquet").set_index("solID")
    same = ours.candidates.set_index("solID").loc[models.index]
    np.testing.assert_allclose(same[ERRORS], models[ERRORS], rtol=1e-9)


def test_what_robyn_refuses_is_told_with_its_words(tmp_path: Path) -> None:
    job = material(tmp_path)
    data = recorded("weekly_geometric").data.assign(competitor_sales=1.0)
    data.assign(date=pd.to_datetime(data["date"]).dt.date).to_parquet(job.prepared)
    with pytest.raises(EngineError, match="competitor_sales"):
        load("robyn")(job, Heard().host()).search(range(1, 2), tmp_path / "share")
