"""Weekly demo data with a known truth, and the train requests for it.

Revenue is built from parts that a marketing mix model can separate: a trend, a yearly season, holidays,
a promotion factor, a competitor, an organic channel, five paid channels with geometric adstock and Hill
saturation, and modest noise. The contribution of every channel is therefore known to the cent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import holidays
import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FIRST_MONDAY = date(2022, 1, 3)
PROMOTIONS = {"regular": 0.0, "sale": 70_000.0, "clearance": 130_000.0}
"""Levels of the factor `promotion`, and what each adds to a week's revenue, in EUR."""
COMPETITOR_EFFECT = -0.09
"""EUR of revenue lost per EUR that the competitor sells."""
DEFAULT_ITERATIONS, DEFAULT_TRIALS = 1_000, 5


@dataclass(frozen=True)
class Channel:
    """The truth of one media channel."""

    name: str
    """Column of spend (EUR per week), or of sends for the organic channel."""
    level: float
    """Typical value of a week in which the channel is on."""
    weeks_on: tuple[int, int]
    """Shortest and longest flight."""
    weeks_off: tuple[int, int]
    """Shortest and longest pause between flights."""
    theta: float
    """Geometric adstock: the share of the effect that is kept to the next week."""
    alpha: float
    """Shape of the Hill curve."""
    gamma: float
    """Its inflexion, as a share of the highest adstocked value."""
    effect: float
    """Revenue per unit over the whole data: ROAS of a paid channel, EUR per send of the newsletter."""
    exposure: str | None = None
    """Column of exposures, if they were counted."""
    price: float = 1.0
    """Typical EUR per exposure."""


CHANNELS = (
    Channel("tv_spend", 95_000, (2, 4), (2, 5), theta=0.45, alpha=1.5, gamma=0.5, effect=2.4),
    Channel("ooh_spend", 55_000, (2, 4), (4, 9), theta=0.30, alpha=1.4, gamma=0.6, effect=1.9),
    Channel("print_spend", 32_000, (1, 3), (2, 6), theta=0.20, alpha=1.2, gamma=0.7, effect=1.6),
    Channel("search_spend", 38_000, (3, 7), (2, 4), 0.10, 1.1, 0.5, 2.6, "search_clicks", 0.85),
    Channel("social_spend", 34_000, (2, 5), (2, 4), 0.20, 1.3, 0.6, 2.4, "social_impressions", 0.0065),
    Channel("newsletter_sends", 210_000, (1, 3), (1, 4), theta=0.15, alpha=1.2, gamma=0.7, effect=0.38),
)
"""The paid channels, and last the organic one."""
PAID, ORGANIC = CHANNELS[:-1], CHANNELS[-1]


@dataclass(frozen=True, eq=False)
class DemoData:
    """A data set and its true effects. Money in EUR."""

    table: pd.DataFrame
    """One row per week (Mondays): date, revenue, channels, competitor_sales, promotion."""
    components: pd.DataFrame
    """The parts whose sum is the revenue, per week: baseline parts, one column per channel, noise."""
    contributions: dict[str, float]
    """Revenue that each channel earned in all weeks; paid channels by their spend column."""
    roas: dict[str, float]
    """Contribution per EUR of spend of each paid channel."""


def generate(
    seed: int = 7, weeks: int = 208, country: str = "DE", channels: tuple[Channel, ...] = CHANNELS
) -> DemoData:
    """Make `weeks` of weekly data with the public holidays of `country`; equal for equal arguments.

    `channels` are those of CHANNELS, of which the truth (adstock, saturation, effect) may be another.
    """
    random = np.random.default_rng(seed)
    mondays = [FIRST_MONDAY + timedelta(weeks=week) for week in range(weeks)]
    table = pd.DataFrame({"date": pd.to_datetime(mondays)})
    components = pd.DataFrame(_baseline(mondays, country))
    for channel in channels:
        columns, driver = _media(channel, weeks, random)
        table = table.assign(**columns)
        components[channel.name] = _response(channel, driver, table[channel.name].sum())
    table["competitor_sales"] = _competitor(weeks, random).round(2)
    components["competitor_sales"] = COMPETITOR_EFFECT * table["competitor_sales"]
    table["promotion"] = _promotions(weeks, random)
    components["promotion"] = table["promotion"].map(PROMOTIONS).astype(float)
    components["noise"] = random.normal(0, 18_000, weeks)
    table.insert(1, "revenue", components.sum(axis=1).round(2))
    contributions = {channel.name: float(components[channel.name].sum()) for channel in channels}
    roas = {paid.name: contributions[paid.name] / float(table[paid.name].sum()) for paid in channels[:-1]}
    return DemoData(table, components, contributions, roas)


def _baseline(mondays: list[date], country: str) -> dict[str, Floats]:
    """Trend, yearly season and holidays (Christmas raises sales, others close the shops for a day)."""
    week = np.arange(len(mondays))
    angle = 2 * np.pi * np.array([day.timetuple().tm_yday for day in mondays]) / 365.25
    calendar = holidays.country_holidays(country)
    days_off = [
        [day + timedelta(days=i) for i in range(7) if day + timedelta(days=i) in calendar] for day in mondays
    ]
    effect = [sum(55_000.0 if day.month == 12 else -35_000.0 for day in days) for days in days_off]
    return {
        "trend": 1_050_000.0 + 900.0 * week,
        "season": 120_000 * np.cos(angle) + 45_000 * np.sin(2 * angle),
        "holiday": np.array(effect),
    }


