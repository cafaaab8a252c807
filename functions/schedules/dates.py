"""Dates that are relative to the run of a schedule: `last full week` and the like."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

FORMS = (
    "a day such as 2026-01-31, `today`, `yesterday`, `30 days ago`, `last full week` (month, quarter, year), "
    "or `last 104 full weeks` (months, quarters, years)"
)
_DAYS = ("start", "end")
"""Fields that hold days; the last part of the path, where a row of a batch names it by one."""
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_LAST = re.compile(r"last (?:([1-9]\d{0,3}) )?full (week|month|quarter|year)(s?)")
_AGO = re.compile(r"([1-9]\d{0,4}) days? ago")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def with_days(template: Any, today: date) -> tuple[Any, list[str]]:
    """A template in which each relative `start` and `end` is a day, and the problems as `path: why`.

    Of full periods, which end before `today`, `start` is the first day of the first one and `end` the last
    day of the last one. Weeks begin on Monday. Nothing else is changed.
    """
    problems: list[str] = []
    return _resolved(template, "", today, problems), problems


def _resolved(value: Any, path: str, today: date, problems: list[str]) -> Any:
    if isinstance(value, list):
        return [_resolved(one, f"{path}[{i}]", today, problems) for i, one in enumerate(value)]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, one in value.items():
        its = f"{path}.{name}" if path else str(name)
        if name.rpartition(".")[2] in _DAYS and isinstance(one, str) and not _DAY.fullmatch(one):
            day = _day(one, name.endswith("start"), today)
            if day is None:
                problems.append(f"{its}: '{one[:60]}' is no day; write {FORMS}")
            found[name] = one if day is None else day.isoformat()
        else:
            found[name] = _resolved(one, its, today, problems)
    return found


def _day(text: str, first: bool, today: date) -> date | None:
    text = " ".join(text.lower().split())
    if text in ("today", "yesterday"):
        return today - timedelta(days=text == "yesterday")
    if ago := _AGO.fullmatch(text):
        return _safely(lambda: today - timedelta(days=int(ago[1])))
    last = _LAST.fullmatch(text)
    if last is None or bool(last[1]) != bool(last[3]):
        return None
    count, unit = int(last[1] or 1), last[2]
    return _safely(
        lambda: _first(unit, count, today) if first else _first(unit, 0, today) - timedelta(days=1)
    )


def _first(unit: str, back: int, today: date) -> date:
    """The first day of the period so many periods before that of `today`."""
    if unit == "week":
        return today - timedelta(days=today.weekday(), weeks=back)
    months = _MONTHS[unit]
    number = (today.year * 12 + today.month - 1) // months * months - back * months
    return date(number // 12, number % 12 + 1, 1)


def _safely(day: Callable[[], date]) -> date | None:
    try:
        return day()
    except (OverflowError, ValueError):  # before the year 1
        return None
