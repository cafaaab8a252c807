"""Columns, countries, numbers and dates."""

from __future__ import annotations

import io
from datetime import date

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from functions.errors import BadData
from functions.validate.prepare import prepare, to_parquet
from tests.data.cases import errors, only, rejected, request, uploaded, validated, weekly


def spoilt(column: str, values: dict[int, object]) -> pd.DataFrame:
    """Good data with other values in some rows, which count from 1; the column becomes text."""
    frame = weekly()
    frame[column] = frame[column].astype(str).astype(object)
    for row, value in values.items():
        frame.loc[row - 1, column] = value
    return frame


def test_good_data_pass_in_the_order_of_the_request() -> None:
    prepared = validated(weekly().sample(frac=1, random_state=1))
    report = prepared.report
    assert report.valid
    assert (report.rows_in, report.rows_out, report.interval, report.fingerprint) == (104, 104, "week", "fp")
    assert [finding.code for finding in report.findings] == ["sorted"]
    table = pq.read_table(io.BytesIO(to_parquet(prepared.table)))
    names = ["DATE", "Revenue", "tv_S", "Search_S", "Search_Clicks", "newsletter", "Competitor", "events"]
    assert table.column_names == names
    assert table.schema.types == [pa.date32(), *[pa.float64()] * 6, pa.string()]
    expected = weekly()
    assert table["DATE"].to_pylist() == [date.fromisoformat(day) for day in expected["DATE"]]
    assert table["Search_Clicks"].to_pylist() == expected["Search_Clicks"].tolist()
    assert table["events"].to_pylist() == expected["events"].tolist()


def test_four_things_wrong_are_reported_at_once() -> None:
    frame = spoilt("newsletter", {7: "many"}).drop(columns="Competitor")
    frame.loc[4, "tv_S"] = -3.0
    frame.loc[11, "DATE"] = frame.loc[10, "DATE"]
    prepared = validated(frame)
    assert prepared.table is None
    assert {"missing-column", "negative-media", "duplicate-date", "not-a-number"} <= set(errors(prepared))
    assert only(prepared, "missing-column").column == "Competitor"
    negative = only(prepared, "negative-media")
    assert (negative.column, negative.rows) == ("tv_S", [5])
    duplicate = only(prepared, "duplicate-date")
    assert (duplicate.column, duplicate.rows) == ("DATE", [11, 12])
    text = only(prepared, "not-a-number")
    assert (text.column, text.rows) == ("newsletter", [7])
    assert "'many'" in text.message


def test_missing_columns_are_named_together_with_what_may_be_meant() -> None:
    finding = rejected(weekly().rename(columns={"Revenue": "revenue", "tv_S": "TV_Spnd"}), "missing-column")
    assert "Revenue, tv_S" in finding.message
    assert "'revenue' for 'Revenue'" in finding.advice
    assert "The data have: DATE, revenue, TV_Spnd" in finding.advice


def test_a_column_is_read_by_another_name_that_the_request_knows_only_where_its_own_is_missing() -> None:
    aliases = {"tv_S": ["TV cost", "TV  Spend"], "Revenue": ["turnover"]}
    renamed = weekly().rename(columns={"tv_S": "TV Spend"}).assign(turnover=1.0)
    prepared = validated(renamed, request(aliases=aliases))
    assert "column 'TV Spend' of the data is read as 'tv_S'" in only(prepared, "alias").message
    assert prepared.table is not None
    assert prepared.table["tv_S"].to_pylist() == weekly()["tv_S"].tolist()
    assert prepared.table["Revenue"].to_pylist() == weekly()["Revenue"].tolist()
    assert "turnover" in only(prepared, "unused-columns").message


def test_aliases_that_cannot_be_meant_are_told() -> None:
    assert (
        "weather" in only(validated(weekly(), request(aliases={"weather": ["sun"]})), "alias-unused").message
    )
    with pytest.raises(ValidationError, match="is itself a column that the request names"):
        request(aliases={"tv_S": ["Revenue"]})
    with pytest.raises(ValidationError, match="is given 2 times"):
        request(aliases={"tv_S": ["x"], "Revenue": ["x"]})


