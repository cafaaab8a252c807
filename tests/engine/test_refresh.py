"""A refresh: the moved window, the narrowed ranges, the objective, the chain of models, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from contracts.model import Annotation, ModelConfig
from tests.engine.golden import load
from tests.engine.golden import read as read_recorded
from trainer.engines.beginning import Beginning, begin
from trainer.engines.common import InvalidInputs
from trainer.engines.native import files
from trainer.engines.native.prepare.prophet_columns import ProphetColumns
from trainer.engines.native.recreate import recreate
from trainer.engines.native.result import Result
from trainer.engines.native.search.trials import Plan, search
from trainer.engines.native.training import conclude, prepare
from trainer.engines.pictures import style
from trainer.engines.refresh import picture as refresh_picture
from trainer.engines.refresh import report as refresh_report
from trainer.engines.refresh.continuation import Reference, around_former

JOB = "de-weekly-0123456789ab"
WINDOW = 150
PAID = ["tv_spend", "ooh_spend", "search_clicks", "social_impressions", "display_spend"]


def request(case: str, **changes: Any) -> ModelConfig:
    """A golden case's model, searched briefly, over all the data that it is given."""
    given = load(case).config.model_dump()
    given |= {"window": {}, "refresh_of": None}
    given["search"] = {**given["search"], "iterations": 60, "trials": 2, **changes.pop("search", {})}
    return ModelConfig.model_validate({**given, **changes})


def prophet(case: str, rows: slice) -> ProphetColumns:
    recorded = load(case).prophet
    return ProphetColumns(
        {name: values[rows] for name, values in recorded.components.items()},
        {name: values[rows] for name, values in recorded.factors.items()},
    )


def train(
    case: str, config: ModelConfig, rows: slice, folder: Path, former: Path | None = None
) -> tuple[Result, Beginning]:
    """As the engine does, on Robyn's prepared columns."""
    data = load(case).data[rows].reset_index(drop=True)
    begun = begin(data, config, former)
    inputs = prepare(data, begun.config, reference=begun.reference, prophet=prophet(case, rows))
    result = conclude(inputs, search(inputs, Plan.of(begun.config.search)))
    folder.mkdir()
    files.write(result, begun.config, folder)
    if begun.refresh:
        refresh_report.write(result.best.solution, begun.refresh, folder)
    return result, begun


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.csv", dtype={"solID": str})


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[Result, Beginning]]]:
    """A model of 150 weeks, its refresh with 6 more, and the refresh of that with 4 more."""
    folder, case = tmp_path_factory.mktemp("chain"), "weekly_geometric"
    first = request(case, window={"start": load(case).data["date"][0], "end": load(case).data["date"][149]})
    again = request(case, refresh_of=JOB)
    found = {"first": train(case, first, slice(0, 156), folder / "first")}
    found["second"] = train(case, again, slice(0, 156), folder / "second", folder / "first")
    found["third"] = train(case, again, slice(2, 160), folder / "third", folder / "second")
    return folder, found


def test_the_window_moves_on_by_rows_and_keeps_its_length(chain: Any) -> None:
    dates = load("weekly_geometric").data["date"]
    windows = [
        (result.inputs.window_dates[0], result.inputs.window_dates[-1]) for result, _ in chain[1].values()
    ]
    expected = [(dates[0], dates[149]), (dates[6], dates[155]), (dates[10], dates[159])]
    assert [(str(a), str(b)) for a, b in windows] == expected


@pytest.mark.parametrize(
    "case", ["weekly_geometric", "weekly_geometric_split", "weekly_penalty", "weekly_weibull_pdf"]
)
def test_every_candidate_is_near_the_former_model_and_judged_by_its_distance_to_it(
    case: str, tmp_path: Path
) -> None:
    """robyn-spec §16.4 and §8, computed here from the files that both results left."""
    train(case, request(case), slice(0, WINDOW), tmp_path / "former")
    result, _ = train(
        case, request(case, refresh_of=JOB), slice(0, 158), tmp_path / "new", tmp_path / "former"
    )
    best = json.loads((tmp_path / "former" / "best_model.json").read_text())
    old = read(tmp_path / "former", "pareto_hyperparameters").set_index("solID").loc[best["sol_id"]]
    asked, candidates = request(case), result.candidates
    ranges = {**asked.bounds, "lambda_hp": (0.0, 1.0)}
    ranges |= {name: (0.0, 1.0) for name in candidates if name.endswith("_penalty")}
    if asked.search.time_series_validation:
        ranges["train_size"] = asked.search.train_size
    for name, (low, high) in ranges.items():
        reach = 8 / 150 * (high - low)
        assert candidates[name].min() >= max(low, old[name] - reach) - 1e-9, name
        assert candidates[name].max() <= min(high, old[name] + reach) + 1e-9, name
        assert candidates[name].nunique() > 20, name
    before = read(tmp_path / "former", "pareto_aggregated")
    before = before[before["solID"] == best["sol_id"]].set_index("rn")["xDecompPerc"]
    for solution, table in read(tmp_path / "new", "pareto_aggregated").groupby("solID"):
        apart = (table.set_index("rn")["xDecompPerc"] - before) ** 2
        expected = np.sqrt(apart[PAID].mean()) + np.sqrt(apart.drop(PAID).mean()) / (1 - 8 / 150)
        stated = candidates.loc[candidates["solID"] == solution, "decomp.rssd"].item()
        assert stated == pytest.approx(expected, rel=1e-9)


