"""The rows of a series: its periods, the modelling window, the split, and the fewest rows for a model.

Pure functions that validate and the engines share, so that they agree on what is trained. `dates` are the
first days of a series' periods, ascending and without gaps; rows are counted from 0.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil, floor
from typing import Literal, NamedTuple

from contracts.budget import BudgetQuestion
from contracts.model import ModelConfig, Window

Interval = Literal["day", "week", "month"]

YEAR: dict[Interval, int] = {"day": 364, "week": 52, "month": 12}
"""Periods of a year; of days as many as make whole weeks."""
_LENGTHS = {"day": timedelta(days=1), "week": timedelta(days=7)}
FEWEST_COLUMNS = 2
"""Columns that a ridge regression needs."""
FEWEST_JUDGED = 2
"""Rows that a validation or test part needs."""
SMALLEST_LIFT = 0.001
"""The share of the dependent variable below which a measured lift is too small to divide an error by."""


class Obstacle(NamedTuple):
    """Why a series cannot be modelled as asked, and what to do about it."""

    code: str
    message: str
    advice: str

    def __str__(self) -> str:
        return f"{self.message}; {self.advice}"


def last_days(dates: Sequence[date], interval: Interval) -> list[date]:
    """(N,) the last day of each period. The end of a month leads to the next end."""
    if interval == "day":
        return list(dates)
    if interval == "week":
        return [first + timedelta(days=6) for first in dates]
    usual = max((first.day for first in dates), default=1)
    return [_next_month(first, usual) - timedelta(days=1) for first in dates]


def following(dates: Sequence[date], interval: Interval, count: int) -> list[date]:
    """The first days of the `count` periods after those of a series."""
    found: list[date] = []
    usual = max(first.day for first in dates)
    last = dates[-1]
    for _ in range(count):
        last = _next_month(last, usual) if interval == "month" else last + _LENGTHS[interval]
        found.append(last)
    return found


def _next_month(first: date, usual: int) -> date:
    """The day `usual` of the following month, or its last day if it is shorter."""
    year, month = (first.year, first.month + 1) if first.month < 12 else (first.year + 1, 1)
    return date(year, month, min(usual, monthrange(year, month)[1]))


def rows_within(dates: Sequence[date], start: date | None, end: date | None) -> range:
    """The periods of a window or of budget dates: those whose first day is one of the days from start to end.

    If no period begins in them, it is the one that holds them. Without a day it is the first or last period.
    Days before or after all periods lead to the nearest one.
    """
    first = bisect_left(dates, start) if start else 0
    stop = bisect_right(dates, end) if end else len(dates)
    return range(first, stop) if first < stop else range(max(stop - 1, 0), max(stop, 1))


YEARS_AHEAD = 2
"""How far after the data budget dates may lie."""


def lies_after(dates: Sequence[date], interval: Interval, question: BudgetQuestion) -> bool:
    """Whether a budget question asks about dates after a series."""
    return bool(question.start and question.start > last_days(dates, interval)[-1])


def rows_after(dates: Sequence[date], interval: Interval, question: BudgetQuestion) -> range:
    """The periods that a question about dates after a series means; rows count from the series' first.

    There are some only if `budget_obstacles` has nothing to say.
    """
    longer = [*dates, *following(dates, interval, YEARS_AHEAD * YEAR[interval])]
    return rows_within(longer, question.start, question.end)


def budget_obstacles(
    dates: Sequence[date], interval: Interval, path: str, question: BudgetQuestion
) -> Iterator[Obstacle]:
    """Why a series does not hold what a budget question, which stands at `path`, asks about."""
    first, last = dates[0], last_days(dates, interval)[-1]
    span = f"the data, which go from {first} to {last}"
    if lies_after(dates, interval, question):
        yield from _after_obstacles(dates, interval, path, question)
        return
    for edge in ("start", "end"):
        asked = getattr(question, edge)
        if asked and not first <= asked <= last:
            yield Obstacle(
                "budget-outside",
                f"{path}.{edge} {asked} lies outside {span}",
                f"choose dates within the data, or leave {path}.{edge} out; what lies after the data is a "
                "question of its own, with a start and an end after them",
            )
    if question.pattern:
        yield Obstacle(
            "budget-pattern",
            f"{path}.pattern: {question.pattern} is only for dates after {span}",
            "leave it out: within the data every channel keeps the pattern of its spend",
        )


def _after_obstacles(
    dates: Sequence[date], interval: Interval, path: str, question: BudgetQuestion
) -> Iterator[Obstacle]:
    last, year = last_days(dates, interval)[-1], YEAR[interval]
    farthest = last_days([*dates, *following(dates, interval, YEARS_AHEAD * year)], interval)[-1]
    if question.method == "robyn":
        yield Obstacle(
            "budget-after",
            f"{path}.method: robyn has no answer about dates after the data, which end on {last}",
            "leave the method out, or ask about dates within the data",
        )
    if question.end is None:
        yield Obstacle(
            "budget-after",
            f"{path}.start {question.start} lies after the data, which end on {last}, and there is no end",
            f"give {path}.end too",
        )
    elif question.end > farthest:
        yield Obstacle(
            "budget-after",
            f"{path}.end {question.end} is more than {YEARS_AHEAD} years after the data, which end on {last}",
            f"ask about dates up to {farthest}",
        )
    if question.pattern != "even" and len(dates) < year:
        yield Obstacle(
            "budget-after",
            f"{path}: the data have {len(dates)} {interval}s, but the pattern of a year before needs {year}",
            f"give {path}.pattern: even",
        )


class StudyRows(NamedTuple):
    """The periods that a calibration study touches: rows, and the share of its days that each is covered."""

    first: int
    stop: int
    weights: tuple[float, ...]

    @property
    def whole(self) -> bool:
        """Whether the study covers each of its periods from the first day to the last."""
        return all(weight == 1.0 for weight in self.weights)


def study_rows(dates: Sequence[date], interval: Interval, start: date, end: date) -> StudyRows:
    """The periods that the days from `start` to `end`, both inclusive, touch. They must lie in the data."""
    ends = last_days(dates, interval)
    first, stop = bisect_left(ends, start), bisect_right(dates, end)
    weights = []
    for begun, ended in zip(dates[first:stop], ends[first:stop], strict=True):
        covered = min(ended, end) - max(begun, start)
        weights.append((covered.days + 1) / ((ended - begun).days + 1))
    return StudyRows(first, stop, tuple(weights))


def error_scale(lift: float, dependent: Sequence[float]) -> float:
    """What the error of a study is divided by: its lift, but at least a thousandth of what was sold.

    Args:
        lift: what was measured, in units of the dependent variable.
        dependent: the dependent variable in the periods that the study touches.
    """
    return max(abs(lift), SMALLEST_LIFT * abs(sum(dependent)))


def outside(dates: Sequence[date], interval: Interval, window: Window) -> Obstacle | None:
    """Why a window has no rows, if it has none."""
    last = last_days(dates, interval)[-1]
    start, end = window.start or dates[0], window.end or last
    if start <= last and end >= dates[0]:
        return None
    return Obstacle(
        "window-outside",
        f"the modelling window from {start} to {end} lies outside the data, which go from {dates[0]} to "
        f"{last}",
        "correct window.start and window.end, or deliver the data of that time",
    )


@dataclass(frozen=True)
class Moved:
    """How the window of a former model moves on; rows of the new series."""

    steps: int
    """Periods that are new."""
    first: int
    last: int
    dates: Sequence[date]
    """(N,) of the new series."""

    @property
    def rows(self) -> int:
        """Periods of the window, as many as it had."""
        return self.last - self.first + 1

    @property
    def added_start(self) -> date:
        """The first new period."""
        return self.dates[self.last - self.steps + 1]


def move_window(dates: Sequence[date], end: date | None, former_end: date, rows: int) -> Moved:
    """The window of a former model, moved on to the new window's end (robyn-spec §16).

    By rows, not by days: months differ in length, and a window's end need not be a date of the series.

    Args:
        dates: (N,) of the new series.
        end: the last day of the new window; None: that of the series.
        former_end: first day of the former window's last period.
        rows: periods of the former window.
    """
    last = rows_within(dates, None, end)[-1]
    return Moved(steps=last - bisect_left(dates, former_end), first=last - rows + 1, last=last, dates=dates)


def continuation_obstacles(moved: Moved, former_end: date) -> Iterator[Obstacle]:
    """Why data do not continue a former model whose window moves on so (robyn-spec §16)."""
    dates, last = moved.dates, moved.dates[moved.last]
    span = f"the data, from {dates[0]} to {last}"
    if former_end >= last:
        yield Obstacle(
            "not-newer",
            f"the former window ends on {former_end}; {span}, hold nothing newer",
            "they must hold newer periods: deliver them, or correct window.end",
        )
    elif dates[bisect_left(dates, former_end)] != former_end:
        yield Obstacle(
            "former-window",
            f"the former window ends on {former_end}, which is not a date of {span}",
            "deliver periods that begin on the same days as the former ones, the former window's included",
        )
    elif moved.steps >= moved.rows:
        yield Obstacle(
            "former-window",
            f"{moved.steps} periods are new, the window has {moved.rows}",
            "train a new model",
        )
    elif moved.first < 0:
        yield Obstacle(
            "former-window",
            f"the window has {moved.rows} periods, {span}, only {moved.last + 1}",
            "deliver older ones too",
        )


def other_interval(interval: Interval, former: Interval) -> Obstacle | None:
    """That the periods of data are not as long as those of the model that they are to continue."""
    if interval == former:
        return None
    return Obstacle(
        "former-interval",
        f"the former data have a row per {former}, these have one per {interval}",
        f"deliver data per {former}, or train a new model",
    )


def split(rows: int, train_size: float) -> tuple[int, int]:
    """End of the train rows and end of the validation rows; what follows is tested on (robyn-spec §4.1)."""
    if train_size == 1.0:
        return rows, rows
    train = floor(1 + (rows - 1) * train_size)
    return train, train + floor((1 - train_size) / 2 * rows)


DAYS: dict[Interval, float] = {"day": 1, "week": 7, "month": 365.25 / 12}
"""Days of a period."""
QUARTER = 91
"""Days between two knots of a trend that is fitted together with the media."""
_MONTH = 30.5
_AFTER_LAST_KNOT = 6


def fourier_pairs(component: Literal["season", "monthly"], rows: int, interval: Interval) -> int:
    """Pairs of sine and cosine that are fitted together with the media in a window of so many rows.

    Of a year four if the window has two years, two if it has one, otherwise none; of a month as many as its
    periods can tell apart, at most five.
    """
    if component == "season":
        years = rows * DAYS[interval] / 365.25
        return 4 if years >= 1.99 else 2 if years >= 0.99 else 0
    return min(max(ceil(_MONTH / (2 * DAYS[interval])) - 1, 0), 5)


def last_knot(rows: int, interval: Interval) -> float:
    """The last day, counted from a window's first one, on which its trend may bend."""
    return (rows - 1 - _AFTER_LAST_KNOT) * DAYS[interval] + 1e-9


