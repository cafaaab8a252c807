"""What every engine keeps: material in, a result folder out. A third engine is one more name in ENGINES.

The engine `robyn` runs its whole R program with the stand-in for Robyn that its own tests have.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from contracts.curves import FACTORS, CurvesDocument
from contracts.engines import ENGINES
from contracts.figures import ModelFigures, figures_name
from contracts.model import ModelConfig
from contracts.posterior import PosteriorDocument
from contracts.result import Allocation, BestModel
from tests.engine.robyn import Heard
from trainer.engines import questions
from trainer.engines.base import EngineError, Host, JobPosterior, Material
from trainer.engines.registry import load
from trainer.engines.tables import read_table
from trainer.life import check_documents
from trainer.posterior import posterior
from trainer.posterior.budget.curves import curves
from trainer.posterior.job import Asked
from trainer.timings import STEPS

ROOT = Path(__file__).parents[2]
WEEKS, TRIALS, ITERATIONS = 80, 3, 20
MODEL: dict[str, Any] = {
    "columns": {
        "date": "week",
        "dependent": "sales",
        "dependent_type": "revenue",
        "paid_media": ["tv", {"spend": "web", "exposure": "clicks"}],
        "organic": ["mails"],
        "context": ["price"],
    },
    "prophet": {"components": []},
    "search": {"trials": TRIALS, "iterations": ITERATIONS, "seed": 7},
    "budget": {"scenario": "max_response"},
}
TABLES = ("pareto_hyperparameters", "pareto_aggregated", "pareto_alldecomp_matrix", "pareto_clusters")
LARGE = {"pareto_alldecomp_matrix", "models"}


def material(folder: Path, **changed: Any) -> Material:
    random = np.random.default_rng(3)
    media = {name: random.gamma(2, 1_000, WEEKS) for name in ("tv", "web", "mails")}
    table = pd.DataFrame(
        {
            "week": [date(2023, 1, 2) + timedelta(weeks=week) for week in range(WEEKS)],
            "sales": 50_000 + 2 * media["tv"] + media["web"] + random.normal(0, 500, WEEKS),
            **media,
            "clicks": media["web"] * random.uniform(0.8, 1.2, WEEKS),
            "price": random.normal(10, 1, WEEKS),
        }
    ).drop(columns=changed.pop("without", []))
    prepared = folder / "prepared.parquet"
    table.to_parquet(prepared)
    return Material(prepared, ModelConfig.model_validate(MODEL | changed), None)


@dataclass
class Trained:
    """One training, in as many shares as there are ranges of trials."""

    folder: Path
    heard: Heard
    shares: list[Path]


def train(engine: str, folder: Path, *parts: range) -> Trained:
    """Each share by an engine of its own, as tasks do; another one merges them."""
    heard, shares, results = Heard(), [], folder / "results"
    results.mkdir(parents=True)
    job = material(folder)
    for number, trials in enumerate(parts):
        one = load(engine)(job, heard.host())
        shares.append(folder / f"share-{number}.{one.share_suffix}")
        one.search(trials, shares[-1])
    load(engine)(job, heard.host()).finish(shares, results)
    return Trained(results, heard, shares)


@pytest.fixture(scope="module", params=list(ENGINES))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "robyn":
            picture = tmp_path_factory.mktemp("picture") / "onepager.png"
            Image.new("RGB", (1700, 1900), "white").save(picture)
            patch.setenv("ONE_PAGER", str(picture))
            patch.setenv("PATH", f"{rscript(tmp_path_factory.mktemp('bin'))}{os.pathsep}{os.environ['PATH']}")
        yield request.param


def rscript(folder: Path) -> Path:
    """A folder with an `Rscript` that runs r/run.R with the stand-in for Robyn."""
    real = shutil.which("Rscript")
    has_json = "quit(status = !requireNamespace('jsonlite', quietly = TRUE))"
    if real is None or subprocess.run([real, "-e", has_json], check=False).returncode:
        pytest.skip("R with jsonlite is not installed (`make test-deps`)")
    double = Path(__file__).with_name("robyn_double.R")
    command = folder / "Rscript"
    command.write_text(f"#!/bin/sh\nshift\nexec '{real}' '{double}' '{ROOT}' \"$@\"\n")
    command.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def whole(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(engine, tmp_path_factory.mktemp(engine), range(1, TRIALS + 1))


def test_a_result_has_its_documents_and_every_table_but_the_largest_twice(whole: Trained):
    there = {path.name for path in whole.folder.iterdir()}
    documents = {"best_model.json", "model.json", "allocator.json", "provenance.json", "models.parquet"}
    documents |= {"figures.json", "roas.png", "curves.png", "contributions.png", "fit.png"}
    assert documents <= there
    assert {f"{name}.parquet" for name in TABLES} <= there
    assert {f"{name}.csv" for name in TABLES if name not in LARGE} <= there
    assert not {f"{name}.csv" for name in LARGE} & there


def test_every_document_keeps_its_contract_and_leaves_nothing_out(whole: Trained):
    check_documents(whole.folder)
    best = json.loads((whole.folder / "best_model.json").read_text())
    assert set(BestModel.model_fields) - set(best) <= {"posterior", "warnings"}  # the host's
    read = BestModel.model_validate(best)
    assert read.candidates == TRIALS * ITERATIONS
    assert [channel.name for channel in read.channels] == ["tv", "web", "mails"]
    assert [channel.modelled for channel in read.channels] == ["tv", "clicks", "mails"]
    assert read.window.rows == WEEKS
    assert json.loads((whole.folder / "provenance.json").read_text())["seed"] == 7


def test_with_a_posterior_it_answers_the_budget_question(engine: str, whole: Trained, tmp_path: Path):
    heard, results = Heard(), tmp_path / "results"
    results.mkdir()
    plain = heard.host()
    host = Host(1, plain.step, plain.progress, plain.log, Asked(1, plain.step, plain.log))
    load(engine)(material(tmp_path), host).finish(whole.shares, results)
    found = Allocation.model_validate_json((results / "allocator.json").read_bytes())
    assert found.method == "posterior"
    assert found.gain.q05 < found.gain.q95
    assert found.model.spend == found.before.spend == found.historical.spend
    every = read_table(results, "pareto_alldecomp_matrix")
    earned = every[every["solID"] == found.sol_id].sum(numeric_only=True)
    for channel in found.channels:
        assert channel.model.response == pytest.approx(earned[channel.modelled], rel=1e-9)
    assert (results / "allocator.png").is_file()
    data, config = pd.read_parquet(tmp_path / "prepared.parquet"), ModelConfig.model_validate(MODEL)
    assert (results / "curves.json").read_text() == curves(posterior(data, config)).country.model_dump_json()
    figures = ModelFigures.model_validate_json((results / "figures.json").read_bytes())
    document = PosteriorDocument.model_validate_json((results / "posterior.json").read_bytes())
    window = CurvesDocument.model_validate_json((results / "curves.json").read_bytes()).dates[0]
    for figure, said, curve in zip(figures.channels, document.channels, window.channels, strict=False):
        assert (figure.name, figure.name) == (said.name, curve.name)
        assert figure.told
        assert figure.told.band
        assert figure.told.mean == pytest.approx(said.contribution.mean, rel=1e-5)
        band, today = figure.told.band, FACTORS.index(1.0)
        assert band.today == pytest.approx(curve.spend / window.periods, rel=1e-5)
        total = (curve.response[today] + curve.carry_out[today]) / window.periods
        assert band.today_response == pytest.approx(total, rel=1e-5)
        assert band.low[today] < band.mean[today] < band.high[today]
        (answered,) = (one for one in found.channels if one.name == figure.name)
        assert band.proposed == pytest.approx(
            band.today * answered.after.spend / answered.before.spend, rel=1e-4
        )
    with Image.open(results / "onepager.png") as told, Image.open(whole.folder / "onepager.png") as plain:
        assert told.width == plain.width
        assert told.height > plain.height
    without = Allocation.model_validate_json((whole.folder / "allocator.json").read_bytes())
    assert without.method == "robyn"
    assert "no posterior" in without.notes[0]


def test_a_posterior_that_has_not_converged_neither_chooses_nor_answers(
    engine: str, whole: Trained, tmp_path: Path
):
    heard, results = Heard(), tmp_path / "results"
    results.mkdir()
    plain = heard.host()
    ask = Asked(1, plain.step, plain.log)

    def unsure(*given: Any) -> JobPosterior:
        found = ask(*given)
        return replace(found, document=found.document.model_copy(update={"converged": False}))

    host = Host(1, plain.step, plain.progress, plain.log, unsure)
    load(engine)(material(tmp_path), host).finish(whole.shares, results)
    best, plain_best = (
        BestModel.model_validate_json((folder / "best_model.json").read_bytes())
        for folder in (results, whole.folder)
    )
    assert best.sol_id == plain_best.sol_id
    assert best.channels == plain_best.channels
    assert not best.posterior.converged
    (answer,) = questions.answers(results)
    assert (answer.method, answer.feasible) == ("robyn", True)
    assert "has not converged" in answer.notes[0]
    assert engine == "robyn" or any("smallest error_score" in line for line in heard.log)


def test_every_budget_question_has_an_answer_or_a_reason(engine: str, whole: Trained, tmp_path: Path):
    """Robyn's allocator answers, as the host has no posterior."""
    results, heard = tmp_path / "results", Heard()
    results.mkdir()
    dates = {"start": "2024-01-01", "end": "2024-06-30"}
    asked = [
        {"name": "past", "scenario": "historical"},
        {"name": "half", "method": "robyn", **dates},
        {"name": "next", "start": "2024-09-02", "end": "2024-12-01"},
        {"name": "much", "total": "+900 %", **dates, "plans": {"less": {"tv": "-10 %"}}},
    ]
    load(engine)(material(tmp_path, budget=None, budgets=asked), heard.host()).finish(whole.shares, results)
    check_documents(results)
    past, half, following, much = questions.answers(results)
    assert [one.name for one in (past, half, following, much)] == [one["name"] for one in asked]
    assert (past.periods, half.periods) == (WEEKS, 26)
    assert past.historical.spend > half.historical.spend
    assert half.after.response > 0
    assert (results / f"{half.sol_id}_max_response_reallocated-2.csv").is_file()
    assert "only the posterior has an answer" in following.reason
    assert "upper bounds of all channels together" in much.reason
    for refused in (following, much):
        assert not refused.feasible
        assert "There is no posterior" in refused.notes[0]
        assert f"budget: {refused.reason}" in heard.log
    assert any("plans have no answer" in note for note in much.notes)
    assert not any(path.is_dir() for path in results.iterdir())