def test_an_unused_column_is_left_out_and_said_so() -> None:
    prepared = validated(weekly().assign(comment="x"))
    assert "comment" in only(prepared, "unused-columns").message
    assert prepared.table is not None
    assert "comment" not in prepared.table.column_names
    assert [column.role for column in prepared.report.columns if column.name == "comment"] == ["unused"]


def test_only_rows_of_the_country_count_and_rows_keep_their_numbers() -> None:
    both = pd.concat([weekly().assign(market="FR"), weekly().assign(market=" DE ")], ignore_index=True)
    both.loc[106, "tv_S"] = -1
    prepared = validated(both, request(country_column="market"))
    assert errors(prepared) == ["negative-media"]
    assert only(prepared, "negative-media").rows == [107]
    assert "104 row(s)" in only(prepared, "other-countries").message


def test_no_row_of_the_country_tells_which_countries_there_are() -> None:
    finding = rejected(weekly().assign(market="de"), "no-rows-of-country", request(country_column="market"))
    assert finding.column == "market"
    assert "'DE'" in finding.message
    assert "de" in finding.advice


def test_a_country_may_have_another_name_in_the_data() -> None:
    two = [
        weekly().assign(geo=geo, Revenue=weekly()["Revenue"] * i)
        for i, geo in enumerate(("Germany", "Österreich"), 1)
    ]
    frame = pd.concat(two, ignore_index=True)
    prepared = validated(frame, request(country_column="geo", country_value=" Österreich "))
    assert prepared.table is not None, prepared.report.findings
    assert prepared.table["Revenue"][0].as_py() == weekly()["Revenue"][0] * 2
    assert (
        "104 row(s) of others than 'Österreich' were left out: 'Germany' (104)"
        in only(prepared, "other-countries").message
    )
    with pytest.raises(ValidationError, match="without country_column"):
        request(country_value="Germany")


def test_rows_of_a_country_that_is_written_in_two_ways_are_told() -> None:
    frame = weekly().assign(geo="Österreich")
    frame.loc[:9, "geo"] = "OSTERREICH"
    frame.loc[10:12, "geo"] = "Öster reich"
    finding = only(
        validated(frame, request(country_column="geo", country_value="Österreich")), "similar-country"
    )
    assert finding.severity == "warning"
    assert (
        "13 row(s) were left out whose 'geo' looks like 'Österreich': 'OSTERREICH', 'Öster reich'"
        in finding.message
    )
    missed = rejected(frame, "no-rows-of-country", request(country_column="geo", country_value="österreich"))
    assert "did you mean 'Österreich'" in missed.advice


def test_no_rows_and_missing_columns_are_found_together() -> None:
    prepared = validated(weekly().head(0).drop(columns="tv_S"))
    assert errors(prepared) == ["missing-column", "no-rows"]
    assert prepared.report.rows_in == 0


def test_rows_without_any_value_are_dropped() -> None:
    text = weekly().to_csv(index=False) + ",,,,,,,\n" * 2
    prepared = prepare(uploaded(text), request(), "fp")
    assert prepared.report.valid
    assert only(prepared, "empty-rows").rows == [105, 106]
    assert (prepared.report.rows_in, prepared.report.rows_out) == (106, 104)


def test_rows_of_nothing_but_empty_cells_are_no_rows() -> None:
    text = weekly(0).to_csv(index=False) + ",,,,,,,\n" * 3
    prepared = prepare(uploaded(text), request(), "fp")
    assert not prepared.report.valid
    assert only(prepared, "no-rows").severity == "error"


def test_text_in_numbers_is_reported_with_every_row_counted() -> None:
    finding = rejected(spoilt("Revenue", {row: f"{row} EUR" for row in range(20, 35)}), "not-a-number")
    assert (finding.column, finding.rows, finding.count) == ("Revenue", list(range(20, 30)), 15)
    assert "'20 EUR'" in finding.message
    assert "without units" in finding.advice


