"""How times, sizes and figures are written on the pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import yaml
from flask import Flask
from markupsafe import Markup, escape

from contracts.figures import picture_name
from contracts.job import JobState, share_done
from contracts.posterior import CAUTION, chance
from functions.web.charts import CHARTS
from functions.web.results import grouped, kind_of

OVERDUE = timedelta(minutes=10)
"""Age after which an upload without settings, or a step that should be quick, is marked as overdue."""
DOING = {
    JobState.ACCEPTED: "extracting the data",
    JobState.EXTRACTED: "validating the data",
    JobState.QUEUED: "waiting for a slot",
    JobState.RUNNING: "starting the training",
    JobState.TRAINED: "summarising the result",
    JobState.CANCELLING: "stopping the training",
}
"""What the system does with a job in each state."""
MOST_ROWS = 60
"""Rows of a chart's table on the page."""
NAMED_BY_PARTS = ("columns.date", "columns.dependent", "columns.paid_media")
"""Fields of a request that the table of a preview fills, and its form repeats."""
NAVIGATION = (
    ("pages.jobs", "Jobs", ("pages", "results", "plans", "compare", "deletions")),
    ("batches.overview", "Batches", ("batches",)),
    ("countries.overview", "Models", ("countries", "old_runs")),
    ("new.page", "New request", ("new", "uploads")),
    ("mappings.overview", "Mappings", ("mappings",)),
    ("schedules.overview", "Schedules", ("schedules",)),
    ("queues.page", "Queues", ("queues",)),
    ("health.page", "Health", ("health",)),
    ("reference.api", "API", ("reference",)),
)
"""The pages that every page links to: endpoint, label, and the blueprints whose pages belong to it."""
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(value: timedelta) -> str:
    """A length of time in its one or two largest units: `48 s`, `3 min 5 s`, `2 d 4 h`."""
    seconds = max(0, round(value.total_seconds()))
    parts = []
    for size, unit in _UNITS:
        if seconds >= size or unit == "s":
            parts.append(f"{seconds // size} {unit}")
            seconds %= size
    return " ".join(part for part in parts[:2] if not part.startswith("0 ")) or "0 s"


def age(value: timedelta) -> str:
    """A length of time in its largest unit: `48 s`, `3 min`, `2 d`."""
    return " ".join(duration(value).split(" ")[:2])


def stamp(value: datetime) -> str:
    """A point in time as people read it, UTC."""
    return value.strftime("%Y-%m-%d %H:%M:%S UTC")


def size(value: int) -> str:
    """Bytes in a fitting unit."""
    figure = float(value)
    for unit in ("B", "kB", "MB"):
        if figure < 1000:
            return f"{figure:.0f} {unit}" if unit == "B" or figure >= 100 else f"{figure:.1f} {unit}"
        figure /= 1000
    return f"{figure:.1f} GB"


def number(value: float | None, digits: int = 0) -> str:
    """A number with thin spaces between thousands; a dash for None."""
    return "–" if value is None else f"{value:,.{digits}f}".replace(",", "\u2009")


def short(value: float | None) -> str:
    """A number in three digits with a unit: `12.6 M`, `-740 k`, `0.31`."""
    if value is None:
        return "–"
    for size, unit in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= 0.9995 * size:
            digits = 2 if abs(value) < 9.995 * size else 1 if abs(value) < 99.95 * size else 0
            return f"{value / size:.{digits}f}\u2009{unit.strip()}"
    return f"{value:.3g}"


def cell(value: object) -> str:
    """What stands in a cell of a table: numbers in four digits."""
    if value is None:
        return "–"
    return figure(float(value)) if isinstance(value, int | float) else str(value)


def figure(value: float | None) -> str:
    """A number with about four digits, for a first look."""
    if value is None or value == 0 or abs(value) >= 1000 or float(value).is_integer():
        return number(value)
    return f"{value:.4g}"


def percent(value: float | None) -> str:
    """A share in percent."""
    return "–" if value is None else f"{100 * value:.1f} %"


def as_yaml(value: Any) -> str:
    """A JSON value as YAML, fields in their order."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return text


def as_json(value: Any) -> str:
    """A JSON value, laid out."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def breakable(name: str) -> Markup:
    """A file name that may break after an underscore or before the extension."""
    return Markup("_<wbr>").join(name.split("_")).replace(".", Markup("<wbr>."))


def quoted(text: str) -> Markup:
    """A text in which what stands between backticks is shown as code."""
    code = Markup("<code>{}</code>")
    parts = enumerate(text.split("`"))
    return Markup("").join(code.format(part) if i % 2 else escape(part) for i, part in parts)


def is_day(text: str) -> bool:
    """Whether a text is a day as a date field of a browser takes it."""
    with suppress(ValueError):
        return date.fromisoformat(text).isoformat() == text
    return False


def settings_name(upload: str) -> str:
    """The settings that an upload waits for: `sales.request.yaml` for `drop-zone/DE/sales.csv`."""
    return upload.rsplit("/", 1)[-1].rsplit(".", 1)[0] + ".request.yaml"


def links(app: Flask) -> Callable[..., str]:
    """`url_for` that remembers what it made: a list of jobs would spend a quarter of its time on links."""
    remembered = lru_cache(4096)(app.url_for)

    def link(endpoint: str, **values: Any) -> str:
        several = any(isinstance(value, list) for value in values.values())
        return app.url_for(endpoint, **values) if several else remembered(endpoint, **values)

    return link


def register(app: Flask) -> None:
    """Make the formats known to the templates."""
    app.jinja_env.filters.update(
        duration=duration,
        age=age,
        stamp=stamp,
        size=size,
        number=number,
        figure=figure,
        short=short,
        cell=cell,
        holds=lambda name: kind_of(name)[1],
        grouped=grouped,
        percent=percent,
        chance=chance,
        yaml=as_yaml,
        json=as_json,
        breakable=breakable,
        quoted=quoted,
        is_day=is_day,
        settings_name=settings_name,
    )
    app.jinja_env.globals.update(
        url_for=links(app),
        NAVIGATION=NAVIGATION,
        STATES=list(JobState),
        DOING=DOING,
        OVERDUE=OVERDUE,
        MOST_ROWS=MOST_ROWS,
        CAUTION=CAUTION,
        CHARTS=CHARTS,
        picture_name=picture_name,
        NAMED_BY_PARTS=NAMED_BY_PARTS,
        share_done=share_done,
    )