def test_tables_name_the_same_models(whole: Trained):
    best = BestModel.model_validate_json((whole.folder / "best_model.json").read_bytes())
    for name in TABLES:
        solutions = read_table(whole.folder, name)["solID"]
        assert solutions.nunique() == best.pareto_models, name
        assert best.sol_id in set(solutions), name
    assert len(pd.read_parquet(whole.folder / "models.parquet")) == best.candidates


@pytest.mark.parametrize("pictures", ["winners", "none"])
def test_pictures_are_drawn_as_they_are_asked_for(engine: str, whole: Trained, tmp_path: Path, pictures: str):
    results = tmp_path / "results"
    results.mkdir()
    load(engine)(material(tmp_path, pictures=pictures), Heard().host()).finish(whole.shares, results)
    best = BestModel.model_validate_json((results / "best_model.json").read_bytes())
    others = [winner.sol_id for winner in best.winners if winner.sol_id != best.sol_id]
    singles = ("roas", "curves", "contributions", "fit", "allocation")
    winners = {f"{other}{single}.png" for other in others for single in ("", *(f"_{one}" for one in singles))}
    drawn, usual = ({path.name for path in folder.glob("*.png")} for folder in (results, whole.folder))
    if engine == "native":
        assert not winners & usual
        assert drawn == (usual | winners if pictures == "winners" else set())
    elif pictures == "none":
        assert not drawn
    left = {path.name for path in whole.folder.iterdir()} - usual
    assert left == {path.name for path in results.iterdir()} - drawn
    assert (results / "pareto_aggregated.csv").read_bytes() == (
        whole.folder / "pareto_aggregated.csv"
    ).read_bytes()


