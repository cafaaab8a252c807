"""The rows of a series, as validate and the engines share them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import series
from contracts.model import ModelConfig, Window

WEEKS = [date(2020, 1, 6) + timedelta(weeks=week) for week in range(20)]
COLUMNS = {"date": "week", "dependent": "sales", "dependent_type": "revenue", "paid_media": ["tv"]}


def model(**fields: object) -> ModelConfig:
    return ModelConfig.model_validate({"columns": COLUMNS, **fields})


def validated(low: float, high: float) -> ModelConfig:
    return model(search={"time_series_validation": True, "train_size": [low, high]})


@pytest.mark.parametrize(
    ("interval", "days", "last"),
    [
        ("day", ["2024-02-28", "2024-02-29"], ["2024-02-28", "2024-02-29"]),
        ("week", ["2023-12-25", "2024-01-01"], ["2023-12-31", "2024-01-07"]),
        ("month", ["2023-12-01", "2024-01-01", "2024-02-01"], ["2023-12-31", "2024-01-31", "2024-02-29"]),
        ("month", ["2023-12-31", "2024-01-31", "2024-02-29"], ["2024-01-30", "2024-02-28", "2024-03-30"]),
        ("month", ["2023-01-30", "2023-02-28"], ["2023-02-27", "2023-03-29"]),
    ],
)
def test_a_period_ends_the_day_before_the_next_one_begins(
    interval: series.Interval, days: list[str], last: list[str]
):
    dates = [date.fromisoformat(day) for day in days]
    assert [str(day) for day in series.last_days(dates, interval)] == last


@pytest.mark.parametrize(
    ("start", "end", "rows"),
    [
        (None, None, range(20)),
        (date(2020, 2, 1), date(2020, 4, 1), range(4, 13)),
        (date(2020, 2, 6), date(2020, 4, 5), range(5, 13)),
        (date(2020, 2, 3), date(2020, 2, 3), range(4, 5)),
        (date(2020, 2, 4), date(2020, 2, 9), range(4, 5)),
        (date(2020, 5, 20), None, range(19, 20)),
        (None, date(2020, 1, 8), range(1)),
        (date(2019, 1, 1), date(2021, 1, 1), range(20)),
    ],
)
def test_a_window_is_the_periods_that_begin_in_its_dates(start: date | None, end: date | None, rows: range):
    assert series.rows_within(WEEKS, start, end) == rows


def test_a_window_beside_the_data_is_told_with_what_the_data_cover():
    obstacle = series.outside(WEEKS, "week", Window(start=date(2021, 1, 4)))
    assert obstacle is not None
    assert "which go from 2020-01-06 to 2020-05-24" in str(obstacle)
    assert series.outside(WEEKS, "week", Window(start=date(2020, 5, 24), end=date(2021, 1, 4))) is None


@given(st.integers(2, 400), st.floats(0.11, 1.0))
def test_a_split_uses_every_row_once(rows: int, train_size: float):
    train, validated = series.split(rows, train_size)
    assert 1 <= train <= validated <= rows


def test_a_model_has_a_least_size():
    assert list(series.size_obstacles(100, "week", model())) == []
    alone = series.size_obstacles(4, "week", model(prophet={"components": []}))
    assert [obstacle.code for obstacle in alone] == ["one-variable"]
    (few,) = series.size_obstacles(4, "week", model())
    assert "4 rows to train on are too few for 3 variables, which need 5" in few.message
    (parts,) = series.size_obstacles(40, "week", validated(0.5, 0.97))
    assert "leaves 0 of the 40 rows" in parts.message


def test_a_flat_dependent_variable_leaves_nothing_to_explain():
    rising = [float(row) for row in range(40)]
    assert list(series.flat_obstacles(rising, validated(0.5, 0.8))) == []
    (train,) = series.flat_obstacles([1.0] * 20 + rising[20:], validated(0.5, 0.8))
    assert "in all 20 rows that are trained on" in train.message
    (judged,) = series.flat_obstacles(rising[:20] + [1.0] * 20, validated(0.5, 0.8))
    assert "in all rows that are validated on" in judged.message
