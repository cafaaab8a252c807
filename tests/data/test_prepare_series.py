"""Missing values, duplicates, gaps, derived columns, resampling."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts.request import TrainRequest
from tests.data.cases import errors, only, rejected, request, validated, weekly


def with_holes(column: str, *rows: int) -> pd.DataFrame:
    frame = weekly()
    frame[column] = frame[column].astype(object if column == "events" else float)
    frame.loc[[row - 1 for row in rows], column] = None
    return frame


def values(frame: pd.DataFrame, asked: TrainRequest, column: str) -> list[Any]:
    prepared = validated(frame, asked)
    assert prepared.table is not None, prepared.report.findings
    result: list[Any] = prepared.table[column].to_pylist()
    return result


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("tv_S", "media"),
        ("Search_Clicks", "media"),
        ("Revenue", "dependent"),
        ("newsletter", "organic"),
        ("Competitor", "context"),
        ("events", "factors"),
    ],
)
def test_empty_cells_are_rejected_unless_the_request_says_otherwise(column: str, kind: str) -> None:
    finding = rejected(with_holes(column, 5, 9), "missing-value")
    assert (finding.column, finding.rows, finding.count) == (column, [5, 9], 2)
    assert f"missing.{kind}" in finding.advice


def test_empty_cells_become_zero_or_none_where_asked() -> None:
    frame = with_holes("tv_S", 5)
    frame.loc[7, "events"] = None
    asked = request(missing={"media": "zero", "factors": "none"})
    assert values(frame, asked, "tv_S")[4] == 0
    assert values(frame, asked, "events")[7] == "none"
    changes = {
        finding.column: finding.rows
        for finding in validated(frame, asked).report.findings
        if finding.code == "missing-filled"
    }
    assert changes == {"tv_S": [5], "events": [8]}


def test_empty_cells_are_interpolated_in_time_whatever_the_order_of_rows() -> None:
    frame = with_holes("Competitor", 5, 6)
    asked = request(missing={"context": "interpolate"})
    low, high = frame.loc[3, "Competitor"], frame.loc[6, "Competitor"]
    expected = pytest.approx([low, low + (high - low) / 3, low + (high - low) * 2 / 3, high])
    assert values(frame, asked, "Competitor")[3:7] == expected
    assert values(frame.iloc[::-1], asked, "Competitor")[3:7] == expected


def test_an_edge_cannot_be_interpolated() -> None:
    finding = rejected(
        with_holes("tv_S", 1, 50, 104), "missing-at-the-edge", request(missing={"media": "interpolate"})
    )
    assert (finding.column, finding.rows) == ("tv_S", [1, 104])


def test_several_rows_of_a_date_are_rejected_with_what_to_do() -> None:
    frame = pd.concat([weekly(), weekly().iloc[[3, 7]]], ignore_index=True)
    finding = rejected(frame, "duplicate-date")
    assert (finding.column, finding.rows, finding.count) == ("DATE", [4, 8, 105, 106], 4)
    assert "2023-01-23, 2023-02-20" in finding.message
    assert "aggregate" in finding.advice
    assert "country_column" in finding.advice


def test_several_rows_of_a_date_are_aggregated_by_the_kind_of_column() -> None:
    frame = pd.concat(
        [weekly(), weekly().iloc[[3]].assign(events="na", Competitor=0.0, Revenue=1.0)], ignore_index=True
    )
    prepared = validated(frame, request(duplicates="aggregate"))
    assert prepared.table is not None, prepared.report.findings
    row, before = prepared.table.to_pylist()[3], weekly().iloc[3]
    assert row["Revenue"] == before["Revenue"] + 1
    for name in ("tv_S", "Search_S", "Search_Clicks", "newsletter"):
        assert row[name] == pytest.approx(2 * before[name])
    assert row["Competitor"] == pytest.approx(before["Competitor"] / 2)
    assert row["events"] == before["events"]
    assert prepared.report.rows_out == 104
    assert only(prepared, "duplicates-aggregated").rows == [4, 105]


def test_an_empty_cell_is_not_lost_in_an_aggregate() -> None:
    frame = pd.concat([weekly(), weekly().iloc[[3]].assign(Revenue=1.0)], ignore_index=True)
    frame.loc[104, "tv_S"] = None
    finding = rejected(frame, "missing-value", request(duplicates="aggregate"))
    assert finding.rows == [105]
    asked = request(duplicates="aggregate", missing={"media": "zero"})
    assert values(frame, asked, "tv_S")[3] == weekly().loc[3, "tv_S"]


@pytest.mark.parametrize(("days", "interval"), [(1, "day"), (7, "week")])
def test_gaps_are_named(days: int, interval: str) -> None:
    frame = weekly(days=days)
    gone = frame.loc[[10, 50], "DATE"].tolist()
    finding = rejected(frame.drop(index=[10, 50]), "gap")
    assert finding.column == "DATE"
    assert f"2 {interval}(s) are missing" in finding.message
    assert ", ".join(gone) in finding.message
    assert "with 0 where nothing happened" in finding.advice


def monthly(rows: int = 48, day: str = "MS") -> pd.DataFrame:
    dates = pd.date_range("2020-01-01", periods=rows, freq=day).strftime("%Y-%m-%d")
    return weekly(rows).assign(DATE=dates)


@pytest.mark.parametrize("day", ["MS", "ME"])
def test_months_are_recognised_at_their_first_and_last_day(day: str) -> None:
    prepared = validated(monthly(day=day))
    assert prepared.report.valid, prepared.report.findings
    assert prepared.report.interval == "month"


def test_a_missing_month_is_a_gap() -> None:
    assert "2020-06" in rejected(monthly().drop(index=5), "gap").message


def test_an_irregular_series_names_the_odd_dates() -> None:
    frame = weekly()
    frame.loc[20, "DATE"] = "2023-05-23"
    finding = rejected(frame, "irregular-interval")
    assert (finding.column, finding.rows) == ("DATE", [21, 22])
    assert "7, 8, 6 days apart" in finding.message
    assert "2023-05-23" in finding.message


def test_one_date_is_no_series() -> None:
    assert "too-few-dates" in errors(validated(weekly(1)))


DERIVED = [
    {"op": "sum", "name": "tv_S", "of": ["tv_north", "tv_south"]},
    {"op": "ratio", "name": "Competitor", "numerator": "Revenue", "denominator": "stores"},
    {"op": "lag", "name": "newsletter", "of": "sends", "periods": 2},
    {"op": "calendar", "name": "Search_Clicks", "months": [12], "days": ["07-04"]},
]


def test_derived_columns_are_computed_and_may_play_any_part() -> None:
    frame = weekly().drop(columns=["tv_S", "Competitor", "newsletter", "Search_Clicks"])
    frame = frame.assign(
        tv_north=1.5, tv_south=frame["Search_S"], stores=np.arange(104), sends=np.arange(104)
    )
    prepared = validated(frame, request(derived=DERIVED))
    assert prepared.table is not None, prepared.report.findings
    got = prepared.table.to_pandas()
    assert got["tv_S"].tolist() == (1.5 + frame["Search_S"]).tolist()
    assert got["Competitor"].tolist()[:3] == [0.0, frame.loc[1, "Revenue"], frame.loc[2, "Revenue"] / 2]
    assert got["newsletter"].tolist() == [0.0, 0.0, *map(float, range(102))]
    days = got.loc[got["Search_Clicks"] == 1, "DATE"].astype(str).tolist()
    assert days[:5] == ["2023-07-03", "2023-11-27", "2023-12-04", "2023-12-11", "2023-12-18"]
    assert only(prepared, "ratio-undefined").rows == [1]
    assert "first 2 row(s)" in only(prepared, "lag").message
    assert {column.name for column in prepared.report.columns} >= {"tv_S", "tv_north", "stores"}


def test_a_month_that_is_dated_by_its_last_day_is_the_month_before_it() -> None:
    ends = pd.date_range("2020-01-31", periods=24, freq="ME")
    frame = weekly().iloc[:24].drop(columns="Search_Clicks").assign(DATE=ends.strftime("%Y-%m-%d"))
    flag = {"op": "calendar", "name": "Search_Clicks", "days": ["03-30"]}
    prepared = validated(frame, request(derived=[flag]))
    assert prepared.table is not None, prepared.report.findings
    got = prepared.table.to_pandas()
    assert got.loc[got["Search_Clicks"] == 1, "DATE"].astype(str).tolist() == ["2020-03-01", "2021-03-01"]
    assert only(prepared, "month-ends").column == "DATE"


def test_a_calendar_flag_may_be_a_factor() -> None:
    derived = [{"op": "calendar", "name": "winter", "months": [12, 1]}]
    asked = request({"factors": ["winter"]}, derived=derived)
    assert set(values(weekly().drop(columns="events"), asked, "winter")) == {"0", "1"}


def test_what_is_missing_for_a_derived_column_is_named() -> None:
    frame = weekly().drop(columns="tv_S").assign(tv_north=1.0)
    asked = request(derived=[{"op": "sum", "name": "tv_S", "of": ["tv_north", "tv_sout"]}])
    finding = rejected(frame, "missing-column", asked)
    assert finding.column == "tv_sout"


def test_empty_cells_of_a_derived_columns_inputs_follow_its_policy() -> None:
    frame = weekly().rename(columns={"tv_S": "a"}).assign(b=1.0)
    frame.loc[3, "b"] = None
    derived = [{"op": "sum", "name": "tv_S", "of": ["a", "b"]}]
    assert rejected(frame, "missing-value", request(derived=derived)).column == "b"
    asked = request(derived=derived, missing={"media": "zero"})
    assert values(frame, asked, "tv_S")[3] == frame.loc[3, "a"]


@pytest.mark.parametrize(
    ("derived", "code", "column"),
    [
        ([{"op": "sum", "name": "tv_S", "of": ["newsletter", "Competitor"]}], "derived-exists", "tv_S"),
        ([{"op": "calendar", "name": "promo", "days": ["02-30"]}], "no-such-day", "promo"),
        (
            [
                {"op": "lag", "name": "promo", "of": "later", "periods": 1},
                {"op": "lag", "name": "later", "of": "tv_S", "periods": 1},
            ],
            "derived-order",
            "promo",
        ),
    ],
)
def test_derived_columns_that_cannot_be_made(derived: list[dict[str, Any]], code: str, column: str) -> None:
    asked = request({"context": ["Competitor", "promo"]} if column == "promo" else {}, derived=derived)
    prepared = validated(weekly(), asked)
    assert code in errors(prepared)
    assert only(prepared, code).column == column


def test_a_derived_column_that_nothing_uses_is_a_warning() -> None:
    prepared = validated(weekly(), request(derived=[{"op": "lag", "name": "x", "of": "tv_S", "periods": 1}]))
    assert prepared.report.valid
    assert only(prepared, "derived-unused").column == "x"


def test_days_become_weeks_from_monday_and_parts_of_weeks_are_dropped() -> None:
    frame = weekly(7 * 40 + 5, start="2022-12-30", days=1)  # a Friday: three days, 40 weeks, two days
    prepared = validated(frame, request(resample={"interval": "week", "aggregate": {"Competitor": "max"}}))
    assert prepared.table is not None, prepared.report.findings
    got = prepared.table.to_pandas()
    assert (prepared.report.interval, prepared.report.rows_out) == ("week", 40)
    assert got["DATE"].tolist() == [
        date(2023, 1, 2) + pd.Timedelta(weeks=i).to_pytimedelta() for i in range(40)
    ]
    whole = frame.iloc[3:-2].reset_index(drop=True)
    weeks = whole.groupby(whole.index // 7)
    assert got["tv_S"].tolist() == pytest.approx(weeks["tv_S"].sum().tolist())
    assert got["Competitor"].tolist() == weeks["Competitor"].max().tolist()
    assert got["events"].tolist() == weeks["events"].min().tolist()  # a rare event is kept
    assert only(prepared, "incomplete-period").rows == [1, 2, 3, 284, 285]
    assert "max of Competitor" in only(prepared, "resampled").message


def test_days_become_months() -> None:
    asked = request(resample={"interval": "month", "aggregate": {"events": "first"}})
    prepared = validated(weekly(800, start="2022-01-01", days=1), asked)
    assert prepared.table is not None, prepared.report.findings
    assert prepared.table["DATE"].to_pylist()[:2] == [date(2022, 1, 1), date(2022, 2, 1)]
    frame = weekly(800, start="2022-01-01", days=1)
    assert prepared.table["Revenue"][1].as_py() == pytest.approx(frame["Revenue"][31:59].sum())
    assert prepared.report.rows_out == 26  # 2022-01 to 2024-02; March 2024 is not whole


def test_weeks_become_months_with_a_warning() -> None:
    prepared = validated(weekly(), request(resample={"interval": "month"}))
    assert prepared.table is not None, prepared.report.findings
    assert prepared.table["Revenue"][0].as_py() == pytest.approx(weekly()["Revenue"][:5].sum())
    assert "4 or 5" in only(prepared, "weeks-to-months").message


@pytest.mark.parametrize(
    ("frame", "resample", "code"),
    [
        (monthly(), {"interval": "week"}, "resample-finer"),
        (weekly(start="2023-01-01"), {"interval": "week"}, "resample-shifted"),
        (weekly(20, days=1), {"interval": "month"}, "too-few-dates"),
        (weekly(days=1), {"interval": "week", "aggregate": {"x": "sum"}}, "resample-aggregate"),
        (weekly(400, days=1), {"interval": "week", "aggregate": {"events": "mean"}}, "resample-aggregate"),
        (weekly(400, days=1), {"interval": "week", "aggregate": {"tv_S": "any"}}, "resample-aggregate"),
    ],
)
def test_resampling_that_cannot_be_done(frame: pd.DataFrame, resample: dict[str, Any], code: str) -> None:
    prepared = validated(frame, request(resample=resample))
    assert code in errors(prepared)
    assert only(prepared, code).advice


def test_a_gap_is_not_hidden_by_resampling() -> None:
    frame = weekly(400, days=1).drop(index=100)
    assert "gap" in errors(validated(frame, request(resample={"interval": "week"})))


def test_a_request_for_what_the_data_are_already_changes_nothing() -> None:
    assert values(weekly(), request(resample={"interval": "week"}), "tv_S") == weekly()["tv_S"].tolist()


@pytest.mark.parametrize(("rule", "kept"), [(None, 3), ("any", 3), ("most", 0), ("first", 1)])
def test_a_rare_event_survives_its_month_by_the_rule_of_its_factor(rule: str | None, kept: int) -> None:
    frame = weekly(800, start="2022-01-01", days=1).assign(events="na", promo="no")
    frame.loc[[0, 60, 130], "events"] = "flood"
    frame.loc[frame.index % 100 < 50, "promo"] = "yes"
    asked = request(
        {"factors": ["events", "promo"]},
        resample={"interval": "month", "aggregate": {"events": rule, "promo": "most"} if rule else {}},
    )
    prepared = validated(frame, asked)
    if kept:
        assert prepared.table is not None, prepared.report.findings
        assert prepared.table["events"].to_pylist().count("flood") == kept
    else:
        finding = only(prepared, "constant-column")
        assert "resample.aggregate" in finding.advice
        assert "any" in finding.advice


def three_channels(**columns: Any) -> pd.DataFrame:
    """Each date in three rows, a channel each; the dependent variable and the price stand in each of them."""
    parts = [
        weekly().assign(channel=name, tv_S=weekly()["tv_S"] * i, **columns) for i, name in enumerate("abc", 1)
    ]
    return pd.concat(parts, ignore_index=True)


LONG = {"paid_media": ["tv_S"], "organic": []}


def test_a_dependent_variable_that_rows_of_a_date_repeat_is_not_added_up_unasked() -> None:
    finding = rejected(three_channels(), "repeated-value", request(LONG, duplicates="aggregate"))
    assert finding.column == "Revenue"
    assert "first" in finding.advice
    assert "sum" in finding.advice
    for function, factor in (("first", 1), ("sum", 3)):
        asked = request(LONG, duplicates={"aggregate": {"Revenue": function}})
        assert values(three_channels(), asked, "Revenue") == pytest.approx(
            (weekly()["Revenue"] * factor).tolist()
        )
        assert values(three_channels(), asked, "tv_S") == pytest.approx((weekly()["tv_S"] * 6).tolist())


def test_media_that_rows_of_a_date_repeat_are_added_up_with_a_warning() -> None:
    asked = request(LONG | {"organic": ["newsletter"]}, duplicates={"aggregate": {"Revenue": "first"}})
    finding = only(validated(three_channels(), asked), "repeated-value")
    assert (finding.severity, finding.column) == ("warning", "newsletter")


@pytest.mark.parametrize("duplicates", ["reject", "aggregate"])
def test_data_that_hold_every_row_twice_are_an_error_with_the_count(duplicates: str) -> None:
    frame = pd.concat([weekly(), weekly()], ignore_index=True)
    finding = rejected(frame, "repeated-rows", request(duplicates=duplicates))
    assert "208 rows, 104 different ones" in finding.message
    assert finding.count == 208


def test_rows_that_differ_in_an_unused_column_are_no_copies() -> None:
    frame = pd.concat([weekly().assign(region=region, Revenue=1.0 + i) for i, region in enumerate("ab")])
    frame["Revenue"] = np.arange(208.0)
    assert validated(frame, request(duplicates="aggregate")).report.valid


def test_some_rows_that_stand_twice_are_a_warning() -> None:
    other = weekly().assign(Revenue=weekly()["Revenue"] / 2)
    frame = pd.concat([weekly(), other, other.iloc[:5]], ignore_index=True)
    prepared = validated(frame, request(duplicates="aggregate"))
    assert prepared.report.valid, prepared.report.findings
    assert only(prepared, "repeated-rows").count == 10
    assert "2023-01-02 has 3" in only(prepared, "rows-per-date").message


def test_an_aggregation_must_fit_its_column() -> None:
    asked = request(LONG, duplicates={"aggregate": {"Revenue": "first", "events": "mean", "nothing": "sum"}})
    prepared = validated(three_channels(), asked)
    assert errors(prepared) == ["duplicates-aggregate", "duplicates-aggregate"]


def test_products_and_differences_are_derived() -> None:
    frame = weekly().assign(units=np.arange(1.0, 105.0), price=2.5, gross=3.0, tax=1.0, rebate=0.5)
    derived = [
        {"op": "product", "name": "sales", "of": ["units", "price"]},
        {"op": "difference", "name": "net", "of": ["gross", "tax", "rebate"]},
        {"op": "product", "name": "worth", "of": ["units", "net"]},
    ]
    asked = request({"dependent": "sales", "context": ["worth"]}, derived=derived)
    assert values(frame, asked, "sales") == (np.arange(1.0, 105.0) * 2.5).tolist()
    assert values(frame, asked, "worth") == (np.arange(1.0, 105.0) * 1.5).tolist()


def until_later(column: str, rows: int = 15) -> pd.DataFrame:
    frame = weekly()
    frame.loc[: rows - 1, column] = None
    return frame


@pytest.mark.parametrize("policy", ["reject", "interpolate"])
@pytest.mark.parametrize(("column", "kind"), [("Revenue", "dependent"), ("Competitor", "context")])
def test_what_is_empty_outside_the_window_is_no_obstacle(column: str, kind: str, policy: str) -> None:
    start = weekly()["DATE"][15]
    asked = request(missing={kind: policy}, window={"start": start})
    prepared = validated(until_later(column), asked)
    assert prepared.table is not None, prepared.report.findings
    assert prepared.report.window is not None
    assert prepared.report.window.rows == 89
    got = prepared.table[column].to_pylist()
    assert got[:15] == weekly()[column][52:67].tolist()
    assert got[15:] == weekly()[column][15:].tolist()
    assert only(prepared, "outside-filled").count == 15


@pytest.mark.parametrize("policy", ["reject", "interpolate"])
def test_the_advice_for_an_empty_edge_works(policy: str) -> None:
    frame = until_later("Revenue")
    frame.loc[100:, "Revenue"] = None
    prepared = validated(frame, request(missing={"dependent": policy}))
    (finding,) = (finding for finding in prepared.report.findings if finding.severity == "error")
    start, end = weekly()["DATE"][15], weekly()["DATE"][99]
    assert f"set window.start to {start} and window.end to {end}" in finding.advice
    mended = request(missing={"dependent": policy}, window={"start": start, "end": end})
    assert validated(frame, mended).report.valid


def test_empty_media_before_the_window_are_needed_for_carry_over() -> None:
    asked = request(window={"start": weekly()["DATE"][15]})
    assert rejected(until_later("tv_S"), "missing-value", asked).column == "tv_S"


def test_a_period_that_reaches_into_the_window_must_be_whole() -> None:
    frame = weekly(280, days=1)
    frame.loc[200:202, "Revenue"] = None  # days after the window's end, in its last week
    end = frame["DATE"][199]
    finding = rejected(frame, "missing-value", request(resample={"interval": "week"}, window={"end": end}))
    assert "1 period(s) of the window" in finding.message