def test_shares_of_several_tasks_make_the_same_result(engine: str, whole: Trained, tmp_path: Path):
    apart = train(engine, tmp_path, range(1, 2), range(2, TRIALS + 1))
    assert {path.name for path in apart.folder.iterdir()} == {path.name for path in whole.folder.iterdir()}
    for path in sorted(whole.folder.glob("*.csv")) + sorted(whole.folder.glob("*.json")):
        assert (apart.folder / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_host_hears_steps_that_it_knows_and_progress_to_the_end(whole: Trained):
    assert {"search", "select", "outputs"} <= set(whole.heard.steps) <= set(STEPS)
    last = whole.heard.progress[-1]
    assert (last.trial, last.trials) == (TRIALS, TRIALS)
    assert last.iteration == last.iterations == TRIALS * ITERATIONS
    assert whole.heard.log


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"without": ["price"]}, "'price'"),
        ({"refresh_of": "de-weekly-0123456789ab"}, "does not exist any more"),
        ({"window": {"start": "2024-07-01"}}, "too few"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    engine: str, tmp_path: Path, changed: dict[str, Any], words: str
):
    refusing = load(engine)(material(tmp_path, **changed), Heard().host())
    with pytest.raises(EngineError, match=words):
        refusing.search(range(1, 2), tmp_path / "share")


