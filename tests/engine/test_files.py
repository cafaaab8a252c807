"""The files of a result: what people and programs find in them."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure
from PIL import Image

from contracts.model import Annotation, ModelConfig
from contracts.summary import BestModel
from tests.engine.golden import load
from trainer.engines.native import files, notes, onepager, outputs, style
from trainer.engines.native.fit import fit
from trainer.engines.native.prophet_columns import ProphetColumns
from trainer.engines.native.result import Result
from trainer.engines.tables import add_parquet

ROOT = Path(__file__).parents[2]
PAID = ["tv_spend", "ooh_spend", "search_spend", "social_spend", "display_spend"]


def trained(case: str) -> tuple[Result, ModelConfig]:
    """A short search on Robyn's prepared columns."""
    golden = load(case)
    config = golden.config.model_dump()
    config["search"] |= {"iterations": 60, "trials": 2}
    model = ModelConfig.model_validate(config)
    return fit(golden.data, model, prophet=golden.prophet), model


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
        "pareto_alldecomp_matrix.csv",
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
    table = pd.read_csv(folder / "pareto_alldecomp_matrix.csv")
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
    table = pd.read_csv(folder / "pareto_alldecomp_matrix.csv")
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


def test_the_one_pager_opens_and_is_large_enough_to_read(tmp_path, result):
    path = tmp_path / "onepager.png"
    onepager.draw(result, load("weekly_geometric_split").config, path, "Germany, 2024")
    with Image.open(path) as picture:
        picture.verify()
        assert picture.format == "PNG"
        assert picture.width >= 2000
        assert 1.4 < picture.width / picture.height < 1.9
    darkest, lightest = Image.open(path).convert("L").getextrema()
    assert (darkest < 60, lightest) == (True, 255)


def test_the_one_pager_grows_with_many_channels_of_any_name(tmp_path):
    rng = np.random.default_rng(1)
    names = [f"Display_Programmatic_Retargeting_{i}_Northern_Germany_$cost$_{{i}}^" for i in range(20)]
    data = pd.DataFrame({name: rng.gamma(2, 1000, 120) for name in names})
    data["week"] = pd.date_range("2022-01-03", periods=120, freq="W-MON")
    data["sales"] = 50_000 + 2 * data[names[3]] + data[names[7]] + rng.normal(0, 500, 120)
    columns = {"date": "week", "dependent": "sales", "dependent_type": "revenue", "paid_media": names}
    config = ModelConfig.model_validate(
        {"columns": columns, "prophet": {"components": ["trend"]}, "search": {"iterations": 40, "trials": 1}}
    )
    result = fit(data, config, prophet=ProphetColumns({"trend": np.linspace(1, 2, 120)}, {}))
    onepager.draw(
        result, config, tmp_path / "onepager.png", "A title that is much longer than the page is wide " * 3
    )
    with Image.open(tmp_path / "onepager.png") as picture:
        assert picture.height > picture.width * 0.9


def test_twenty_channels_have_twenty_colours_whatever_the_model():
    channels = [f"channel {i}" for i in range(20)]
    colours = style.channel_colours(channels)
    assert len(set(colours.values())) == 20


AMOUNTS = {0: "0", -0.001: "0", 0.842: "0.84", 12.34: "12.3", 345_678: "346k", 999_900: "1M", 1.2e6: "1.2M"}


@pytest.mark.parametrize(("value", "text"), [*AMOUNTS.items(), (-785_000, "-785k"), (float("inf"), "–")])
def test_amounts_are_short(value, text):
    assert style.amount(value) == text


def test_long_names_are_shortened_and_stay_different():
    names = [
        f"Online_Video_YouTube_{aim}_{market}_spend"
        for aim in ("Prospecting", "Retargeting")
        for market in "AB"
    ]
    short = {style.label(name) for name in names}
    assert len(short) == 4
    assert max(map(len, short)) <= 34


def test_names_beside_curves_do_not_overlap():
    placed = style.spread([0.5, 0.51, 0.52, 9.9, 10.0], 1.0, 0.0, 10.0)
    assert np.diff(placed).min() >= 1.0 - 1e-12
    assert min(placed) >= 0
    assert max(placed) <= 10


def note(day: str, text: str) -> Annotation:
    return Annotation.model_validate({"date": day, "text": text})


FEW = [
    note("2022-03-07", "relaunch of the shop, new prices for everything we sell"),
    note("2022-03-14", "5 $ off, then 10 $ off"),
    note("2023-12-28", "a text at the edge that has no room on its right"),
    note("2024-06-01", "after the axis"),
]
MANY = [note(f"2023-{month:02d}-{day:02d}", f"event {day}") for month in range(1, 13) for day in range(1, 28)]


@pytest.mark.parametrize(("annotations", "drawn"), [([], 0), (FEW, 3), (FEW + MANY, 3 + len(MANY))])
def test_annotations_are_lines_on_the_time_axis_with_labels_that_do_not_overlap(annotations, drawn):
    figure = Figure(figsize=(8, 3))
    axes = figure.add_subplot()
    dates = pd.date_range("2022-01-03", "2024-01-01", freq="W-MON")
    (line,) = axes.plot(dates, np.sin(np.arange(len(dates))))
    notes.labelled(axes, annotations, 0.3)
    assert len(axes.get_lines()) == 1 + drawn
    figure.draw_without_rendering()
    labels = [label.get_window_extent() for label in axes.texts]
    texts = [label.get_text() for label in axes.texts]
    assert not any(one.overlaps(other) for one, other in combinations(labels, 2))
    frame, data = axes.get_window_extent(), line.get_window_extent()
    for label in labels:
        assert frame.x0 <= label.x0
        assert label.x1 <= frame.x1 + 1
        assert data.y1 <= label.y0
        assert label.y1 <= frame.y1 - 0.3 * figure.dpi + 1
    assert len(labels) == (3 if annotations == FEW else len(labels))
    assert any("more in annotations.csv" in text for text in texts) == (drawn > 3)
    assert "after the axis" not in texts


def test_a_result_keeps_its_annotations_and_has_every_table_as_parquet_too(tmp_path):
    result, config = trained("weekly_calibrated")
    config = config.model_copy(update={"annotations": FEW})
    outputs.write(result, config, tmp_path)
    assert list(pd.read_csv(tmp_path / "annotations.csv")["text"]) == [one.text for one in FEW]
    tables = {path.stem for path in tmp_path.glob("*.csv")}
    assert len(tables) == 7
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
        *(f"RobynModel-{solution}.json" for solution in result.other_winners),
    }


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
