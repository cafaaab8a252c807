"""From a column to dates, without guessing: one way of writing per column, and the order that it proves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contracts.base import some
from functions.validate.calendar import Days, days_in, regularity, unswapped
from functions.validate.date_text import ORDERS, Parts, day_of, months_of, take_apart, without_time
from functions.validate.findings import Findings
from functions.validate.likeness import likeness
from functions.validate.midnights import Midnights, local_days
from functions.validate.source import as_text, blank

Mask = NDArray[np.bool_]
_YEARS = (1900, 2200)
_ADVICE = "write every date as YYYY-MM-DD, for example 2026-01-31"
_MONTHS = 12
_FIRST = {"d": "day first", "m": "month first", "y": "year first", "w": "week first"}
_NEED_PROOF = ("Mn", "nM", "nn")  # "Jan 20" is January 2020 only if that gives a regular series
_ALL_OR_NONE = (*_NEED_PROOF, "6")
_BY_CUSTOM = ("nnY.", "8", "6")  # where two orders are as good, these are read in their usual one


def read_dates(
    name: str, values: pa.ChunkedArray, rows: pd.Index[int], findings: Findings
) -> pd.Series[pd.Timestamp]:
    """The dates of a column (N, at midnight, NaT where there is none), indexed by source row.

    Understood is what has one meaning: a date with the year first, with the name of its month, an ISO week, a
    month; and day, month and year in any order, if only one order gives dates in all rows and a regular
    series. Months and weeks are their first day. Times of day are dropped; those that are midnights of a time
    zone lead to the day that begins there. Anything else is an error.
    """
    report = _Reporter(name, rows, findings)
    report.error("missing-date", "row(s) without a date", np.asarray(blank(values).to_numpy(), dtype=bool))
    if pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        dates, minutes, zoned = _of_type(values)
    else:
        dates, minutes, zoned = _of_text(
            as_text(_whole(values)).to_pandas().astype(object).fillna(""), report
        )
    report.times(midnights := local_days(dates, minutes, zoned))
    dates = midnights.days
    days, (first, last) = days_in(dates), _YEARS
    outside = (days < np.datetime64(f"{first}-01-01")) | (days > np.datetime64(f"{last}-12-31"))
    report.error("not-a-date", f"date(s) outside the years {first} to {last}", outside)
    if outside.any():
        dates = dates.mask(outside)
    return report.swapped(pd.Series(dates.to_numpy(), index=rows, name=name))


@dataclass(frozen=True)
class _Reporter:
    """Says what is wrong in one column."""

    name: str
    rows: pd.Index[int]
    findings: Findings

    def error(
        self, code: str, what: str, mask: Mask, examples: Sequence[str] = (), advice: str = _ADVICE
    ) -> None:
        if mask.any():
            message = f"column '{self.name}' has {int(mask.sum())} {what}"
            if len(examples):
                message += f", for example {some((repr(text) for text in examples), 3)}"
            self.findings.error(code, message, advice, self.name, self.rows[mask])

    def times(self, midnights: Midnights) -> None:
        if not midnights.timed.any():
            return
        code = "local-midnight" if midnights.local else "time-dropped"
        message = midnights.message.format(column=f"column '{self.name}'")
        rows = self.rows[midnights.timed]
        if midnights.doubtful:
            advice = "if they are midnights of another time zone, name it, as in 2026-01-30T15:00:00Z"
            self.findings.warning(code, message, advice, self.name, rows)
        else:
            self.findings.change(code, message, "", self.name, rows)

    def swapped(self, dates: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
        right = unswapped(dates)
        if right is None:
            return dates
        rows = dates.index[right.ne(dates)]
        self.findings.error(
            "swapped-days",
            f"column '{self.name}' has {len(rows)} date(s) whose day and month look swapped: with "
            f"{dates[rows[0]].date()} as {right[rows[0]].date()}, and so on for all days up to 12, the "
            "series is regular, as it stands it is not",
            "Excel does this to files from another country: write every date as YYYY-MM-DD before Excel "
            "opens the file, or import the column as text",
            self.name,
            rows,
        )
        return right


def _of_type(values: pa.ChunkedArray) -> tuple[pd.Series[pd.Timestamp], NDArray[np.float64], bool]:
    zoned = bool(pa.types.is_timestamp(values.type) and values.type.tz)
    if zoned:
        values = pc.local_timestamp(values)
    times = values.cast(pa.timestamp("ms"), safe=False).to_numpy()
    days = times.astype("datetime64[D]")
    minutes = np.where(np.isnat(times), 0, (times - days).astype(np.int64) / _MS_PER_MINUTE)
    return pd.Series(days.astype("datetime64[ms]")), minutes, zoned


_MS_PER_MINUTE = 60_000


def _whole(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """20260131.0 as 20260131."""
    if not pa.types.is_floating(values.type):
        return values
    values = values.cast(pa.float64())
    whole = pc.all(pc.equal(pc.floor(values), values)).as_py()
    return values.cast(pa.int64(), safe=False) if whole else values


def _of_text(
    column: pd.Series[str], report: _Reporter
) -> tuple[pd.Series[pd.Timestamp], NDArray[np.float64], bool]:
    """Every different text is read once; `codes` says which one stands in a row."""
    codes, different = pd.factorize(column)
    split = [without_time(text) for text in different]
    minutes = np.array([minute for _, minute, _ in split], dtype=float)
    stem_codes, stems = pd.factorize(pd.Series([stem for stem, _, _ in split], dtype=object))
    stem_codes = np.where(np.isnan(minutes), len(stems), stem_codes)
    days = _read(_Texts([*stems, "?"], np.asarray(different, dtype=object), stem_codes, codes), report)
    dates = pd.Series(days[stem_codes][codes]).astype("datetime64[ms]")
    times = np.asarray(np.nan_to_num(minutes)[codes], dtype=np.float64)
    return dates, times, bool(any(zoned for _, _, zoned in split))


@dataclass(frozen=True, eq=False)
class _Texts:
    """Different dates without their times (S), the texts that have them (T), and the rows (N) of those."""

    stems: list[str]
    different: NDArray[np.object_]
    stem_codes: NDArray[np.int64]
    codes: NDArray[np.int64]

    def rows(self, stems: Mask) -> Mask:
        """(N,) where one of these stems stands."""
        return np.asarray(stems[self.stem_codes][self.codes], dtype=bool)

    def examples(self, stems: Mask) -> Sequence[str]:
        """The first texts with one of these stems."""
        return [str(text) for text in self.different[stems[self.stem_codes]][:3]]

    @property
    def counts(self) -> NDArray[np.int64]:
        """(S,) rows of each stem."""
        rows = np.bincount(self.stem_codes[self.codes], minlength=len(self.stems))
        return np.asarray(rows, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class _Reading:
    """What the stems mean in one order."""

    order: str
    days: Days
    """(S,) NaT where a stem is no date in this order."""

    @property
    def read(self) -> Mask:
        """(S,) where a stem is a date."""
        return np.asarray(~np.isnat(self.days), dtype=bool)

    @property
    def regularity(self) -> int:
        """Of the series that these days are."""
        return regularity(self.days[self.read])


def _read(texts: _Texts, report: _Reporter) -> Days:
    """(S,) the day of each stem."""
    parts, counts = [take_apart(stem) for stem in texts.stems], texts.counts
    kinds = np.array([part.kind for part in parts], dtype=object)
    usual = max(dict.fromkeys(kinds), key=lambda kind: (bool(kind), int(counts[kinds == kind].sum())))
    alike = np.asarray(kinds == usual, dtype=bool)
    readings = _readings(parts, alike) if usual else []
    whole = [reading for reading in readings if reading.read[alike & (counts > 0)].all()]
    if usual in _ALL_OR_NONE:
        readings = whole
    best = _best(readings, usual, counts)
    read = best.read if best else np.zeros(len(parts), bool)
    elsewise = np.logical_or.reduce([read, *(reading.read for reading in readings)])
    if best is None and len(readings) > 1:
        _report_ambiguous(texts, readings, elsewise, report)
        read = elsewise
    filled = np.array([bool(stem.strip()) for stem in texts.stems]) & (counts > 0)
    mixed = filled & ~read & (elsewise | (~alike & (kinds != "")))
    if read.any():
        _report_mixed(texts, parts, best, np.asarray(mixed, dtype=bool), report)
    _report_unknown(texts, np.asarray(filled & ~read & ~(mixed & read.any()), dtype=bool), report)
    return best.days if best else _none(len(parts))


def _none(size: int) -> Days:
    return np.full(size, np.datetime64("NaT"), dtype="datetime64[D]")


def _readings(parts: list[Parts], alike: Mask) -> list[_Reading]:
    """Every different meaning that texts of one kind may have."""
    chosen = [part for part, belongs in zip(parts, alike, strict=True) if belongs]
    words = {part.word for part in chosen if part.word}
    readings: list[_Reading] = []
    for order in ORDERS[chosen[0].shape]:
        for months in months_of(words) if words else [{}]:
            days = _none(len(parts))
            days[alike] = [np.datetime64(day_of(part, order, months) or "NaT", "D") for part in chosen]
            if not any(np.array_equal(days, other.days, equal_nan=True) for other in readings):
                readings.append(_Reading(order, days))
    return readings


def _best(readings: list[_Reading], kind: str, counts: NDArray[np.int64]) -> _Reading | None:
    """The reading of most rows; of several, the one that gives a regular series; None if that is not one."""
    rows = [int(counts[reading.read].sum()) for reading in readings]
    most = [reading for reading, read in zip(readings, rows, strict=True) if read == max(rows) > 0]
    if len(most) == 1 and kind not in _NEED_PROOF:
        return most[0]
    regular = [reading.regularity for reading in most]
    if any(regular) and regular.count(max(regular)) == 1:
        return most[regular.index(max(regular))]
    return most[0] if most and kind in _BY_CUSTOM else None


def _report_ambiguous(texts: _Texts, readings: list[_Reading], read: Mask, report: _Reporter) -> None:
    first, second = readings[:2]
    differ = np.flatnonzero(first.read & second.read & (first.days != second.days))
    example = ""
    if len(differ):
        i = differ[0]
        example = (
            f": {texts.stems[i]!r} is {first.days[i]} read {_FIRST[first.order[0]]}, and {second.days[i]} "
            f"read {_FIRST[second.order[0]]}"
        )
    why = "both give a" if min(first.regularity, second.regularity) == 2 else "neither alone gives a"
    what = f"date(s) that can be read in two ways{example}; {why} regular series"
    certain = np.logical_and.reduce([reading.days == first.days for reading in readings])
    report.error("ambiguous-dates", what, texts.rows(read & ~certain))


def _report_mixed(
    texts: _Texts, parts: list[Parts], best: _Reading | None, mixed: Mask, report: _Reporter
) -> None:
    if not mixed.any() or best is None:
        return
    others = [day_of(parts[i], ORDERS[parts[i].shape][0], {}) for i in np.flatnonzero(mixed)]
    early = all(day is not None and day.day <= _MONTHS for day in others)
    advice = _ADVICE
    if early and all(day.day > _MONTHS for day in best.days[best.read].tolist()):
        advice = (
            "days up to 12 stand apart from the others, as if Excel had taken them for dates of another "
            f"country, with day and month swapped; {_ADVICE}, before Excel opens the file"
        )
    like = repr(texts.examples(best.read)[0])
    what = f"date(s) that are not written like the rest, {like}"
    report.error("mixed-dates", what, texts.rows(mixed), texts.examples(mixed), advice)


def _report_unknown(texts: _Texts, unknown: Mask, report: _Reporter) -> None:
    cause, advice = likeness([stem for stem, bad in zip(texts.stems, unknown, strict=True) if bad])
    what = f"value(s) that are no dates{cause}"
    report.error("not-a-date", what, texts.rows(unknown), texts.examples(unknown), advice or _ADVICE)