def test_the_figures_of_every_winner_are_those_of_its_tables(whole: Trained):
    best = BestModel.model_validate_json((whole.folder / "best_model.json").read_bytes())
    periods = pd.read_parquet(whole.folder / "pareto_alldecomp_matrix.parquet")
    for solution in {best.sol_id, *(winner.sol_id for winner in best.winners)}:
        path = whole.folder / figures_name(solution, best.sol_id)
        found = ModelFigures.model_validate_json(path.read_bytes())
        rows = periods[periods["solID"] == solution]
        assert (found.sol_id, found.best) == (solution, best.sol_id)
        assert found.predicted == pytest.approx(rows["depVarHat"].tolist(), rel=1e-5)
        columns = ["intercept" if one.kind == "intercept" else one.name for one in best.contributions]
        for column, variable in zip(columns, found.variables, strict=True):
            assert variable.values == pytest.approx(rows[column].tolist(), rel=1e-5, abs=1e-9)
        assert {one.sol_id for one in found.models if one.winner} == {one.sol_id for one in best.winners}


def test_the_best_models_figures_are_those_of_best_model_json(whole: Trained):
    best = BestModel.model_validate_json((whole.folder / "best_model.json").read_bytes())
    found = ModelFigures.model_validate_json((whole.folder / "figures.json").read_bytes())
    for channel, figure in zip(best.channels, found.channels, strict=True):
        assert (figure.name, figure.paid) == (channel.name, channel.paid)
        assert figure.response == pytest.approx(channel.response, rel=1e-5)
        for ours, theirs in ((figure.efficiency, channel.roas), (figure.marginal, channel.marginal_roas)):
            assert ours == (None if theirs is None else pytest.approx(theirs, rel=1e-4, abs=1e-9))
        curve = channel.curve
        assert figure.curve.today == pytest.approx(curve.mean_value, rel=1e-4)
        theirs, ours = np.array(curve.response, dtype=float), np.array(figure.curve.response, dtype=float)
        apart = np.abs(np.interp(curve.value, figure.curve.value, ours) - theirs)
        assert np.median(apart) <= 0.001 * np.ptp(theirs)


def test_the_single_pictures_fit_a_slide(whole: Trained):
    found = ModelFigures.model_validate_json((whole.folder / "figures.json").read_bytes())
    assert {"roas", "curves", "contributions", "fit"} <= set(found.pictures)
    for picture in found.pictures:
        with Image.open(whole.folder / f"{picture}.png") as image:
            assert image.size == (1600, 900)
