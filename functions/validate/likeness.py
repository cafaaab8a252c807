"""What values that are no dates look like, so that a message can name the cause."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

_LOOKED_AT = 1000
"""Values from which the cause is told."""
_EXCEL = date(1899, 12, 30)
_EPOCHS = {10: 1, 13: 10**3, 16: 10**6, 19: 10**9}
_WORDS: tuple[tuple[str, str, str], ...] = (
    (r"^#+$", "the column was too narrow in Excel", "widen the column in Excel and export again"),
    (
        r"(?i)^(?:\d{4}[ -]?[QT][1-4]|[QT][1-4][ -/]?\d{2,4}|.*(?:quarter|quartal|trim).*)$",
        "they are quarters, and a model needs days, weeks or months",
        "deliver one row per day, week or month",
    ),
    (
        r"(?i)^.*\b(?:FW|FY|FQ|P|fiscal)[ -]?\d{1,4}\b.*$",
        "they are fiscal periods, whose first day only your calendar knows",
        "write the first day of each period as YYYY-MM-DD",
    ),
    (
        r"(?i)^(?:.*\b(?:week|weeks|wk|woche|kw|cw|w|semaine|semana|sem|settimana|vecka|uge|s|v)"
        r"[ .-]*\d{1,3}\b.*|\d{4}[ -]?w\d{1,3})$",
        "they look like numbers of weeks that are not written as ISO weeks",
        "write the first day of each week as YYYY-MM-DD, or the ISO week as 2026-W05",
    ),
    (
        r"^.{6,20}(?: ?[-–—] ?| to | bis | until | à | - ).{6,20}$",
        "each holds two dates",
        "write the first day of each period as YYYY-MM-DD",
    ),
    (r"^(?:19|20)\d{2}$", "they are years", "deliver one row per day, week or month"),
    (
        r"^(?:\d{1,2}[-/. ]*[^\W\d_]{3,}\.?|[^\W\d_]{3,}\.?[-/. ]*\d{1,2}|\d{1,2}[-/.]\d{1,2}\.?)$",
        "they have no year",
        "write every date as YYYY-MM-DD, for example 2026-01-31",
    ),
    (
        r"^\d{1,2}:\d{2}.*$",
        "they are times without a day",
        "write every date as YYYY-MM-DD, for example 2026-01-31",
    ),
)


def likeness(texts: Sequence[str]) -> tuple[str, str]:
    """What most of the texts look like, to end a sentence, and what to do; empty where nothing is known."""
    likes = [like for text in texts[:_LOOKED_AT] if (like := _of_number(text) or _of_words(text))]
    causes = Counter(cause for cause, _ in likes)
    if not causes or causes.most_common(1)[0][1] * 2 < len(texts[:_LOOKED_AT]):
        return "", ""
    cause = causes.most_common(1)[0][0]
    return f" ({cause})", dict(reversed(likes))[cause]


def _of_words(text: str) -> tuple[str, str] | None:
    return next(((cause, advice) for pattern, cause, advice in _WORDS if re.match(pattern, text)), None)


def _of_number(text: str) -> tuple[str, str] | None:
    if not re.fullmatch(r"\d+(?:[.,]\d+)?", text):
        return None
    digits = re.split("[.,]", text)[0]
    if len(digits) == 5 and 10_000 <= int(digits) <= 80_000:
        day = _EXCEL + timedelta(days=int(digits))
        return (
            "they look like Excel's day numbers, in which 44564 is 2022-01-03",
            f"format the column as a date in Excel and export again; {digits} would be {day}",
        )
    if len(digits) in _EPOCHS:
        unit = {10: "seconds", 13: "milliseconds", 16: "microseconds", 19: "nanoseconds"}[len(digits)]
        moment = datetime.fromtimestamp(int(digits) / _EPOCHS[len(digits)], UTC)
        return (
            f"they look like {unit} since 1970, Unix time",
            f"turn them into dates in the source; {digits} would be {moment:%Y-%m-%d %H:%M} UTC",
        )
    if len(digits) == 6 and digits[:2] in ("19", "20") and int(digits[4:]) <= 53:
        return (
            "they look like years with numbers of weeks",
            "write the first day of each week as YYYY-MM-DD, or the ISO week as 2026-W05",
        )
    return None
