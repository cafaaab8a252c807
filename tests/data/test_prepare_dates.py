"""Dates as people and programs write them: read where they have one meaning, else refused with the cause."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import pandas as pd
import pytest

from contracts.job import Finding
from functions.validate.prepare import Prepared, prepare
from tests.data.cases import errors, only, request, uploaded, validated, weekly

DAYS = pd.date_range("2022-01-01", periods=120, freq="D")
WEEKS = pd.date_range("2022-01-03", periods=104, freq="7D")
MONTHS = pd.date_range("2020-01-01", periods=48, freq="MS")
SERIES = {"day": DAYS, "week": WEEKS, "month": MONTHS}


def dated(texts: Iterable[str]) -> Prepared:
    """What becomes of an upload whose dates are written so."""
    texts = list(texts)
    return prepare(
        uploaded(weekly(len(texts)).assign(DATE=texts).to_csv(index=False, sep=";")), request(), "fp"
    )


def read(prepared: Prepared) -> list[date]:
    assert prepared.table is not None, prepared.report.findings
    days: list[date] = prepared.table["DATE"].to_pylist()
    return days


def refused(texts: Iterable[str], code: str) -> Finding:
    """The one and only error."""
    prepared = dated(texts)
    assert errors(prepared) == [code], prepared.report.findings
    return only(prepared, code)


@pytest.mark.parametrize(
    ("interval", "form"),
    [
        ("month", "%Y-%m"),
        ("month", "%Y年%m月"),
        ("month", "%YM%m"),
        ("month", "%m/%Y"),
        ("month", "%Y%m"),
        ("month", "%b %Y"),
        ("month", "%b-%y"),
        ("month", "%y-%b"),
        ("month", "%m/%y"),
        ("month", "%d/%m/%Y"),
        ("month", "%m/%d/%Y"),
        ("month", "%d.%m.%y"),
        ("month", "%m/%d/%y"),
        ("week", "%G-W%V"),
        ("week", "KW %V/%Y"),
        ("week", "%y/%m/%d"),
        ("week", "%d-%b-%Y"),
        ("week", "%b %d, %Y"),
        ("week", "%A, %B %d, %Y"),
        ("week", "%a %d/%m/%Y"),
        ("week", "%d%b%Y:%H:%M:%S"),
        ("week", "%d.%m.%Y %H:%M"),
        ("week", "%d.%m.%Y, %H:%M Uhr"),
        ("week", "%m/%d/%Y %I:%M:%S %p"),
        ("week", "%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)"),
        ("day", "%d/%m/%y"),
        ("day", "%y%m%d"),
        ("day", "%d%m%Y"),
        ("day", "%B %d, %Y at %I:%M %p"),
    ],
)
def test_what_has_one_meaning_is_read(interval: str, form: str) -> None:
    days = SERIES[interval]
    prepared = dated(days.strftime(form))
    assert read(prepared) == [day.date() for day in days]
    assert prepared.report.interval == interval


def test_digits_may_lack_their_zeros() -> None:
    assert read(dated(f"{day.year}-{day.month}-{day.day}" for day in WEEKS)) == [day.date() for day in WEEKS]
    assert read(dated(f"{day.day}. {day.month}. {day.year}" for day in DAYS)) == [day.date() for day in DAYS]


@pytest.mark.parametrize(
    "names",
    [
        "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
        "Jänner Feber März April Mai Juni Juli August September Oktober November Dezember",
        "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
        "ene feb mar abr may jun jul ago sept oct nov dic",
        "gen feb mar apr mag giu lug ago set ott nov dic",
        "jan fev mar abr mai jun jul ago set out nov dez",
        "jan feb mrt apr mei jun jul aug sep okt nov dec",
        "jan feb mar apr maj jun jul aug sep okt nov dec",
        "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
        "leden únor březen duben květen červen červenec srpen září říjen listopad prosinec",
        "OCA ŞUB MAR NİS MAY HAZ TEM AĞU EYL EKİ KAS ARA",
    ],
)
def test_months_have_names_in_many_languages(names: str) -> None:
    month = names.split()
    assert read(dated(f"{month[day.month - 1]} {day.year}" for day in MONTHS)) == [
        day.date() for day in MONTHS
    ]
    written = (f"{day.day}. {month[day.month - 1]} {day.year}" for day in WEEKS)
    assert read(dated(written)) == [day.date() for day in WEEKS]


def test_two_orders_that_both_fit_are_refused_with_both_readings() -> None:
    finding = refused(MONTHS[:12].strftime("%d/%m/%Y"), "ambiguous-dates")
    assert "'01/02/2020' is 2020-02-01 read day first, and 2020-01-02 read month first" in finding.message
    assert finding.count == 11  # 01/01 is certain


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([str(44564 + 7 * i) for i in range(104)], "Excel's day numbers"),
        ([f"{44564 + 7 * i}.0" for i in range(104)], "Excel's day numbers"),
        ([str(1641168000 + 604800 * i) for i in range(104)], "seconds since 1970"),
        ([str(1641168000000 + 604800000 * i) for i in range(104)], "milliseconds since 1970"),
        (WEEKS.strftime("%G%V"), "years with numbers of weeks"),
        (WEEKS.strftime("Week %V, %Y"), "numbers of weeks"),
        (WEEKS.strftime("FY22 W%V"), "fiscal periods"),
        (WEEKS.strftime("%d-%b"), "no year"),
        (WEEKS.strftime("%d.%m."), "no year"),
        ([f"{2000 + i // 4}-Q{i % 4 + 1}" for i in range(40)], "quarters"),
        (WEEKS.strftime("%m/%d/%Y - %m/%d/%Y"), "two dates"),
        (["########"] * 20, "too narrow"),
    ],
)
def test_what_is_no_date_is_called_what_it_looks_like(texts: Iterable[str], words: str) -> None:
    assert words in refused(texts, "not-a-date").message


def test_an_unreadable_date_causes_no_second_error() -> None:
    assert refused([*WEEKS.strftime("%Y-%m-%d")[:-30], *["soon"] * 30], "not-a-date").count == 30
    assert refused([*WEEKS.strftime("%d/%m/%Y")[:-1], "12/30/2023"], "mixed-dates").rows == [104]


def swapped(day: pd.Timestamp, form: str = "%Y-%m-%d") -> str:
    return f"{day.year}-{day.day:02d}-{day.month:02d}" if day.day <= 12 else day.strftime(form)


@pytest.mark.parametrize("days", [WEEKS, DAYS, pd.date_range("2022-01-01", "2023-12-31")])
def test_days_and_months_that_excel_swapped_are_recognised(days: pd.DatetimeIndex) -> None:
    finding = refused(map(swapped, days), "swapped-days")
    assert "Excel" in finding.advice
    assert finding.count == sum(day.day <= 12 and day.day != day.month for day in days)


def test_days_that_excel_swapped_beside_others_that_stayed_text() -> None:
    finding = refused((swapped(day, "%d/%m/%Y") for day in WEEKS), "mixed-dates")
    assert "Excel" in finding.advice


def test_every_second_week_is_named_as_such_in_a_whole_sentence() -> None:
    finding = refused(
        pd.date_range("2020-01-06", periods=100, freq="14D").strftime("%Y-%m-%d"), "irregular-interval"
    )
    assert finding.message == "the dates are neither daily, weekly nor monthly: they are 14 days apart"


ZONES = [
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Australia/Adelaide",
    "Pacific/Auckland",
    "Pacific/Honolulu",
]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("interval", ["day", "week", "month"])
def test_local_midnights_in_utc_are_local_days(interval: str, zone: str) -> None:
    local = SERIES[interval].tz_localize(zone)
    utc = local.tz_convert("UTC")
    expected = [day.date() for day in local]
    assert read(dated(utc.strftime("%Y-%m-%dT%H:%M:%SZ"))) == expected
    typed = weekly(len(local)).assign(DATE=utc.as_unit("us"))
    assert read(validated(typed)) == expected


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Europe/London", "America/New_York", "Pacific/Auckland"])
def test_local_midnights_need_no_zone_where_daylight_saving_shows_them(zone: str) -> None:
    local = pd.date_range("2022-01-01", periods=120, freq="D").append(pd.date_range("2022-05-01", periods=60))
    local = local.tz_localize(zone)
    written = local.tz_convert("UTC").strftime("%Y-%m-%d %H:%M")
    assert read(dated(written)) == [day.date() for day in local]


def test_utc_days_in_a_zone_west_of_greenwich_are_those_days() -> None:
    written = [day.isoformat() for day in WEEKS.tz_localize("UTC").tz_convert("America/New_York")]
    assert written[0] == "2022-01-02T19:00:00-05:00"
    assert read(dated(written)) == [day.date() for day in WEEKS]


def test_what_was_done_to_local_midnights_is_said() -> None:
    written = MONTHS.tz_localize("Europe/Berlin").tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    finding = only(dated(written), "local-midnight")
    assert "22:00 and 23:00, are midnights of another time zone" in finding.message
    assert "2019-12-31 23:00 as 2020-01-01" in finding.message


@pytest.mark.parametrize("time", ["18:00", "23:59:59", "12:00", "08:15"])
def test_other_times_of_day_leave_the_day_as_it_is(time: str) -> None:
    prepared = dated(WEEKS.strftime(f"%Y-%m-%d {time}"))
    assert read(prepared) == [day.date() for day in WEEKS]
    assert only(prepared, "time-dropped").severity == "change"


def test_a_time_that_may_be_midnight_elsewhere_is_a_warning() -> None:
    finding = only(dated(DAYS.strftime("%Y-%m-%d 15:00")), "time-dropped")
    assert finding.severity == "warning"
    assert "time zone" in finding.advice
