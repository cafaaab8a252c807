"""When schedules come, over changes of the clock too, and which days they mean."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.schedules.dates import with_days
from functions.schedules.occurrences import NoSuchTime, last_until, occurrences

BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def told(cron: str, after: str, count: int, zone: str = BERLIN) -> list[str]:
    return [f"{at:%m-%d %H:%M}" for at in islice(occurrences(cron, zone, utc(after)), count)]


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("0 6 * * MON", "2026-03-22", ["03-23 05:00", "03-30 04:00"]),  # summer time begins on the 29th
        ("30 2 * * *", "2026-03-28", ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),  # the clock skips 2:30
        ("15,45 2 * * *", "2026-03-29", ["03-29 01:00", "03-30 00:15", "03-30 00:45"]),
        ("30 2 * * *", "2026-10-24", ["10-24 00:30", "10-25 00:30", "10-26 01:30"]),  # it shows 2:30 twice
        ("0 * * * *", "2026-10-24T23:30", ["10-25 00:00", "10-25 01:00", "10-25 02:00"]),  # every hour passes
        ("0 * * * *", "2026-03-28T23:30", ["03-29 00:00", "03-29 01:00", "03-29 02:00"]),
        ("0 0 31 * *", "2026-01-01", ["01-30 23:00", "03-30 22:00", "05-30 22:00"]),
    ],
)
def test_an_occurrence_comes_once_at_the_time_of_its_zone(cron: str, after: str, expected: list[str]):
    assert told(cron, after, len(expected)) == expected


CRONS = st.sampled_from(["0 6 * * MON", "30 2 * * *", "*/7 * * * *", "0 */6 1 * *", "0,30 1-3 * * *"])
ZONES = st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
MOMENTS = st.integers(0, 3 * 365 * 24 * 60).map(lambda m: utc("2025-01-01") + timedelta(minutes=m))


@settings(max_examples=150, deadline=None)
@given(cron=CRONS, zone=ZONES, after=MOMENTS, cut=st.integers(0, 39))
def test_from_wherever_one_counts_the_occurrences_are_the_same(
    cron: str, zone: str, after: datetime, cut: int
):
    every = list(islice(occurrences(cron, zone, after), 41))
    assert all(one < other for one, other in zip([after, *every], every, strict=False))
    assert next(occurrences(cron, zone, every[cut])) == every[cut + 1]
    between = every[cut] + (every[cut + 1] - every[cut]) / 2
    assert next(occurrences(cron, zone, between)) == every[cut + 1]
    assert last_until(cron, zone, after, between) == every[cut]
    assert last_until(cron, zone, every[cut], between) is None


def test_the_last_occurrence_is_found_fast_after_years_of_outage():
    later = utc("2046-01-01T00:00")
    assert last_until("* * * * *", BERLIN, utc("2026-01-01"), later) == later
    assert last_until("0 0 29 2 *", "UTC", utc("2026-01-01"), later) == utc("2044-02-29")


@pytest.mark.parametrize(
    ("cron", "zone", "why"),
    [
        ("0 25 * * *", "UTC", "Bad hour"),
        ("0 0 30 2 *", "UTC", "Bad day-of-month"),
        ("0 6 * * MON", "Europe/Berlino", "no time zone 'Europe/Berlino'"),
        ("0 6 * * MON", "../../etc/passwd", "no time zone"),
        ("0 6 * * MON", "", "no time zone"),
        ("0 6 * * MON", "Europe", "no time zone"),
    ],
)
def test_what_is_no_time_is_told(cron: str, zone: str, why: str):
    with pytest.raises(NoSuchTime, match=why):
        next(occurrences(cron, zone, utc("2026-01-01")))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("last full week", "2026-11-16", "2026-11-22"),
        ("last 104 full weeks", "2024-11-25", "2026-11-22"),
        ("last full month", "2026-10-01", "2026-10-31"),
        ("last 25 full months", "2024-10-01", "2026-10-31"),
        ("Last  full quarter", "2026-07-01", "2026-09-30"),
        ("last 2 full years", "2024-01-01", "2025-12-31"),
        ("today", "2026-11-23", "2026-11-23"),
        ("yesterday", "2026-11-22", "2026-11-22"),
        ("30 days ago", "2026-10-24", "2026-10-24"),
        ("2026-01-31", "2026-01-31", "2026-01-31"),
    ],
)
def test_relative_days_count_from_the_run(text: str, start: str, end: str):
    window = {"window": {"start": text, "end": text}, "budget": {"end": text}, "name": text}
    days, problems = with_days(window, date(2026, 11, 23))  # a Monday
    assert days == {"window": {"start": start, "end": end}, "budget": {"end": end}, "name": text}
    assert problems == []


def test_all_days_that_are_none_are_told_with_their_places():
    template = {
        "window": {"start": "last 9999 full years", "end": "last ful week"},
        "rows": [{"end": "soon"}],
    }
    _, problems = with_days(template, date(2026, 11, 23))
    assert [problem.partition(": ")[0] for problem in problems] == [
        "window.start",
        "window.end",
        "rows[0].end",
    ]
    assert "'last ful week' is no day; write a day such as" in problems[1]