def _media(channel: Channel, weeks: int, random: np.random.Generator) -> tuple[dict[str, Floats], Floats]:
    """The columns of a channel, and the one that drives its effect: exposures if counted, else spend."""
    spend = (_flights(channel, weeks, random) * channel.level * random.lognormal(0, 0.35, weeks)).round(2)
    if channel.name == ORGANIC.name:
        spend = spend.round()
    if channel.exposure is None:
        return {channel.name: spend}, spend
    exposure = (spend / (channel.price * random.lognormal(0, 0.12, weeks))).round()
    return {channel.name: spend, channel.exposure: exposure}, exposure


def _flights(channel: Channel, weeks: int, random: np.random.Generator) -> Floats:
    """1 while the channel is on, otherwise 0: flights and pauses of random length."""
    weight = np.zeros(weeks)
    start = int(random.integers(0, channel.weeks_off[1] + 1))
    while start < weeks:
        stop = start + int(random.integers(channel.weeks_on[0], channel.weeks_on[1] + 1))
        weight[start:stop] = 1
        start = stop + int(random.integers(channel.weeks_off[0], channel.weeks_off[1] + 1))
    return weight


def _response(channel: Channel, driver: Floats, total: float) -> Floats:
    """Revenue per week: geometric adstock, Hill saturation, scaled so that `effect` holds over all weeks."""
    adstocked = driver.copy()
    for week in range(1, len(driver)):
        adstocked[week] += channel.theta * adstocked[week - 1]
    inflexion = channel.gamma * adstocked.max()
    saturated: Floats = adstocked**channel.alpha / (adstocked**channel.alpha + inflexion**channel.alpha)
    scale = channel.effect * total / float(saturated.sum())
    return saturated * scale


def _competitor(weeks: int, random: np.random.Generator) -> Floats:
    """Sales of a competitor, EUR per week: a level that wanders slowly, and noise."""
    drift = np.zeros(weeks)
    for week in range(1, weeks):
        drift[week] = 0.8 * drift[week - 1] + random.normal(0, 200_000)
    return 2_200_000 + drift + random.normal(0, 80_000, weeks)


def _promotions(weeks: int, random: np.random.Generator) -> list[str]:
    return [str(level) for level in random.choice(list(PROMOTIONS), size=weeks, p=[0.74, 0.17, 0.09])]


def demo_request(
    request_id: str, iterations: int = DEFAULT_ITERATIONS, trials: int = DEFAULT_TRIALS
) -> dict[str, Any]:
    """The train request for `generate().table`, stored as table `weekly_sales` of the warehouse `demo`."""
    source = {
        "kind": "table",
        "connection": "demo",
        "database": "demo",
        "schema": "main",
        "table": "weekly_sales",
    }
    return {"request_id": request_id, "source": source, **_settings("DE", iterations, trials)}


def demo_settings(iterations: int = DEFAULT_ITERATIONS, trials: int = DEFAULT_TRIALS) -> str:
    """YAML settings to lay beside an upload: the `demo_csv` of data generated for `country="AT"`."""
    return yaml.safe_dump(_settings("AT", iterations, trials), sort_keys=False)


def demo_csv(data: DemoData) -> bytes:
    """The table as a spreadsheet with a German locale exports it: semicolons and decimal commas, UTF-8."""
    text: str = data.table.to_csv(index=False, sep=";", decimal=",", date_format="%Y-%m-%d")
    return text.encode()


def bad_request(request_id: str) -> dict[str, Any]:
    """A valid request for `bad_table(generate().table)`, stored as table `broken_sales`."""
    request = demo_request(request_id)
    return {**request, "source": {**request["source"], "table": "broken_sales"}}


def bad_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table, wrong in four ways at once.

    `print_spend` is missing, `tv_spend` is negative once, the first date stands there twice, and
    `competitor_sales` holds a word.
    """
    broken = pd.concat([table.iloc[[0]], table], ignore_index=True).drop(columns="print_spend")
    broken.loc[40, "tv_spend"] = -12_500.0
    broken["competitor_sales"] = broken["competitor_sales"].astype(str)
    broken.loc[60, "competitor_sales"] = "unknown"
    return broken


def _settings(country: str, iterations: int, trials: int) -> dict[str, Any]:
    paid = [{"spend": channel.name, "exposure": channel.exposure} for channel in PAID]
    return {
        "country": country,
        "revision": "demo",
        "columns": {
            "date": "date",
            "dependent": "revenue",
            "dependent_type": "revenue",
            "paid_media": [{key: value for key, value in channel.items() if value} for channel in paid],
            "organic": [ORGANIC.name],
            "context": [{"name": "competitor_sales", "sign": "negative"}],
            "factors": ["promotion"],
        },
        "prophet": {"components": ["trend", "season", "holiday"], "holiday_country": country},
        "search": {"iterations": iterations, "trials": trials},
        "labels": {"purpose": "demo"},
    }
