"""The baseline columns of the model: Prophet's components and the numeric effect of each factor.

Follows Robyn 3.12.1 (robyn-spec §2.2): Prophet sees all rows, its holidays are moved to the dates of the
data, factors become dummies, and the sum of a factor's dummies replaces the factor. Robyn brings a holiday
table of its own; here the calendar is that of the `holidays` package, so a few public days differ.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial

import pandas as pd

from contracts.model import Prophet as ProphetConfig
from contracts.model import ProphetComponent
from contracts.series import Interval
from trainer.engines.common import Floats, InvalidInputs

_FORECAST_COLUMN: dict[ProphetComponent, str] = {
    "trend": "trend",
    "season": "yearly",
    "monthly": "monthly",
    "weekday": "weekly",
    "holiday": "holidays",
}
_MOST_LEVELS = 10
"""Levels of a factor that have an effect of their own; the rest share one (Robyn: 10)."""
_DROPPED = {"cmdstanpy": logging.INFO, "prophet": logging.INFO, "prophet.plot": logging.ERROR}
"""Level up to which messages of a logger are dropped."""


@dataclass(frozen=True)
class ProphetColumns:
    """What Prophet separated, each array of length N (all rows), in units of the dependent variable.

    `components` has the configured components in their order; `factors` the effect of each factor, shifted
    so that its smallest value is 0.
    """

    components: dict[str, Floats]
    factors: dict[str, Floats]


def decompose(
    dates: pd.DatetimeIndex,
    dependent: Floats,
    factors: pd.DataFrame,
    config: ProphetConfig,
    interval: Interval,
) -> ProphetColumns:
    """Separate the configured components and the factors' effects from the dependent variable.

    `dates` (N, ascending, one row per day, week or month) and `dependent` (N) are all rows of the data, not
    only the modelling window; `factors` has N rows and one column per factor. Without any component the
    factors are still estimated, beside Prophet's trend alone, where Robyn would stop. Deterministic.

    Raises InvalidInputs for a component that does not fit the interval, an unknown holiday country, and a
    factor with missing values, one level only, or nearly as many levels as rows.
    """
    if not config.components and factors.columns.empty:
        return ProphetColumns({}, {})
    _check(dates, factors, config, interval)
    dummies = _dummies(factors)
    forecast = _forecast(dates, dependent, dummies, config, interval)
    effects = {name: forecast[columns.columns].sum(axis=1).to_numpy() for name, columns in dummies.items()}
    return ProphetColumns(
        {name: forecast[_FORECAST_COLUMN[name]].to_numpy() for name in config.components},
        {name: effect - effect.min() for name, effect in effects.items()},
    )


def _check(dates: pd.DatetimeIndex, factors: pd.DataFrame, config: ProphetConfig, interval: Interval) -> None:
    problems = []
    if "weekday" in config.components and interval != "day":
        problems.append(f"the component `weekday` needs daily data, these are per {interval}; remove it")
    if "holiday" in config.components and interval == "month" and (dates.day != 1).any():
        problems.append("monthly holidays need dates on the first of the month; move the dates there")
    for name, values in factors.items():
        levels, missing = values.nunique(), int(values.isna().sum())
        if missing:
            problems.append(f"factor '{name}' has {missing} missing values; give them a level")
        if levels < 2 or levels >= 0.9 * len(values):
            problems.append(
                f"factor '{name}' has {levels} levels in {len(values)} rows; leave it out or group it"
            )
    if problems:
        raise InvalidInputs("\n".join(problems))


def _dummies(factors: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Per factor its 0/1 columns, with names of our own: no factor can share one with another or Prophet."""
    return {
        str(name): _one_hot(values.astype(str).reset_index(drop=True)).add_prefix(f"factor_{i}_level_")
        for i, (name, values) in enumerate(factors.items())
    }


