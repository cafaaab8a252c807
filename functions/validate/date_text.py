"""A date's text taken apart: its numbers, the name of a month, a week, a time of day. Nothing is decided."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

_CLOCK = re.compile(
    r"(?:[T ,:]|\bat\b|\bum\b)+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([AP]\.?M\.?)?(?:\s*Uhr)?"
    r"\s*(Z|(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?|UTC|GMT)?(?:\s?[(\[][\w /+-]+[)\]])?$",
    re.IGNORECASE | re.ASCII,
)
_TOKEN = re.compile(r"[0-9]+|[^\W\d_]+")
_MONTH_MARK = re.compile(r"^(\d{4})-?M(\d{2})$", re.IGNORECASE | re.ASCII)
_EAST_ASIAN = str.maketrans({"年": "-", "月": "-", "日": " ", "년": "-", "월": "-", "일": " "})
_SIZES = {1: "n", 2: "n", 4: "Y", 6: "6", 8: "8"}
_FILLERS = frozenset(("st", "nd", "rd", "th", "of", "de", "del", "di", "do", "den", "der", "le", "er"))
_WEEK = frozenset(("w", "kw", "cw"))
_WEEKDAYS = frozenset(
    re.split(
        r"\W+",
        "mon tue wed thu fri sat sun, mo di mi do fr sa so die mit don fre son, lun mar mer jeu ven sam dim, "
        "mie jue vie sab dom, seg ter qua qui sex, gio, ma wo vr za zo",
    )
)
"""Days of the week by their first letters."""

ORDERS: dict[str, tuple[str, ...]] = {
    "Ynn": ("ymd",),
    "nnY": ("dmy", "mdy"),
    "nnn": ("dmy", "mdy", "ymd"),
    "Yn": ("ym",),
    "nY": ("my",),
    "nMY": ("dmy",),
    "MnY": ("mdy",),
    "YMn": ("ymd",),
    "nMn": ("dmy", "ymd"),
    "Mnn": ("mdy",),
    "MY": ("my",),
    "YM": ("ym",),
    "Mn": ("my",),
    "nM": ("ym",),
    "nn": ("my", "ym"),
    "YWn": ("yw",),
    "WnY": ("wy",),
    "YWnn": ("ywd",),
    "8": ("ymd", "dmy", "mdy"),
    "6": ("ym", "ymd", "dmy", "mdy"),
}
"""The orders in which a shape may be read, the most usual first: year, month, day, week.

In a shape `Y` is a number of four digits, `n` one of one or two, `M` a word, `W` the mark of a week, `8` and
`6` so many digits together.
"""

_LANGUAGES = """
january february march april may june july august september october november december
januar februar märz april mai juni juli august september oktober november dezember
jänner feber märz april mai juni juli august september oktober november dezember
januar februar mrz april mai juni juli august september oktober november dezember
janvier février mars avril mai juin juillet août septembre octobre novembre décembre
enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro
januari februari maart april mei juni juli augustus september oktober november december
januari februari mrt april mei juni juli augustus september oktober november december
januari februari mars april maj juni juli augusti september oktober november december
januar februar marts april maj juni juli august september oktober november december
januar februar mars april mai juni juli august september oktober november desember
tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta
styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień
stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia
leden únor březen duben květen červen červenec srpen září říjen listopad prosinec
ledna února března dubna května června července srpna září října listopadu prosince
január február március április május június július augusztus szeptember október november december
ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie
ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık
"""  # noqa: E501


@dataclass(frozen=True)
class Parts:
    """A date's text taken apart."""

    shape: str
    """A key of ORDERS; empty if the text is nothing of the kind."""
    separator: str = ""
    """What stands between the numbers, if there are only numbers."""
    tokens: tuple[str, ...] = ()
    """Numbers and, in place of `M`, the word of a month, folded; marks of weeks are left out."""

    @property
    def kind(self) -> str:
        """What texts that are written alike have in common."""
        return self.shape + (self.separator if self.shape in ("nnY", "nnn") else "")

    @property
    def word(self) -> str | None:
        """The name of the month."""
        return next((token for token in self.tokens if not token.isdigit()), None)


def without_time(text: str) -> tuple[str, float, bool]:
    """The text before its time of day, that time in minutes (NaN: no such time), and if it names a zone."""
    clock = _CLOCK.search(text)
    if clock is None:
        return text, 0.0, False
    return text[: clock.start()], _minutes(*clock.groups()[:4]), clock.group(5) is not None


