"""Data with a row per period and region: what each region gets, their totals, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from contracts.request import TrainRequest
from tests.data.cases import only, request, validated, weekly

REGIONS = ("North", "South", "West")


def by_region(rows: int = 104, **fields: Any) -> pd.DataFrame:
    """`weekly` three times, with sales and spends of their own, events in common."""
    parts = []
    for number, name in zip((1, 2, 4), REGIONS, strict=True):
        part = weekly(rows, **fields)
        part["Revenue"] = (part["Revenue"] * number).round(2)
        part["tv_S"] = part["tv_S"].to_numpy()[::-1] * number
        part["Competitor"] = part["Competitor"] + 100 * number
        parts.append(part.assign(area=name))
    return pd.concat(parts, ignore_index=True)


def asked(columns: dict[str, Any] | None = None, **fields: Any) -> TrainRequest:
    return request({"region": "area", **(columns or {})}, **fields)


def test_totals_are_sums_and_means_and_each_region_stays_as_it_was() -> None:
    frame = by_region()
    prepared = validated(frame.sample(frac=1, random_state=1), asked())
    assert prepared.table is not None
    assert prepared.regions is not None
    total, parts = prepared.table.to_pandas(), prepared.regions.to_pandas()
    grouped = frame.groupby("DATE")
    for name in ("Revenue", "tv_S", "Search_S", "Search_Clicks", "newsletter"):
        assert np.allclose(total[name], grouped[name].sum())
    assert np.allclose(total["Competitor"], grouped["Competitor"].mean())
    assert list(total["events"]) == list(grouped["events"].first())
    assert "area" not in total
    assert prepared.report.regions == list(REGIONS)
    for name, part in parts.groupby("area"):
        source = frame[frame["area"] == name].reset_index(drop=True)
        for column in ("Revenue", "tv_S", "Competitor", "newsletter"):
            assert np.allclose(part[column], source[column])


def test_a_context_column_is_added_up_as_the_request_says() -> None:
    frame = by_region()
    prepared = validated(frame, asked(resample={"aggregate": {"Competitor": "max"}}))
    assert prepared.table is not None
    assert np.allclose(prepared.table.to_pandas()["Competitor"], frame.groupby("DATE")["Competitor"].max())


def test_days_of_regions_become_weeks_of_regions() -> None:
    frame = by_region(rows=7 * 60, start="2023-01-02", days=1)
    prepared = validated(frame, asked(resample={"interval": "week"}))
    assert prepared.regions is not None
    assert prepared.table is not None
    assert (prepared.regions.num_rows, prepared.table.num_rows) == (3 * 60, 60)
    north = prepared.regions.to_pandas().query("area == 'North'")
    assert north["Revenue"].iloc[0] == pytest.approx(frame["Revenue"].iloc[:7].sum())


def test_a_lag_and_an_interpolation_stay_within_their_region() -> None:
    frame = by_region()
    south = frame.index[frame["area"] == "South"]
    frame.loc[south[1], "Competitor"] = np.nan
    lag = {"op": "lag", "name": "before", "of": "Competitor", "periods": 1}
    prepared = validated(
        frame,
        asked({"context": ["Competitor", "before"]}, derived=[lag], missing={"context": "interpolate"}),
    )
    assert prepared.regions is not None
    found = prepared.regions.to_pandas().query("area == 'South'")
    assert found["before"].iloc[0] == 0
    assert found["Competitor"].iloc[1] == pytest.approx(frame.loc[south[[0, 2]], "Competitor"].mean())


def test_periods_that_a_region_lacks_are_an_error_that_names_them() -> None:
    frame = by_region().drop(index=[3, 104 + 50, 104 + 51])
    finding = only(validated(frame, asked()), "region-gap")
    assert "North has none for 2023-01-23" in finding.message
    assert "South has none for 2023-12-18, 2023-12-25" in finding.message


def test_a_factor_that_differs_within_a_date_is_an_error_with_advice() -> None:
    frame = by_region()
    frame.loc[4, "events"] = "local"
    finding = only(validated(frame, asked()), "region-factor")
    assert "2023-01-30" in finding.message
    assert "context column of 0 and 1" in finding.advice


def test_a_row_of_totals_among_the_regions_is_found() -> None:
    frame = by_region()
    rules = dict.fromkeys(("Revenue", "tv_S", "Search_S", "Search_Clicks", "newsletter"), "sum")
    total = frame.groupby("DATE", as_index=False).agg({**rules, "Competitor": "mean", "events": "first"})
    finding = only(validated(pd.concat([frame, total.assign(area="All")]), asked()), "region-total")
    assert "'All'" in finding.message


def test_the_same_finding_of_several_regions_is_one_that_names_them() -> None:
    frame = by_region()
    frame.loc[[0, 104], "tv_S"] = -5.0
    finding = only(validated(frame, asked()), "negative-media")
    assert (finding.rows, finding.message.endswith("[North, South]")) == ([1, 105], True)


def test_a_row_without_a_region_and_two_rows_of_one_date_are_errors() -> None:
    frame = by_region()
    frame.loc[2, "area"] = None
    assert only(validated(frame, asked()), "missing-region").rows == [3]
    twice = pd.concat([by_region(), by_region().iloc[[0]].assign(Revenue=1.0)])
    assert "[North]" in only(validated(twice, asked()), "duplicate-date").message


def test_a_region_without_sales_and_media_is_left_out_and_named() -> None:
    frame = by_region()
    media = ["tv_S", "Search_S", "Search_Clicks", "newsletter"]
    frame.loc[frame["area"] == "South", ["Revenue", *media]] = 0
    frame = frame.drop(index=104)  # a week that the region lacks does not matter then
    prepared = validated(frame, asked())
    assert prepared.report.regions == ["North", "West"]
    assert "South" in only(prepared, "empty-region").message
    frame.loc[150, "tv_S"] = 5
    assert "South has none for 2023-01-02" in only(validated(frame, asked()), "region-gap").message


def test_a_request_cannot_use_the_country_column_as_region() -> None:
    with pytest.raises(ValidationError, match="is the country_column"):
        asked(country_column="area", country_value="North")
    with pytest.raises(ValidationError, match=r"resample\.interval: is missing"):
        request(resample={"aggregate": {}})


def test_a_budget_question_names_a_region_of_the_data() -> None:
    assert validated(by_region(), asked(budget={"region": "South"})).table is not None
    finding = only(validated(by_region(), asked(budget={"region": "south"})), "budget-region")
    assert "budget.region 'south'" in finding.message
    assert "North, South, West" in finding.message
    spaced = by_region().replace({"area": {"South": "South \u00a0 coast", "West": "a/b & <c>"}})
    for name in ("South coast", "South  coast", "a/b & <c>"):
        assert validated(spaced, asked(budget={"region": name})).table is not None
    off = {"posterior": "off", "search": {"best_by": "error_score"}}
    assert (
        "posterior: off"
        in only(validated(by_region(), asked(budget={"by_region": True}, **off)), "budget-region").advice
    )
    with pytest.raises(ValidationError, match=r"budget\.by_region: columns\.region names no column"):
        request(budget={"by_region": True})
    with pytest.raises(ValidationError, match="region: not used with by_region"):
        asked(budget={"by_region": True, "region": "South"})
    plans = {"region_plans": {"more": {"Suoth": {"tv_S": "+5 %"}}}}
    finding = only(validated(by_region(), asked(budget={"by_region": True, **plans})), "budget-region")
    assert "budget.region_plans.more: Suoth: no region of the data" in finding.message
    with pytest.raises(ValidationError, match="region_plans: only used with by_region: true"):
        asked(budget=plans)


def test_a_study_of_a_region_is_compared_with_that_region() -> None:
    frame = by_region()
    spent = float(frame.query("area == 'South'")["tv_S"].iloc[9:13].sum())
    days = frame["DATE"].iloc[[9, 12]]
    study = {"channels": ["tv_S"], "start": days.iloc[0], "end": days.iloc[1], "lift": 100, "confidence": 0.9}
    fits = {**study, "region": "South", "spend": spent}
    assert validated(frame, asked(calibration=[fits])).table is not None
    finding = only(validated(frame, asked(calibration=[{**fits, "region": "North"}])), "study-spend")
    assert "calibration[0]" in finding.message
    finding = only(validated(frame, asked(calibration=[{**fits, "region": "south"}])), "study-region")
    assert "there are: North, South, West" in finding.message
    with pytest.raises(ValidationError, match=r"calibration\[0\]\.region: columns\.region names no column"):
        request(calibration=[fits])
