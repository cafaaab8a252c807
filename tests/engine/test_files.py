"""The files of a result: what people and programs find in them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from contracts.model import Annotation, ModelConfig
from contracts.result import BestModel
from tests.engine.golden import load, trained
from trainer.engines.native import files, outputs
from trainer.engines.native.pictures import onepager
from trainer.engines.native.prepare.prophet_columns import ProphetColumns
from trainer.engines.native.result import Result
from trainer.engines.native.training import fit
from trainer.engines.tables import add_parquet, read_csv, read_table, write_csv

ROOT = Path(__file__).parents[2]
PAID = ["tv_spend", "ooh_spend", "search_spend", "social_spend", "display_spend"]


@pytest.fixture(scope="module")
def result() -> Result:
    return trained("weekly_geometric_split")[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, result: Result) -> Path:
    folder = tmp_path_factory.mktemp("result")
    files.write(result, load("weekly_geometric_split").config, folder)
    return folder


@pytest.fixture(scope="module")
def best(folder: Path) -> dict:
    return read_json(folder)


def read_json(folder: Path) -> dict:
    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is not JSON")

    return json.loads((folder / "best_model.json").read_text(encoding="utf-8"), parse_constant=refuse)


def test_every_file_is_in_the_documented_list(folder):
    documented = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    written = {path.name for path in folder.iterdir() if not path.name.startswith("RobynModel-")}
    assert written == {
        "models.parquet",
        "pareto_hyperparameters.csv",
        "pareto_aggregated.csv",
        "pareto_alldecomp_matrix.parquet",
        "pareto_clusters.csv",
        "pareto_clusters_ci.csv",
        "best_model.json",
        "model.json",
    }
    for name in written:
        assert f"`{name}`" in documented


def test_models_holds_every_candidate_with_its_coefficients(folder, result):
    models = pd.read_parquet(folder / "models.parquet")
    assert len(models) == 120
    assert models["solID"].is_unique
    best = models.set_index("solID").loc[result.best.solution]
    for name, coefficient in zip(result.best.summary["rn"], result.best.summary["coef"], strict=True):
        assert best[f"{name}_coef"] == pytest.approx(coefficient, rel=1e-12)


def test_pareto_tables_have_the_columns_that_users_of_robyn_know(folder, result):
    hyperparameters = pd.read_csv(folder / "pareto_hyperparameters.csv")
    assert list(hyperparameters["solID"]) == list(result.pareto)
    known = [
        *(
            "tv_spend_alphas",
            "train_size",
            "tv_spend_inflexion",
            "tv_spend_inflation",
            "rsq_train",
            "nrmse_val",
        ),
        *(
            "nrmse",
            "decomp.rssd",
            "mape",
            "lambda",
            "lambda_hp",
            "lambda_max",
            "lambda_min_ratio",
            "pos",
            "solID",
        ),
        *("trial", "iterNG", "iterPar", "iterations", "coef0", "mape.qt10", "robynPareto", "error_score"),
        *("cluster", "top_sol"),
    ]
    assert [name for name in hyperparameters if name in known] == known
    aggregated = pd.read_csv(folder / "pareto_aggregated.csv")
    known = [
        "rn",
        "coef",
        "xDecompAgg",
        "xDecompPerc",
        "spend_share",
        "total_spend",
        "effect_share",
        "roi_total",
    ]
    assert {*known, "cpa_total", "carryover_pct", "solID", "robynPareto"} < set(aggregated)
    assert len(aggregated) == len(result.pareto) * (1 + len(result.inputs.columns))


def test_the_decomposition_of_every_pareto_model_adds_up(folder, result):
    table = read_table(folder, "pareto_alldecomp_matrix")
    inputs = result.inputs
    assert list(table) == [
        "ds",
        "dep_var",
        *inputs.columns,
        "intercept",
        "depVarHat",
        "solID",
        "cluster",
        "top_sol",
    ]
    assert (table.groupby("solID").size() == len(inputs.window_dates)).all()
    assert set(table["solID"]) == set(result.pareto)
    parts = table[[*inputs.columns, "intercept"]].sum(axis=1)
    np.testing.assert_allclose(parts, table["depVarHat"], rtol=1e-12)
    totals = table.groupby("solID")[list(inputs.columns)].sum().stack()
    expected = pd.read_csv(folder / "pareto_aggregated.csv").set_index(["solID", "rn"])["xDecompAgg"]
    np.testing.assert_allclose(totals, expected.loc[totals.index], rtol=1e-9, atol=1e-6)


def test_contributions_of_the_best_model_add_up_to_its_prediction(best, folder):
    table = read_table(folder, "pareto_alldecomp_matrix")
    table = table[table["solID"] == best["sol_id"]]
    totals = best["totals"]
    assert totals["predicted"] == pytest.approx(table["depVarHat"].sum(), rel=1e-12)
    assert totals["actual"] == pytest.approx(table["dep_var"].sum(), rel=1e-12)
    assert totals["baseline"] + totals["media"] == pytest.approx(totals["predicted"], rel=1e-12)
    contributions = best["contributions"]
    assert sum(part["contribution"] for part in contributions) == pytest.approx(
        totals["predicted"], rel=1e-12
    )
    assert sum(part["share"] for part in contributions) == pytest.approx(1)
    assert {part["kind"] for part in contributions} == {"intercept", "prophet", "context", "paid", "organic"}


def test_best_model_answers_what_each_channel_cost_and_earned(best):
    channels = {channel["name"]: channel for channel in best["channels"]}
    assert list(channels) == [*PAID, "newsletter_sends"]
    paid = [channels[name] for name in PAID]
    assert sum(channel["spend_share"] for channel in paid) == pytest.approx(1)
    assert sum(channel["effect_share"] for channel in paid) == pytest.approx(1)
    data = load("weekly_geometric_split").data
    data = data[data["date"].between(best["window"]["start"], best["window"]["end"])]
    for channel in paid:
        assert channel["spend"] == pytest.approx(data[channel["name"]].sum(), rel=1e-12)
        assert channel["roas"] == pytest.approx(channel["response"] / channel["spend"], rel=1e-12)
        assert "cpa" not in channel
    assert channels["search_spend"]["modelled"] == "search_clicks"
    assert "spend" not in channels["newsletter_sends"]


def test_the_marginal_roas_is_the_slope_of_the_curve_at_todays_spend(best):
    for channel in (channel for channel in best["channels"] if channel["paid"]):
        curve = channel["curve"]
        slope = np.gradient(curve["response"], curve["value"])
        expected = np.interp(curve["mean_value"], curve["value"], slope)
        assert channel["marginal_roas"] == pytest.approx(expected, rel=0.02, abs=1e-6)


def test_best_model_is_what_the_contract_reads(best, result):
    read = BestModel.model_validate(best)
    assert read.sol_id == result.best.solution
    assert read.validation.nrmse == pytest.approx(read.nrmse)
    assert [channel.name for channel in read.channels] == [*PAID, "newsletter_sends"]
    assert best["candidates"] == 120
    assert best["pareto_models"] == len(result.pareto)


def test_without_validation_and_without_effect_there_is_null_instead_of_a_number(tmp_path):
    """Conversions that fall with the spend: the channel gets no effect, its CPA has no value."""
    dates = pd.date_range("2022-01-03", periods=104, freq="W-MON")
    spend = np.random.default_rng(3).gamma(2, 500, 104)
    data = pd.DataFrame({"week": dates, "orders": 9000 - spend, "tv": spend, "radio": spend[::-1]})
    columns = {
        "date": "week",
        "dependent": "orders",
        "dependent_type": "conversion",
        "paid_media": ["tv", "radio"],
    }
    prophet = ProphetColumns({"trend": np.linspace(1, 2, 104)}, {})
    config = ModelConfig.model_validate(
        {"columns": columns, "prophet": {"components": ["trend"]}, "search": {"iterations": 40, "trials": 1}}
    )
    result = fit(data, config, prophet=prophet)
    files.write(result, config, tmp_path)
    onepager.draw(result, config, tmp_path / "onepager.png", "No effect")
    best = read_json(tmp_path)
    tv = best["channels"][0]
    assert (tv["response"], tv["cpa"], tv["marginal_cpa"], tv["immediate_share"]) == (0, None, None, None)
    assert "roas" not in tv
    assert best["test"] == {"r2": None, "nrmse": None, "rows": 0}
    assert best["train"]["rows"] == 104


def test_calibration_adds_the_lift_of_every_pareto_model(tmp_path):
    result, config = trained("weekly_calibrated")
    files.write(result, config, tmp_path)
    table = pd.read_csv(tmp_path / "pareto_calibration.csv")
    assert len(table) == len(result.pareto) * len(config.calibration)
    assert {"rn", "liftAbs", "decompAbsScaled", "mape_lift", "solID"} <= set(table)
    assert "`pareto_calibration.csv`" in (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def test_a_result_keeps_its_annotations_and_has_every_table_as_parquet_too(tmp_path):
    result, config = trained("weekly_calibrated")
    notes = [
        Annotation(date=date(2022, 3, 7), text='5 $ off, "now"'),
        Annotation(date=date(2023, 1, 1), text="Übergabe"),
    ]
    config = config.model_copy(update={"annotations": notes})
    outputs.write(result, config, tmp_path)
    assert list(pd.read_csv(tmp_path / "annotations.csv")["text"]) == [one.text for one in notes]
    tables = {path.stem for path in tmp_path.glob("*.csv")}
    assert len(tables) == 6
    for name in tables:
        text = pd.read_csv(tmp_path / f"{name}.csv")
        typed = pd.read_parquet(tmp_path / f"{name}.parquet")
        assert list(typed) == list(text)
        for column in text:
            if pd.api.types.is_numeric_dtype(text[column]) and text[column].dtype != bool:
                np.testing.assert_array_equal(typed[column].to_numpy(dtype=float), text[column])
            else:
                assert list(typed[column].astype(str)) == list(text[column].astype(str))
    documents = {path.name for path in tmp_path.glob("*.json")}
    assert documents == {
        "best_model.json",
        "model.json",
        "figures.json",
        *(f"{kind}-{one}.json" for kind in ("RobynModel", "figures") for one in result.other_winners),
    }


def test_text_that_a_spreadsheet_would_run_is_text_in_csv_and_itself_in_parquet(tmp_path):
    cells = ["=1+1", "+x", "-promo", "@a", "'=1", "plain", "it's", None]
    table = pd.DataFrame({"text": cells, "-spend": [-1.5] * len(cells)})
    write_csv(table, tmp_path / "notes.csv")
    assert (tmp_path / "notes.csv").read_text().replace('"', "").splitlines() == [
        *("text,'-spend", "'=1+1,-1.5", "'+x,-1.5", "'-promo,-1.5", "'@a,-1.5"),
        *("''=1,-1.5", "plain,-1.5", "it's,-1.5", ",-1.5"),
    ]
    add_parquet(tmp_path)
    for frame in (pd.read_parquet(tmp_path / "notes.parquet"), read_csv(tmp_path / "notes.csv")):
        assert frame["text"].dropna().tolist() == cells[:-1]
        assert frame["-spend"].tolist() == [-1.5] * len(cells)


def test_parquet_types_depend_on_the_column_not_on_what_it_happens_to_hold(tmp_path):
    head = '"","rn","solID","ds","pos","cluster","roi_total","mean_exposure"\n'
    (tmp_path / "whole.csv").write_text(f'{head}"1","tv","1_1_1","2024-01-01",TRUE,1,2,NA\n')
    (tmp_path / "broken.csv").write_text(f'{head}"1","7","1_1_1",2024-01-01,FALSE,NA,-Inf,0.5\n')
    (tmp_path / "pareto_x_matrix.csv").write_text('"ds","rn","n","solID"\n2024-01-01,1.5,2.5,1_1_1\n')
    add_parquet(tmp_path)
    types = {name: pq.read_schema(tmp_path / f"{name}.parquet") for name in ("whole", "broken")}
    assert types["whole"] == types["broken"]
    assert [str(kind) for kind in types["whole"].types] == [
        *("string", "string", "date32[day]", "bool", "int64", "double", "double")
    ]
    own = pd.read_parquet(tmp_path / "pareto_x_matrix.parquet")
    assert own[["rn", "n"]].to_numpy().tolist() == [[1.5, 2.5]]