def take_apart(text: str) -> Parts:
    """The parts of a date without its time of day; a weekday before it is left out."""
    text = _MONTH_MARK.sub(r"\1-\2", text.translate(_EAST_ASIAN).strip(" .,-"))
    found = _without_weekday(list(_TOKEN.finditer(text)))
    if not found or text[found[-1].end() :]:
        return Parts("")
    between = {text[a.end() : b.start()].strip() for a, b in pairwise(found)}
    tokens = [token for match in found if (token := fold(match.group())) not in _FILLERS]
    shape = "".join(_kind(token) for token in tokens)
    numeric = all(token.isdigit() for token in tokens)
    if shape not in ORDERS or set("".join(between)) - set("-/.,'") or (numeric and len(between) > 1):
        return Parts("")
    separator = "".join(between) if numeric else ""
    return Parts(shape, separator, tuple(token for token in tokens if token not in _WEEK))


def fold(text: str) -> str:
    """Without accents and differences of case."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("ı", "i").replace("ł", "l"))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def _minutes(hour: str, minute: str, second: str | None, half: str | None) -> float:
    hours, seconds = int(hour), int(second or 0)
    if int(minute) > 59 or seconds > 60 or hours > 23 or (half and not 1 <= hours <= 12):
        return math.nan
    if half:
        hours = hours % 12 + (12 if half[0] in "Pp" else 0)
    return hours * 60 + int(minute) + seconds / 60


def _without_weekday(found: list[re.Match[str]]) -> list[re.Match[str]]:
    first = fold(found[0].group()) if found else ""
    is_weekday = first in _WEEKDAYS or (first[:3] in _WEEKDAYS and len(first) > 4)
    return found[1:] if is_weekday and len(found) > 3 else found


def _kind(token: str) -> str:
    if token.isdigit():
        return _SIZES.get(len(token), "?")
    return "W" if token in _WEEK else "M"


def _calendars() -> list[dict[str, int]]:
    """Per language, the month of every name, and of every beginning of three letters that no other has."""
    calendars = []
    for line in fold(_LANGUAGES).strip().splitlines():
        names = line.split()
        starts: dict[str, int] = {}
        for size in range(max(map(len, names)), 2, -1):
            for short in {name[:size] for name in names}:
                months = {i for i, name in enumerate(names, 1) if name.startswith(short)}
                exact = {i for i, name in enumerate(names, 1) if name == short}
                if len(exact or months) == 1:
                    starts[short] = min(exact or months)
        calendars.append(starts)
    return calendars


def months_of(words: set[str]) -> list[dict[str, int]]:
    """What the words mean as months: one answer per meaning, in the languages that know the most of them."""
    known = [{word: calendar[word] for word in words if word in calendar} for calendar in _calendars()]
    most = max(map(len, known))
    meanings: list[dict[str, int]] = []
    for meaning in known:
        if len(meaning) == most and meaning not in meanings:
            meanings.append(meaning)
    return meanings


def day_of(parts: Parts, order: str, months: dict[str, int]) -> date | None:
    """The day that a text means if it is read in this order; None if there is no such day."""
    numbers = _numbers(parts, order, months)
    if numbers is None:
        return None
    value = dict(zip(order, numbers, strict=True))
    year = value["y"]
    try:
        if "w" in value:
            return date.fromisocalendar(year, value["w"], value.get("d", 1))
        return date(year, value["m"], value.get("d", 1))
    except ValueError:
        return None


def _numbers(parts: Parts, order: str, months: dict[str, int]) -> list[int] | None:
    tokens: tuple[str, ...] = parts.tokens
    if len(tokens) == 1:
        digits = tokens[0]
        sizes = [4 if part == "y" and len(digits) - 4 == 2 * (len(order) - 1) else 2 for part in order]
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        tokens = tuple(digits[end - size : end] for end, size in zip(ends, sizes, strict=True))
    values = [_value(token, part, months) for token, part in zip(tokens, order, strict=True)]
    return None if None in values else [value for value in values if value is not None]


def _value(token: str, part: str, months: dict[str, int]) -> int | None:
    """A year has four digits, or two of this century or the end of the last; a word is a month."""
    if not token.isdigit():
        return months.get(token) if part == "m" else None
    if part != "y" or len(token) == 4:
        return int(token)
    return int(token) + (2000 if int(token) < 70 else 1900) if len(token) == 2 else None
