from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from contracts.request import SETTINGS_FIELDS, TrainRequest, parse_settings
from infra.local import demo_data
from infra.local.demo_data import CHANNELS, ORGANIC, PAID


@pytest.mark.parametrize(("seed", "weeks", "country"), [(7, 208, "DE"), (11, 156, "AT")])
def test_the_truth_adds_up_to_revenue(seed: int, weeks: int, country: str) -> None:
    data = demo_data.generate(seed, weeks, country)
    parts = data.components
    assert len(data.table) == weeks
    np.testing.assert_allclose(parts.sum(axis=1), data.table["revenue"], atol=0.01)
    baseline = parts[["trend", "season", "holiday", "competitor_sales", "promotion"]].to_numpy().sum()
    total = baseline + sum(data.contributions.values()) + parts["noise"].sum()
    assert total == pytest.approx(data.table["revenue"].sum(), abs=1)


def test_contributions_and_roas_are_those_of_the_components() -> None:
    data = demo_data.generate()
    assert set(data.contributions) == {channel.name for channel in CHANNELS}
    for channel in CHANNELS:
        assert data.contributions[channel.name] == pytest.approx(data.components[channel.name].sum())
        assert data.contributions[channel.name] / data.table[channel.name].sum() == pytest.approx(
            channel.effect
        )
    assert data.roas == pytest.approx({channel.name: channel.effect for channel in PAID})


def test_the_figures_are_those_of_a_real_shop() -> None:
    table = demo_data.generate().table
    spend = table[[channel.name for channel in PAID]]
    assert table["revenue"].between(700_000, 2_200_000).all()
    assert 0.05 < spend.to_numpy().sum() / table["revenue"].sum() < 0.15
    assert (spend >= 0).all().all()
    assert spend.corr().abs().where(~np.eye(len(PAID), dtype=bool)).max().max() < 0.4, "channels must differ"
    for channel in (*PAID, ORGANIC):
        assert 0.04 < (table[channel.name] == 0).mean() < 0.85, f"{channel.name} must pause now and then"
    assert set(table["promotion"]) == set(demo_data.PROMOTIONS)
    assert (table["date"].dt.day_of_week == 0).all()
    assert (table["date"].diff().dropna() == pd.Timedelta(weeks=1)).all()


def test_equal_seeds_give_equal_data_and_others_do_not() -> None:
    pd.testing.assert_frame_equal(demo_data.generate(3).table, demo_data.generate(3).table)
    assert not demo_data.generate(3).table.equals(demo_data.generate(4).table)


def test_the_requests_are_valid_and_name_columns_that_exist() -> None:
    table = demo_data.generate().table
    request = TrainRequest.model_validate(demo_data.demo_request("demo-1"))
    assert {name for _, name in request.columns.roles()} == set(table.columns)
    TrainRequest.model_validate(demo_data.bad_request("demo-bad"))
    assert demo_data.bad_request("x")["source"] != demo_data.demo_request("x")["source"]


def test_the_settings_complete_an_upload() -> None:
    settings = parse_settings(demo_data.demo_settings(iterations=50).encode())
    assert set(settings) <= SETTINGS_FIELDS
    source = {"kind": "object", "name": "drop-zone/AT/sales.csv"}
    request = TrainRequest.model_validate({**settings, "request_id": "upload", "source": source})
    assert (request.country, request.prophet.holiday_country, request.search.iterations) == ("AT", "AT", 50)


def test_the_csv_reads_back_as_the_table() -> None:
    data = demo_data.generate(11, country="AT")
    text = demo_data.demo_csv(data)
    assert text.splitlines()[1].count(b";") == len(data.table.columns) - 1
    assert b"," in text.splitlines()[1]
    again = pd.read_csv(io.BytesIO(text), sep=";", decimal=",", parse_dates=["date"])
    pd.testing.assert_frame_equal(again, data.table, check_dtype=False)


def test_the_bad_table_is_wrong_in_exactly_four_ways() -> None:
    table = demo_data.generate().table
    bad = demo_data.bad_table(table)
    assert set(table.columns) - set(bad.columns) == {"print_spend"}
    assert bad["date"].duplicated().sum() == 1
    assert [name for name in bad.select_dtypes("number").columns if (bad[name] < 0).any()] == ["tv_spend"]
    assert (bad["tv_spend"] < 0).sum() == 1
    assert pd.to_numeric(bad["competitor_sales"], errors="coerce").isna().sum() == 1
    assert bad.drop(columns="competitor_sales").notna().all().all()