def test_robyn_itself_proposes_the_same_and_finds_the_same_distances() -> None:
    """`robyn_run(refresh = TRUE)` with these ranges and this former model, every iteration."""
    recorded = read_recorded("weekly_refresh")
    config = request("weekly_geometric", **recorded["config"])
    given = recorded["prophet"]
    columns = {kind: {name: np.array(v) for name, v in given[kind].items()} for kind in given}
    inputs = prepare(
        load("weekly_geometric").data[: recorded["rows"]],
        config,
        reference=Reference(**recorded["reference"]),
        prophet=ProphetColumns(**columns),
    )
    result = conclude(inputs, search(inputs, Plan.of(config.search)))
    assert result.best.solution == recorded["best"]
    theirs = pd.DataFrame(recorded["models"])
    assert list(result.candidates["solID"]) == list(theirs["solID"])
    for name in theirs.columns.drop("solID"):
        np.testing.assert_allclose(
            result.candidates[name], theirs[name].astype(float), rtol=1e-9, err_msg=name
        )


def test_the_best_fit_near_to_the_former_model_is_the_best(chain: Any) -> None:
    for name in ("second", "third"):
        result, _ = chain[1][name]
        pareto = result.candidates[result.candidates["solID"].isin(result.pareto)]
        near = pareto[pareto["decomp.rssd"] <= 1.1 * pareto["decomp.rssd"].min()]
        assert result.best.candidate["nrmse"] == near["nrmse"].min()


def test_only_the_distance_leads_the_search_unless_the_request_weighs_otherwise(chain: Any) -> None:
    def weights(case: str, **changes: Any) -> tuple[float, ...] | None:
        config = request(case, refresh_of=JOB, **changes)
        return Plan.of(begin(load(case).data, config, chain[0] / "first").config.search).weights

    assert weights("weekly_geometric") == (0, 1)
    assert weights("weekly_calibrated") == (0, 1, 1)
    assert weights("weekly_geometric", search={"objective_weights": [2, 1]}) == (2, 1)


def test_the_reports_hold_the_whole_chain_each_period_once(chain: Any) -> None:
    folder, found = chain[0] / "third", chain[1]
    bests = [result.best for result, _ in found.values()]
    story = json.loads((folder / "refresh.json").read_text())
    assert story["models"] == [{"job": JOB, "sol_id": best.solution} for best in bests[:2]]
    assert (story["steps"], story["window"]["rows"], story["bounds_freedom"]) == (4, 150, 4 / 150)
    assert list(read(folder, "report_hyperparameters")["solID"]) == [best.solution for best in bests]
    decomposition = read(folder, "report_alldecomp_matrix")
    assert list(decomposition["ds"]) == list(load("weekly_geometric").data["date"][:160])
    assert decomposition["refreshStatus"].value_counts().to_dict() == {0: 150, 1: 6, 2: 4}
    for status, (best, rows) in enumerate(zip(bests, (150, 6, 4), strict=True)):
        part = decomposition[decomposition["refreshStatus"] == status]
        np.testing.assert_allclose(part["depVarHat"], best.fitted[-rows:], rtol=1e-12)
        aggregated = read(folder, "report_aggregated").query(f"refreshStatus == {status}").set_index("rn")
        new = best.contributions.iloc[-rows:].sum()
        np.testing.assert_allclose(aggregated["xDecompAggRF"], new[aggregated.index], rtol=1e-9, atol=1e-6)
        assert aggregated["xDecompPercRF"].sum() == pytest.approx(1)


