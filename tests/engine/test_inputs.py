"""What the engine makes of a data frame: window, currency, design, and every problem at once."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts.model import ModelConfig
from contracts.series import columns_of
from trainer.engines.checks import check
from trainer.engines.common import InvalidInputs
from trainer.engines.native.prepare.inputs import build
from trainer.engines.native.prepare.prophet_columns import ProphetColumns
from trainer.engines.native.records import Inputs
from trainer.engines.native.training import fit

NO_PROPHET = ProphetColumns({}, {})


def weekly(rows: int = 20) -> pd.DataFrame:
    steps = np.arange(rows, dtype=float)
    return pd.DataFrame(
        {
            "week": pd.date_range("2020-01-06", periods=rows, freq="7D"),
            "sales": 1000.0 + 50 * np.sin(steps) + 5 * steps,
            "tv": 100.0 + 40 * np.cos(steps),
            "search": 10.0 + steps % 5,
            "clicks": 200.0 + 30 * (steps % 7),
            "price": 5.0 + (steps % 3),
        }
    )


def config(**changes: Any) -> ModelConfig:
    columns = {
        "date": "week",
        "dependent": "sales",
        "dependent_type": "revenue",
        "paid_media": ["tv", {"spend": "search", "exposure": "clicks"}],
        "context": ["price"],
    }
    search = {"iterations": 20, "trials": 1}
    return ModelConfig.model_validate(
        {"columns": columns, "prophet": {"components": []}, "search": search} | changes
    )


def built(data: pd.DataFrame, **changes: Any) -> Inputs:
    check(data, config(**changes))
    return build(data, config(**changes), NO_PROPHET)


@pytest.mark.parametrize(
    ("freq", "rows"), [("7D", 19), ("7D", 104), ("7D", 208), ("D", 400), ("D", 97), ("MS", 11), ("MS", 60)]
)
def test_a_joint_baseline_has_the_columns_that_the_contract_counts(freq: str, rows: int) -> None:
    table = weekly(rows).assign(week=pd.date_range("2020-01-01", periods=rows, freq=freq))
    components = ["trend", "season", "monthly", *(["weekday"] if freq == "D" else [])]
    asked = config(search={"baseline": "joint"}, prophet={"components": components})
    found = build(table, asked, NO_PROPHET)
    assert len(found.columns) == columns_of(asked, rows, found.interval)


@pytest.mark.parametrize(
    ("start", "end", "rows"),
    [
        (None, None, (1, 20)),
        (date(2020, 2, 1), date(2020, 4, 1), (5, 13)),
        (date(2020, 2, 6), date(2020, 4, 5), (6, 13)),
        (date(2019, 1, 1), date(2021, 1, 1), (1, 20)),
    ],
)
def test_the_window_is_the_periods_that_begin_in_its_dates(
    start: date, end: date, rows: tuple[int, int]
) -> None:
    inputs = built(weekly(), window={"start": start, "end": end})
    assert (inputs.first + 1, inputs.stop) == rows


def test_exposures_are_priced_in_the_window() -> None:
    data = weekly()
    inputs = built(data, window={"start": "2020-02-03"})
    clicks = inputs.values[:, inputs.columns.index("clicks")]
    assert clicks[4:].sum() == pytest.approx(data["search"][4:].sum(), rel=1e-14)
    np.testing.assert_allclose(clicks / clicks[0], data["clicks"] / data["clicks"][0], rtol=1e-14)
    assert inputs.columns == ("price", "tv", "clicks")


def test_data_and_inputs_are_left_as_they_are() -> None:
    data, before = weekly(60), weekly(60)
    result = fit(data, config())
    pd.testing.assert_frame_equal(data, before)
    np.testing.assert_array_equal(result.inputs.values, built(before).values)


def test_a_constant_column_gets_no_effect_and_changes_nothing_else() -> None:
    data = weekly(60).assign(holiday=0.0)
    with_it = config(columns=config().columns.model_dump() | {"context": ["holiday", "price"]})
    constant, plain = fit(data, with_it), fit(data, config())
    assert set(constant.coefficients[:, 1]) == {0.0}
    for column in ("nrmse", "decomp.rssd"):
        np.testing.assert_allclose(constant.candidates[column], plain.candidates[column], rtol=1e-9)


def test_every_problem_of_the_data_is_named_at_once() -> None:
    data = weekly()
    data["tv"] = ["much"] * 20
    data.loc[3, "price"] = np.nan
    data.loc[5, "clicks"] = -1
    data.loc[7, "week"] += pd.Timedelta(days=2)
    data["sales"] = 1.0
    with pytest.raises(InvalidInputs, match="tv") as caught:
        fit(data, config())
    problems = str(caught.value).splitlines()
    expected = [
        "'tv' must hold numbers",
        "'price' has 1 missing",
        "'sales' is the same",
        "'clicks' has negative",
    ]
    expected += ["2020-02-17 is followed by 2020-02-26", "2020-02-26 is followed by 2020-03-02"]
    assert len(problems) == len(expected)
    for part, problem in zip(expected, problems, strict=True):
        assert part in problem


DAYS = pd.date_range("2020-01-06", periods=20, freq="7D")


@pytest.mark.filterwarnings("ignore:Could not infer format")
@pytest.mark.parametrize(
    ("dates", "problem"),
    [
        (["soon"] * 20, "'week' has 20 values that are no dates"),
        (DAYS.where(DAYS[7] != DAYS), "'week' has 1 values that are no dates"),
        (range(20), "'week' must hold dates, but is int64"),
        (DAYS.repeat(2)[:20], "the first two dates are 0 days apart"),
        (DAYS[::-1], "sort the rows by date"),
        (pd.date_range("2020-01-06", periods=20, freq="14D"), "the first two dates are 14 days apart"),
    ],
)
def test_dates_that_are_no_calendar(dates: Any, problem: str) -> None:
    with pytest.raises(InvalidInputs, match=problem):
        fit(weekly().assign(week=dates), config())


@pytest.mark.parametrize(
    "dates", [DAYS.tz_localize("Asia/Tokyo"), DAYS + pd.Timedelta(hours=13), DAYS.astype(str)]
)
def test_a_date_is_its_day_where_the_data_were_written(dates: Any) -> None:
    np.testing.assert_array_equal(built(weekly().assign(week=dates)).dates, DAYS.to_numpy())


def test_a_column_that_is_there_twice_is_refused_if_the_model_needs_it() -> None:
    data = weekly().assign(unused=1.0)
    assert fit(pd.concat([data, data[["unused"]]], axis=1), config()).pareto
    with pytest.raises(InvalidInputs, match=r"'tv' \(paid_media\[0\]\.spend\) is in the data more than once"):
        fit(pd.concat([data, data[["tv"]]], axis=1), config())


def test_too_few_rows_and_a_part_that_never_changes_are_said() -> None:
    with pytest.raises(InvalidInputs, match="4 rows to train on are too few for 3 variables, which need 5"):
        fit(weekly(4), config())
    assert fit(weekly(5), config()).best.candidate["rsq_train"] <= 1
    validated = {"search": {"time_series_validation": True, "train_size": 0.6, "iterations": 5, "trials": 1}}
    data = weekly(40)
    data.loc[20:31, "sales"] = 7.0
    with pytest.raises(InvalidInputs, match="'sales' is the same in all rows that are validated on"):
        fit(data, config(**validated))


def test_missing_columns_are_named_with_their_part() -> None:
    with pytest.raises(InvalidInputs, match=r"'clicks' \(paid_media\[1\]\.exposure\)") as caught:
        fit(weekly().drop(columns=["clicks", "price"]), config())
    assert "'price' (context[0])" in str(caught.value)


STUDY = {
    "channels": ["tv"],
    "start": "2020-02-03",
    "end": "2020-03-01",
    "lift": 10,
    "spend": 50,
    "confidence": 0.9,
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": {"start": "2021-01-01"}}, "outside the data, which go from 2020-01-06 to 2020-05-24"),
        ({"window": {"end": "2019-01-01"}}, "outside the data, which go from 2020-01-06 to 2020-05-24"),
        ({"search": {"time_series_validation": True, "train_size": 0.95}}, "leaves 0 of the 20 rows"),
        (
            {"calibration": [STUDY | {"end": "2020-05-25"}]},
            "is not inside the window, 2020-01-06 to 2020-05-24",
        ),
    ],
)
def test_a_configuration_that_does_not_fit_the_data(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputs) as caught:
        fit(weekly(), config(**changes))
    assert message in str(caught.value)


def test_a_channel_without_spend_in_the_window() -> None:
    data = weekly()
    data.loc[10:, "tv"] = 0.0
    with pytest.raises(InvalidInputs, match="'tv' is 0 in all of the window 2020-03-16 to 2020-05-18"):
        fit(data, config(window={"start": "2020-03-16"}))


def test_a_study_that_starts_within_a_week_takes_that_week_in() -> None:
    study = STUDY | {"start": "2020-02-05", "channels": ["search"], "scope": "total"}
    inputs = built(weekly(), calibration=[study])
    assert (inputs.studies[0].first, inputs.studies[0].stop) == (4, 8)
    assert inputs.studies[0].weights == (5 / 7, 1.0, 1.0, 1.0)
    assert inputs.studies[0].media == ("clicks",)


@pytest.mark.parametrize(
    ("step", "interval"), [("D", "day"), ("7D", "week"), ("MS", "month"), ("ME", "month")]
)
def test_intervals(step: str, interval: str) -> None:
    data = weekly()
    data["week"] = pd.date_range("2020-01-01", periods=20, freq=step)
    assert check(data, config()) == interval