def _one_hot(values: pd.Series[str]) -> pd.DataFrame:
    """Dummies of one factor: the second of two levels, otherwise every level but the last in sorted order."""
    counts = values.value_counts()
    frequent = sorted(counts.index, key=lambda level: (-counts[level], level))[:_MOST_LEVELS]
    values = values.where(values.isin(frequent), "OTHER")
    levels = sorted(values.unique(), key=lambda level: (level.casefold(), level))
    encoded = levels[1:] if len(levels) == 2 else levels[:-1]
    return pd.DataFrame({str(i): (values == level).astype(float) for i, level in enumerate(encoded)})


def _forecast(
    dates: pd.DatetimeIndex,
    dependent: Floats,
    dummies: dict[str, pd.DataFrame],
    config: ProphetConfig,
    interval: Interval,
) -> pd.DataFrame:
    components = config.components
    table = _holiday_table(dates, config, interval) if "holiday" in components else None
    with _quiet():
        from prophet import Prophet  # here, because it takes most of a second

        model = Prophet(
            holidays=table,
            yearly_seasonality="season" in components,
            weekly_seasonality="weekday" in components,
            daily_seasonality=False,
            uncertainty_samples=0,
        )
        if "monthly" in components:
            model.add_seasonality("monthly", period=30.5, fourier_order=5, prior_scale=10)
        frame = pd.concat([pd.DataFrame({"ds": dates, "y": dependent}), *dummies.values()], axis=1)
        for name in frame.columns[2:]:
            model.add_regressor(name)
        forecast: pd.DataFrame = model.fit(frame).predict(frame)
    return forecast


def _holiday_table(dates: pd.DatetimeIndex, config: ProphetConfig, interval: Interval) -> pd.DataFrame:
    """The country's and the custom holidays for Prophet: columns ds (a date of the data) and holiday.

    Of weekly and monthly data, holidays of one period and calendar year become one holiday whose name joins
    theirs, so that another combination has another effect (robyn-spec §2.2).
    """
    years = dates[0].year, (dates[-1] + pd.Timedelta(days=31)).year
    calendar = _calendar(config.holiday_country, *years) if config.holiday_country else []
    calendar = sorted([*calendar, *((day.date, day.name) for day in config.holidays)])
    days = pd.to_datetime(pd.Series([day for day, _ in calendar]))
    table = pd.DataFrame({"ds": days, "holiday": [_effect_name(name) for _, name in calendar]})
    if interval == "day":
        return table
    if interval == "week":
        table["ds"] -= pd.to_timedelta((days.dt.day_of_week - dates[0].day_of_week) % 7, unit="D")
    else:
        table["ds"] = days.dt.to_period("M").dt.to_timestamp()
    joined = table.groupby(["ds", days.dt.year.rename("year")])["holiday"].agg(", ".join)
    return joined.reset_index()[["ds", "holiday"]]


def _effect_name(holiday: str) -> str:
    """A name that Prophet takes: none of its own words, and not what it puts between name and day."""
    return f"holiday {holiday.replace('_delim_', ' ')}"


def _calendar(country: str, first_year: int, last_year: int) -> list[tuple[date, str]]:
    import holidays

    try:
        found = holidays.country_holidays(country, years=range(first_year, last_year + 1), language="en_US")
    except NotImplementedError as error:
        raise InvalidInputs(
            f"no holiday calendar for country '{country}'; use an ISO code such as DE, or leave `holiday` out"
        ) from error
    return sorted(found.items())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings of Prophet and Stan, but not their progress lines or the note that plotly is missing."""
    with ExitStack() as stack:
        for name, dropped in _DROPPED.items():
            logger = logging.getLogger(name)
            louder = partial(
                _is_above, dropped
            )  # a filter, as the level is set again when Stan is first used
            logger.addFilter(louder)
            stack.callback(logger.removeFilter, louder)
        yield


def _is_above(level: int, record: logging.LogRecord) -> bool:
    return record.levelno > level