def test_a_column_of_the_wrong_type_is_an_error() -> None:
    finding = rejected(weekly().assign(tv_S=pd.Timestamp("2023-01-02")), "not-a-number")
    assert finding.column == "tv_S"
    assert "timestamp" in finding.message


@pytest.mark.parametrize("cell", ["1.234.567,5", "0,5", "1234,567", "12,5", "1 234,5"])
def test_a_decimal_comma_that_is_certain_decides_for_its_column(cell: str) -> None:
    prepared = validated(spoilt("tv_S", dict.fromkeys(range(1, 105), "1.234") | {3: cell}))
    assert prepared.table is not None, prepared.report.findings
    expected = float(cell.replace(".", "").replace(" ", "").replace(",", "."))
    assert prepared.table["tv_S"].to_pylist()[:3] == [1234.0, 1234.0, expected]
    assert "tv_S" in only(prepared, "decimal-comma").message


@pytest.mark.parametrize(
    ("cell", "number"), [("1,234,567.5", 1234567.5), ("+0.5", 0.5), ("1.5e3", 1500.0), (" .25 ", 0.25)]
)
def test_a_decimal_point_that_is_certain_decides_for_its_column(cell: str, number: float) -> None:
    prepared = validated(spoilt("tv_S", dict.fromkeys(range(1, 105), "1,234") | {3: cell}))
    assert prepared.table is not None, prepared.report.findings
    assert prepared.table["tv_S"].to_pylist()[:3] == [1234.0, 1234.0, number]


def test_a_number_that_may_mean_two_things_is_an_error() -> None:
    frame = spoilt("tv_S", {row: f"{row}.500" for row in range(1, 105)})
    for name in ("Revenue", "Search_S", "Competitor"):
        frame[name] = frame[name].round().astype(int)
    prepared = prepare(uploaded(frame.to_csv(index=False, sep=";")), request(), "fp")
    assert errors(prepared) == ["ambiguous-number"]
    finding = only(prepared, "ambiguous-number")
    assert (finding.column, finding.count) == ("tv_S", 104)
    assert "decimal point" in finding.advice


def test_the_rest_of_the_file_decides_where_a_column_does_not() -> None:
    frame = spoilt("newsletter", dict.fromkeys(range(1, 105), "1.234") | {1: "2.234"})
    prepared = prepare(uploaded(frame.to_csv(index=False, sep=";", decimal=",")), request(), "fp")
    assert prepared.table is not None, prepared.report.findings
    assert prepared.table["newsletter"].to_pylist()[:2] == [2234.0, 1234.0]


def test_two_decimal_signs_in_a_column_are_an_error() -> None:
    finding = rejected(spoilt("tv_S", {9: "12,5"}), "not-a-number")
    assert (finding.column, finding.rows) == ("tv_S", [9])
    assert "same decimal sign" in finding.advice


@pytest.mark.parametrize("cell", ["inf", "-Infinity"])
def test_an_infinite_value_is_an_error(cell: str) -> None:
    finding = rejected(spoilt("Competitor", {9: cell}), "infinite")
    assert (finding.column, finding.rows) == ("Competitor", [9])


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d",
        "%Y-%m-%dT00:00:00Z",
        "%Y-%m-%d 00:00:00",
        "%Y%m%d",
        "%Y/%m/%d",
        "%d.%m.%Y",
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%d-%m-%Y",
    ],
)
def test_every_clear_way_to_write_dates_is_understood(form: str) -> None:
    frame = weekly()
    frame["DATE"] = pd.to_datetime(frame["DATE"]).dt.strftime(form)
    prepared = validated(frame)
    assert prepared.table is not None, prepared.report.findings
    assert prepared.table["DATE"].to_pylist() == [date.fromisoformat(day) for day in weekly()["DATE"]]
    assert [finding.code for finding in prepared.report.findings] == []


@pytest.mark.parametrize("kind", ["datetime64[ms]", "datetime64[ns, Europe/Berlin]", "int64", "float64"])
def test_dates_of_other_types_are_understood(kind: str) -> None:
    frame = weekly()
    days = pd.to_datetime(frame["DATE"])
    if kind.endswith("Berlin]"):
        frame["DATE"] = days.dt.tz_localize("Europe/Berlin")
    else:
        frame["DATE"] = days.astype(kind) if "datetime" in kind else days.dt.strftime("%Y%m%d").astype(kind)
    prepared = validated(frame)
    assert prepared.table is not None, prepared.report.findings
    assert prepared.table["DATE"][0].as_py() == date(2023, 1, 2)