def _joint_columns(rows: int, interval: Interval, components: Collection[str]) -> int:
    counts = {
        "trend": 1 + max(int(last_knot(rows, interval) // QUARTER), 0),
        "season": 2 * fourier_pairs("season", rows, interval),
        "monthly": 2 * fourier_pairs("monthly", rows, interval),
        "weekday": 6,
        "holiday": 1,
    }
    return sum(counts[component] for component in components)


def columns_of(model: ModelConfig, rows: int, interval: Interval) -> int:
    """The number of columns that a model has in a window of so many rows, without the intercept."""
    columns, components = model.columns, model.prophet.components
    joint = model.search.baseline == "joint"
    baseline = _joint_columns(rows, interval, components) if joint else len(components)
    return baseline + len(columns.context) + len(columns.factors) + len(columns.media)


def fewest_rows(columns: int) -> int:
    """The rows that so many columns need to be trained on: with fewer the adjusted R² has no value."""
    return columns + 2


def train_rows(rows: int, model: ModelConfig) -> int:
    """The fewest rows of a window that a candidate is trained on."""
    search = model.search
    return split(rows, search.train_size[0])[0] if search.time_series_validation else rows


def size_obstacles(rows: int, interval: Interval, model: ModelConfig) -> Iterator[Obstacle]:
    """Why a model cannot be fitted in a window of so many rows (robyn-spec §1.2, §4)."""
    columns, train = columns_of(model, rows, interval), train_rows(rows, model)
    needed = fewest_rows(columns)
    joint = model.search.baseline == "joint"
    of_joint = ", those of search.baseline: joint included" if joint else ""
    without_joint = "; without search.baseline: joint there are fewer" if joint else ""
    if columns < FEWEST_COLUMNS:
        yield Obstacle(
            "one-variable",
            "the model has one variable only, but a ridge regression needs two",
            "add a Prophet component, a context column or another channel",
        )
    if train < needed:
        yield Obstacle(
            "too-few-rows",
            f"{train} rows to train on are too few for {columns} variables{of_joint}, which need {needed}",
            f"deliver a longer period, widen the window, or use fewer variables{without_joint}",
        )
    elif model.search.time_series_validation:
        judged = min(_judged(rows, share) for share in model.search.train_size)
        if judged < FEWEST_JUDGED:
            yield Obstacle(
                "too-few-rows",
                f"search.train_size leaves {judged} of the {rows} rows to validate or test on; "
                f"{FEWEST_JUDGED} are needed",
                "lower search.train_size, widen the window, or switch time_series_validation off",
            )


def _judged(rows: int, train_size: float) -> int:
    """Rows of the smaller one of the validation and the test part."""
    train, validated = split(rows, train_size)
    return min(validated - train, rows - validated)


def flat_obstacles(dependent: Sequence[float], model: ModelConfig) -> Iterator[Obstacle]:
    """Why a dependent variable, given in the rows of the window, leaves a part with nothing to explain."""
    name, rows = model.columns.dependent, len(dependent)
    train = train_rows(rows, model)
    if len(set(dependent[:train])) == 1:
        yield Obstacle(
            "flat-dependent",
            f"column '{name}' is the same in all {train} rows that are trained on",
            "choose another window, or name the column that the model is to explain",
        )
    elif model.search.time_series_validation:
        parts = [slice(*split(rows, share)) for share in model.search.train_size]
        if all(len(set(dependent[part])) == 1 for part in parts):
            yield Obstacle(
                "flat-dependent",
                f"column '{name}' is the same in all rows that are validated on",
                "choose another window or search.train_size, or switch time_series_validation off",
            )