@pytest.mark.filterwarnings("error")
def test_the_chain_is_drawn(chain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, (_, begun) = chain[0] / "third", chain[1]["third"]
    note = Annotation.model_validate({"date": begun.config.window.end, "text": "relaunch"})
    units: list[str] = []
    monkeypatch.setattr(style, "amounts", lambda _, unit: units.append(unit))
    refresh_picture.draw(begun.config.model_copy(update={"annotations": [note]}), folder)
    assert units == ["revenue per week", "ROAS over the model's window"]
    for name in ("report_actual_fitted", "report_decomposition"):
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.width == 2240
            assert len(np.unique(np.asarray(picture.convert("L")))) > 20  # not an empty page


def test_another_pareto_model_can_be_continued_and_the_freedom_stated(chain: Any) -> None:
    folder, found = chain
    other = next(one for one in found["second"][0].pareto if one != found["second"][0].best.solution)
    refresh = {"job": JOB, "solution": other, "bounds_freedom": 0.01}
    data = load("weekly_geometric").data[:160]
    begun = begin(data, request("weekly_geometric", refresh_of=refresh), folder / "second")
    value = found["second"][0].candidates.set_index("solID").loc[other, "ooh_spend_alphas"]
    assert begun.config.bounds["ooh_spend_alphas"] == pytest.approx((value - 0.025, value + 0.025))


@pytest.mark.parametrize(
    ("value", "bounds", "expected"),
    [
        (0.79, (0.0, 0.8), (0.758, 0.8)),  # robyn-spec, appendix A
        (0.5, (0.0, 1.0), (0.46, 0.54)),
        (2.0, (2.0, 2.0), (2.0, 2.0)),  # fixed by the request; Robyn frees it
        (0.9, (0.0, 0.8), (0.768, 0.8)),  # the request's range is another one now
    ],
)
def test_ranges_around_a_former_value(value: float, bounds: tuple[float, float], expected: Any) -> None:
    assert around_former(value, bounds, 0.04) == pytest.approx(expected)


def test_months_of_different_lengths_do_not_make_the_window_drift(tmp_path: Path) -> None:
    data = load("weekly_geometric").data.copy()
    data["date"] = pd.date_range("2005-01-01", periods=len(data), freq="MS").astype(str)
    config = request("weekly_geometric", prophet={"components": ["trend", "season"]})
    columns = prophet("weekly_geometric", slice(0, 60))
    columns = ProphetColumns(
        {name: columns.components[name] for name in ("trend", "season")}, columns.factors
    )
    inputs = prepare(data[:60], config, prophet=columns)
    begun = begin(data[:60], config, None)
    files.write(conclude(inputs, search(inputs, Plan.of(begun.config.search))), config, tmp_path)
    refresh = config.model_copy(update={"refresh_of": request("weekly_geometric", refresh_of=JOB).refresh_of})
    window = begin(data[:67], refresh, tmp_path).config.window
    assert (str(window.start), str(window.end)) == ("2005-08-01", "2010-07-01")


def test_changed_sums_and_much_new_data_are_told(chain: Any) -> None:
    data = load("weekly_geometric").data.copy()
    data.loc[20, "tv_spend"] += 1000.0
    data.loc[30, "revenue"] += 12_345.0
    begun = begin(data[:156], request("weekly_geometric", refresh_of=JOB), chain[0] / "first")
    revenue, spend = begun.refresh.notes
    assert revenue.startswith(f"revenue has changed from {data['date'][0]} to {data['date'][149]}")
    assert spend.startswith("tv_spend has changed")
    told = begin(data[20:], request("weekly_geometric", refresh_of=JOB), chain[0] / "first").refresh.notes
    assert "do not hold all of the former window" in told[0]
    half = begin(
        load("weekly_geometric").data, request("weekly_geometric", refresh_of=JOB), former_of(chain, 150)
    )
    assert half.refresh.notes[0].startswith("52% of the window is new")


def former_of(chain: Any, rows: int) -> Path:
    """The first result as if its window had so many rows and had ended 78 weeks before the data do."""
    folder, dates = chain[0] / f"of {rows}", load("weekly_geometric").data["date"]
    copytree(chain[0] / "first", folder)
    best = json.loads((folder / "best_model.json").read_text())
    best["window"] = {"start": dates[0], "end": dates[len(dates) - 79], "rows": rows}
    (folder / "best_model.json").write_text(json.dumps(best))
    return folder


def test_everything_that_does_not_continue_the_former_model_is_told_at_once(chain: Any) -> None:
    config = request(
        "weekly_geometric",
        refresh_of={"job": JOB, "solution": "9_9_9"},
        adstock="weibull_cdf",
        hyperparameters={},
        prophet={"components": ["trend", "season"]},
    )
    data = load("weekly_geometric").data
    with pytest.raises(InvalidInputs) as caught:
        begin(data[:150], config, chain[0] / "first")
    lines = str(caught.value).splitlines()
    for words in ("must hold newer periods", "9_9_9", "tv_spend_shapes", "'holiday' is only in the former"):
        assert [line for line in lines if words in line and line.startswith("refresh_of: ")], words
    config = request("weekly_geometric", refresh_of=JOB)
    for folder, rows, words in (
        (chain[0] / "first", slice(155, 175), "not a date of"),
        (chain[0] / "first", slice(140, 156), "deliver older"),
        (former_of(chain, 50), slice(None), "78 periods are new, the window has 50; train a new model"),
    ):
        with pytest.raises(InvalidInputs, match=words):
            begin(data[rows], config, folder)
    with pytest.raises(InvalidInputs, match="does not exist any more"):
        begin(data, config, None)


def test_the_document_of_a_refreshed_model_recreates_it(chain: Any) -> None:
    folder, found = chain
    document = json.loads((folder / "second" / "model.json").read_text())
    again = recreate(load("weekly_geometric").data[:156], document)
    best = found["second"][0].best
    assert again.best.candidate["decomp.rssd"] == pytest.approx(best.candidate["decomp.rssd"], rel=1e-9)
    np.testing.assert_allclose(again.best.fitted, best.fitted, rtol=1e-9)