def test_dates_of_another_millennium_are_an_error() -> None:
    frame = weekly()
    frame.loc[5, "DATE"] = "0023-02-06"
    finding = rejected(frame, "not-a-date")
    assert (finding.column, finding.rows) == ("DATE", [6])
    assert "1900 to 2200" in finding.message


def test_times_of_day_are_dropped_and_said_so() -> None:
    prepared = validated(weekly().assign(DATE=weekly()["DATE"] + "T10:30:00+01:00"))
    assert prepared.report.valid
    assert only(prepared, "time-dropped").count == 104


def test_dates_that_cannot_be_read_are_reported_without_false_gaps() -> None:
    frame = weekly()
    frame.loc[2, "DATE"] = "soon"
    frame.loc[8, "DATE"] = "2023-02-30"
    frame.loc[9, "DATE"] = None
    prepared = validated(frame)
    assert sorted(errors(prepared)) == ["missing-date", "not-a-date"]
    assert only(prepared, "missing-date").rows == [10]
    finding = only(prepared, "not-a-date")
    assert (finding.column, finding.rows) == ("DATE", [3, 9])
    assert "'soon'" in finding.message
    assert "YYYY-MM-DD" in finding.advice


def test_mixed_dates_are_reported_with_the_rows_of_the_few() -> None:
    frame = weekly()
    frame.loc[[3, 4], "DATE"] = ["23.01.2023", "30.01.2023"]
    finding = rejected(frame, "mixed-dates")
    assert (finding.column, finding.rows) == ("DATE", [4, 5])
    assert "not written like the rest, '2023-01-02'" in finding.message


def test_dates_that_may_mean_two_things_ask_for_iso() -> None:
    frame = weekly(12)
    frame["DATE"] = [f"0{month}/01/2023" if month < 10 else f"{month}/01/2023" for month in range(1, 13)]
    prepared = validated(frame)
    finding = only(prepared, "ambiguous-dates")
    assert (finding.column, finding.count) == ("DATE", 11)  # 01/01 is certain
    assert "YYYY-MM-DD" in finding.advice


def test_the_profile_shows_every_column_as_delivered() -> None:
    frame = weekly().assign(note="x")
    frame.loc[3, "tv_S"] = None
    profiles = {column.name: column for column in validated(frame).report.columns}
    assert list(profiles) == list(frame.columns)
    tv = profiles["tv_S"]
    assert (tv.role, tv.type, tv.missing, tv.distinct) == (
        "paid_media[0].spend",
        "number",
        1,
        frame["tv_S"].nunique(),
    )
    assert (tv.min, tv.max) == (frame["tv_S"].min(), frame["tv_S"].max())
    assert tv.mean == pytest.approx(frame["tv_S"].mean())
    assert (profiles["DATE"].min, profiles["DATE"].max) == (date(2023, 1, 2), date(2024, 12, 23))
    assert (profiles["events"].type, profiles["events"].distinct) == ("text", 2)


def test_a_dataset_that_is_cut_short_is_bad_data() -> None:
    whole = to_parquet(pa.Table.from_pandas(weekly(), preserve_index=False))
    with pytest.raises(BadData, match="not a whole Parquet file"):
        prepare(io.BytesIO(whole[:-20]), request(), "fp")
    assert prepare(io.BytesIO(whole), request(), "fp").report.valid


def test_a_repeated_column_does_not_hide_other_errors() -> None:
    table = pa.Table.from_pandas(weekly().assign(tv_S=-1.0), preserve_index=False)
    prepared = prepare(table.append_column("Revenue", table["Competitor"]), request(), "fp")
    assert {"repeated-column", "negative-media"} <= set(errors(prepared))
    assert only(prepared, "repeated-column").column == "Revenue"
