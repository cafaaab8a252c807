"""What the model needs of the data."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.model import Variable
from contracts.request import TrainRequest
from contracts.validation import ValidationReport
from tests.data.cases import errors, only, rejected, request, validated, weekly


@pytest.mark.parametrize("column", ["tv_S", "Search_S", "Search_Clicks", "newsletter"])
def test_negative_media_are_an_error(column: str) -> None:
    frame = weekly()
    frame.loc[[8, 3], column] = -1
    finding = rejected(frame, "negative-media")
    assert (finding.column, finding.rows, finding.count) == (column, [4, 9], 2)
    assert "0 or more" in finding.advice


def test_an_all_negative_channel_is_not_turned_around() -> None:
    assert rejected(weekly().assign(tv_S=-weekly()["tv_S"]), "negative-media").count == 104


@pytest.mark.parametrize("column", ["Revenue", "Competitor", "newsletter", "tv_S", "Search_Clicks"])
def test_a_constant_column_is_an_error(column: str) -> None:
    finding = rejected(weekly().assign(**{column: 5.0}), "constant-column")
    assert finding.column == column
    assert "the same value, 5.0, in every row of the data" in finding.message
    assert finding.advice


def test_a_factor_with_one_level_is_an_error() -> None:
    finding = rejected(weekly().assign(events="na"), "constant-column")
    assert finding.column == "events"
    assert "remove the column" in finding.advice


def test_a_column_that_is_constant_in_the_window_only_is_an_error() -> None:
    frame = weekly()
    frame.loc[40:, "Competitor"] = 7.0
    assert validated(frame).report.valid
    finding = rejected(frame, "constant-column", request(window={"start": "2023-11-01"}))
    assert "of the modelling window" in finding.message


def test_a_channel_without_spend_in_the_window_is_an_error() -> None:
    frame = weekly()
    frame.loc[20:, "tv_S"] = 0.0
    finding = rejected(frame, "zero-media", request(window={"start": "2023-07-03"}))
    assert finding.column == "tv_S"
    assert "contains only 0 within the modelling window" in finding.message
    assert "choose a window" in finding.advice


def test_spend_without_exposure_and_the_reverse_are_warnings_with_rows() -> None:
    frame = weekly()
    frame.loc[[3, 4], "Search_Clicks"] = 0
    frame.loc[9, "Search_S"] = 0.0
    prepared = validated(frame)
    assert prepared.report.valid
    assert only(prepared, "spend-without-exposure").rows == [4, 5]
    assert only(prepared, "exposure-without-spend").rows == [10]


def test_an_exposure_that_is_always_zero_is_an_error() -> None:
    prepared = validated(weekly().assign(Search_Clicks=0))
    assert "exposure-never" in errors(prepared)
    assert only(prepared, "exposure-never").column == "Search_Clicks"


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({}, ("2020-01-06", "2020-05-24", 1, 20)),
        ({"start": "2020-02-01", "end": "2020-04-01"}, ("2020-02-03", "2020-04-05", 5, 13)),
        ({"start": "2020-02-06", "end": "2020-04-05"}, ("2020-02-10", "2020-04-05", 6, 13)),
        ({"start": "2020-02-04", "end": "2020-02-08"}, ("2020-02-03", "2020-02-09", 5, 5)),
        ({"start": "2019-01-01", "end": "2020-04-06"}, ("2020-01-06", "2020-04-12", 1, 14)),
        ({"end": "2021-01-01"}, ("2020-01-06", "2020-05-24", 1, 20)),
    ],
)
def test_the_window_is_the_periods_that_begin_in_its_dates(
    window: dict[str, str], expected: tuple[str, str, int, int]
) -> None:
    prepared = validated(weekly(20, start="2020-01-06"), request(window=window))
    found = prepared.report.window
    assert found is not None
    assert (str(found.start), str(found.end), found.first_row, found.last_row) == expected
    assert found.rows == found.last_row - found.first_row + 1
    moved = {finding.code for finding in prepared.report.findings if finding.code.startswith("window-")}
    assert moved == {f"window-{edge}" for edge, asked in window.items() if asked != expected[edge == "end"]}


@pytest.mark.parametrize("day", ["MS", "ME"])
def test_a_window_of_calendar_years_is_their_months(day: str) -> None:
    dates = pd.date_range("2021-01-01", periods=48, freq=day).strftime("%Y-%m-%d")
    asked = request(window={"start": "2021-01-01", "end": "2023-12-31"})
    found = validated(weekly(48).assign(DATE=dates), asked).report.window
    assert found is not None
    assert (str(found.start), str(found.end), found.rows) == ("2021-01-01", "2023-12-31", 36)


@pytest.mark.parametrize("window", [{"start": "2025-02-01"}, {"end": "2022-12-31"}])
def test_a_window_outside_the_data_is_an_error(window: dict[str, str]) -> None:
    finding = rejected(weekly(), "window-outside", request(window=window))
    assert "from 2023-01-02 to 2024-12-29" in finding.message


def test_few_rows_are_a_warning() -> None:
    prepared = validated(weekly(40))
    assert prepared.report.valid
    assert "40 rows for 5 variables" in only(prepared, "few-rows").message


def test_too_few_rows_to_fit_are_an_error() -> None:
    finding = rejected(weekly(6), "too-few-rows", request({"factors": []}, window={"start": "2023-01-16"}))
    assert "4 rows to train on are too few for 4 variables, which need 6" in finding.message


def test_columns_of_a_joint_baseline_count_too() -> None:
    parts = {"prophet": {"components": ["trend", "season"]}}
    split = {"time_series_validation": True, "train_size": [0.2, 0.8]}
    finding = rejected(weekly(53), "too-few-rows", request(search={**split, "baseline": "joint"}, **parts))
    assert "11 rows to train on are too few for 13 variables" in finding.message
    assert "search.baseline: joint" in finding.message
    assert validated(weekly(53), request(search=split, **parts)).report.valid


def test_a_single_variable_is_an_error() -> None:
    alone = request({"paid_media": ["tv_S"], "organic": [], "context": [], "factors": []})
    assert "one variable only" in rejected(weekly(), "one-variable", alone).message


def test_a_split_that_leaves_nothing_to_validate_on_is_an_error() -> None:
    search = {"time_series_validation": True, "train_size": [0.5, 0.97]}
    finding = rejected(weekly(), "too-few-rows", request(search=search))
    assert "train_size leaves 1" in finding.message
    assert "search.train_size" in finding.advice


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (slice(0, 80), "is the same in all 52 rows that are trained on"),
        (slice(50, 95), "is the same in all rows that are validated on"),
    ],
)
def test_a_dependent_variable_that_is_flat_in_a_part_of_the_window_is_an_error(
    rows: slice, words: str
) -> None:
    frame = weekly()
    frame.loc[rows, "Revenue"] = 1000.0
    assert validated(frame).report.valid
    search = {"time_series_validation": True, "train_size": [0.5, 0.8]}
    assert words in rejected(frame, "flat-dependent", request(search=search)).message


NEXT = {"start": "2025-01-06", "end": "2025-04-06"}
"""The quarter after the data."""


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        (
            {"prophet": {"components": ["trend", "weekday"]}},
            "component-interval",
            "`weekday` needs daily data",
        ),
        ({"prophet": {"components": ["holiday"], "holiday_country": "XX"}}, "no-holidays", "country 'XX'"),
        ({"budget": {"start": "2022-01-01"}}, "budget-outside", "budget.start 2022-01-01"),
        ({"budget": {"end": "2025-01-05"}}, "budget-outside", "budget.end 2025-01-05"),
        ({"budgets": [{}, {"end": "2025-01-05"}]}, "budget-outside", "budgets[1].end 2025-01-05"),
        ({"budget": {"pattern": "even"}}, "budget-pattern", "only for dates after the data"),
        ({"budget": {**NEXT, "method": "robyn"}}, "budget-after", "robyn has no answer"),
        ({"budget": NEXT, "posterior": "off"}, "budget-after", "only the posterior answers"),
        ({"budget": {"start": "2025-01-06"}}, "budget-after", "there is no end"),
        ({"budget": {**NEXT, "end": "2027-06-30"}}, "budget-after", "more than 2 years after"),
    ],
)
def test_what_the_request_asks_for_must_fit_the_data(fields: dict[str, Any], code: str, words: str) -> None:
    finding = rejected(weekly(), code, request(**fields))
    assert words in finding.message
    assert finding.advice


def test_dates_after_the_data_may_be_asked_about_where_a_year_before_is_known() -> None:
    assert validated(weekly(), request(budget=NEXT)).report.valid
    short = weekly().tail(50)
    assert "have 50 weeks" in rejected(short, "budget-after", request(budget=NEXT)).message
    assert validated(short, request(budget={**NEXT, "pattern": "even"})).report.valid


def test_components_that_fit_pass() -> None:
    components = ["trend", "season", "monthly", "holiday"]
    assert validated(
        weekly(), request(prophet={"components": components, "holiday_country": "DE"})
    ).report.valid
    daily = validated(weekly(days=1), request(prophet={"components": ["weekday"]}))
    assert daily.report.valid


def test_days_outside_the_data_are_said_to_be_of_no_use() -> None:
    inside, outside = "2023-03-06", "2031-03-06"
    named = [{"date": inside, "name": "fair"}, {"date": outside, "name": "fair"}]
    asked = request(
        prophet={"components": ["holiday"], "holidays": [*named, {"date": outside, "name": "jubilee"}]},
        annotations=[{"date": inside, "text": "relaunch"}, {"date": outside, "text": "strike"}],
    )
    prepared = validated(weekly(), asked)
    assert prepared.report.valid
    assert only(prepared, "annotation-outside").message.endswith(": strike")
    assert only(prepared, "holiday-outside").message.endswith(": jubilee")


def study(**changes: Any) -> dict[str, Any]:
    body = {"channels": ["tv_S"], "start": "2023-03-06", "end": "2023-04-02", "lift": 100, "confidence": 0.9}
    return body | {"spend": float(weekly()["tv_S"][9:13].sum())} | changes


def test_a_study_that_agrees_with_the_data_passes() -> None:
    assert validated(weekly(), request(calibration=[study()])).report.findings == []


@pytest.mark.parametrize(
    ("changes", "code", "severity"),
    [
        ({"start": "2022-12-01"}, "study-outside", "error"),
        ({"end": "2025-03-01"}, "study-outside", "error"),
        ({"lift": -100}, "study-sign", "warning"),
        ({"spend": 10_000.0}, "study-spend", "warning"),
        ({"confidence": 0.7}, "study-confidence", "warning"),
    ],
)
def test_a_study_that_does_not_fit(changes: dict[str, Any], code: str, severity: str) -> None:
    finding = only(validated(weekly(), request(calibration=[study(**changes)])), code)
    assert finding.severity == severity
    assert "calibration[0]" in finding.message


def spent(*shares: float) -> float:
    return float(weekly()["tv_S"][9 : 9 + len(shares)].to_numpy() @ shares)


@pytest.mark.parametrize(
    "usable",
    [
        {"start": "2023-03-06", "end": "2023-03-12", "spend": spent(1)},
        {"start": "2023-03-08", "end": "2023-03-14", "spend": spent(5 / 7, 2 / 7)},
        {"start": "2023-03-07", "end": "2023-03-09", "spend": spent(3 / 7)},
        {"lift": 0},
    ],
)
def test_a_study_of_one_week_or_of_parts_of_weeks_or_of_no_lift_is_usable(usable: dict[str, Any]) -> None:
    asked = {"calibration": [study(**usable)]}
    assert validated(weekly(), request(engine="native", **asked)).report.findings == []
    finding = only(validated(weekly(), request(engine="robyn", **asked)), "study-robyn")
    assert finding.severity == "error"
    assert "use the engine native" in finding.advice


def test_robyn_takes_a_study_of_whole_weeks() -> None:
    asked = request(engine="robyn", calibration=[study(end="2023-03-19", spend=spent(1, 1))])
    assert validated(weekly(), asked).report.findings == []


def test_an_organic_study_has_no_spend_to_compare() -> None:
    asked = request(calibration=[study(channels=["newsletter"], spend=0.0)])
    assert validated(weekly(), asked).report.findings == []


def test_a_factor_with_a_level_per_row_is_an_error() -> None:
    finding = rejected(weekly().assign(events=[f"e{i}" for i in range(104)]), "too-many-levels")
    assert finding.column == "events"
    assert "group" in finding.advice


def test_a_factor_with_many_levels_is_a_warning() -> None:
    prepared = validated(weekly().assign(events=[f"e{i % 12}" for i in range(104)]))
    assert prepared.report.valid
    assert "12 levels" in only(prepared, "rare-levels").message


def test_a_report_survives_its_json() -> None:
    report = validated(weekly().assign(tv_S=-1.0)).report
    assert ValidationReport.model_validate_json(report.model_dump_json()) == report


CELLS = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.sampled_from(["", "NA", "1,5", "1.234", "2023-01-02", "01/02/2023", "inf", "-1"]),
)
NUMBERS = st.one_of(st.none(), st.floats(width=32), st.integers(-5, 5).map(float))
NAMES = ["DATE", "Revenue", "tv_S", "Search_S", "Search_Clicks", "newsletter", "Competitor", "events"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_garbage_is_answered_with_findings(data: st.DataObject) -> None:
    rows = data.draw(st.integers(0, 6))
    frame = weekly(rows) if rows else weekly().head(0)
    for name in data.draw(st.sets(st.sampled_from(NAMES), min_size=1)):
        kind = data.draw(st.sampled_from([CELLS, NUMBERS]))
        frame[name] = pd.Series(data.draw(st.lists(kind, min_size=rows, max_size=rows)), dtype=object)
    frame = frame.drop(columns=list(data.draw(st.sets(st.sampled_from(NAMES), max_size=2))))
    policy = data.draw(st.sampled_from(["reject", "zero", "interpolate"]))
    asked = request(
        duplicates=data.draw(st.sampled_from(["reject", "aggregate"])),
        missing={"media": policy, "context": policy, "dependent": policy},
        resample=data.draw(st.sampled_from([None, {"interval": "week"}, {"interval": "month"}])),
        window={"start": "2023-01-05"},
        derived=[
            {"op": "calendar", "name": "x", "months": [1]},
            {"op": "ratio", "name": "y", "numerator": "x", "denominator": "tv_S"},
        ],
        calibration=[study()],
        budget={"start": "2023-01-02"},
    )
    prepared = validated(frame, asked)
    assert prepared.table is None
    assert errors(prepared)
    assert ValidationReport.model_validate_json(prepared.report.model_dump_json()) == prepared.report


def test_numbers_stay_exact() -> None:
    awkward = np.array([0.1 + 0.2, 1e-300, 1e99, 1 / 3] * 26)
    prepared = validated(weekly().assign(Revenue=awkward.astype(str)))
    assert prepared.table is not None
    assert prepared.table["Revenue"].to_pylist() == awkward.tolist()
    assert prepared.table["DATE"][0].as_py() == date(2023, 1, 2)


def warned(frame: pd.DataFrame, code: str, asked: TrainRequest | None = None) -> list[str]:
    """The messages of this kind of warning; the data can be trained on."""
    prepared = validated(frame, asked)
    assert prepared.report.valid, prepared.report.findings
    return [finding.message for finding in prepared.report.findings if finding.code == code]


def test_a_channel_without_spend_in_the_rows_that_are_trained_on() -> None:
    frame = weekly()
    frame.loc[:59, "tv_S"] = 0.0
    asked = request(search={"time_series_validation": True, "train_size": [0.5, 0.8]})
    (message,) = warned(frame, "untrained-media", asked)
    assert "'tv_S' is 0 in the first 52 rows of the window" in message
    assert warned(frame, "untrained-media") == []


def test_columns_that_are_the_same_are_named_with_their_correlation() -> None:
    frame = weekly().assign(tv_2=lambda data: data["tv_S"], reach=lambda data: 3 * data["Competitor"] + 1)
    noise = np.random.default_rng(1).normal(1, 0.01, len(frame))
    frame["newsletter"] = frame["Search_Clicks"] * noise
    asked = request({"paid_media": ["tv_S", "tv_2", {"spend": "Search_S", "exposure": "Search_Clicks"}]})
    asked = asked.model_copy(
        update={
            "columns": asked.columns.model_copy(
                update={"context": [*asked.columns.context, Variable(name="reach")]}
            )
        }
    )
    messages = warned(frame, "similar-columns", asked)
    assert len(messages) == 3
    assert "'tv_S' and 'tv_2' are equal: their correlation is 1" in messages[0]
    assert "'Search_Clicks' and 'newsletter' are nearly the same: their correlation is 0.99" in messages[1]
    assert "'Competitor' and 'reach'" in messages[2]


@pytest.mark.parametrize("order", [["tv_S", "Search_S", "total"], ["total", "tv_S", "Search_S"]])
def test_a_sum_of_columns_is_named_with_its_coefficients(order: list[str]) -> None:
    frame = weekly().assign(total=lambda data: (data["tv_S"] + data["Search_S"]).round(2))
    (message,) = warned(frame, "sum-of-columns", request({"paid_media": order}))
    assert "'total' is made of others: " in message
    assert "1 × 'tv_S'" in message
    assert "1 × 'Search_S'" in message


def test_the_dependent_variable_in_disguise_is_named() -> None:
    random = np.random.default_rng(1)
    noisy = weekly().assign(Competitor=lambda data: data["Revenue"] * random.normal(1, 0.03, len(data)))
    (message,) = warned(noisy, "dependent-in-disguise")
    assert "'Competitor' may be the dependent variable 'Revenue'" in message
    assert "correlation is 0.99" in message
    parts = weekly().assign(new=lambda data: data["Revenue"] * random.uniform(0.3, 0.7, len(data)))
    parts["old"] = parts["Revenue"] - parts["new"]
    (message,) = warned(parts, "dependent-in-disguise", request({"context": ["new", "old"]}))
    assert "1 × 'new' + 1 × 'old'" in message
    commission = weekly().assign(tv_S=lambda data: data["Revenue"] * 0.05)
    assert len(warned(commission, "dependent-in-disguise")) == 1


def test_rows_per_variable_are_those_of_the_window() -> None:
    (message,) = warned(weekly(), "few-rows", request(window={"start": "2024-03-04"}))
    assert "43 rows for 5 variables" in message
