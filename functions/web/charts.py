"""The charts of the pages: Vega-Lite specifications as dictionaries, made from what a result says; pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.figures import FigureBand, FigureChannel, FigureCurve, ModelFigures

Spec = dict[str, Any]
Row = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
COLOURS = (
    *("#4f74e8", "#e0812f", "#2f9e6b", "#a06cc9", "#b08d00"),
    *("#1f9fb3", "#d6589f", "#a5714f", "#7886d9", "#6d9a1f"),
)
"""Of channels and runs; to be told apart on white and on black."""
GREY = "#8692a6"
BASE_LEVEL = "(Intercept)"
_MOST_ROWS = 16


@dataclass(frozen=True)
class Table:
    """The numbers of a chart: one name for each column, and rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]


@dataclass(frozen=True)
class Chart:
    """A chart of one model."""

    title: str
    reading: str
    """How to read it."""
    picture: str | None
    """The single picture that shows the same without scripts."""
    spec: Callable[[ModelFigures], Spec | None]
    """None where the model has nothing to show."""
    table: Callable[[ModelFigures], Table]


def paid(figures: ModelFigures) -> list[FigureChannel]:
    """The paid channels, the largest spend first."""
    channels = [channel for channel in figures.channels if channel.paid]
    return sorted(channels, key=lambda channel: -(channel.spend or 0.0))


def variable_name(name: str) -> str:
    """A variable as people read it."""
    return "base level" if name == BASE_LEVEL else name


def _spec(description: str, layers: list[Spec], *, height: int, data: Iterable[Row] | None = None) -> Spec:
    own: Spec = {"data": {"values": list(data)}} if data is not None else {}
    return {
        "$schema": SCHEMA,
        "description": description,
        "width": "container",
        "height": height,
        **own,
        "layer": layers,
    }


def _rows_height(count: int, each: int = 34) -> int:
    return max(90, each * count)


def _by_name(title: str | None = None) -> Spec:
    return {
        "field": "channel",
        "type": "nominal",
        "sort": None,
        "title": title,
        "axis": {"labelLimit": 150, "ticks": False, "domain": False},
    }


def _amounts(field: str, title: str, **more: Any) -> Spec:
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "axis": {"labelExpr": "format(datum.value, '~s')", "tickCount": 5},
        **more,
    }


def intervals(rows: Sequence[Row], title: str, description: str) -> Spec | None:
    """Points with their intervals, a row per channel; logarithmic, so that half and double look alike.

    Each row has `channel`, and `value`, `low`, `high`, `prior_low`, `prior_high` and `run` where it has them.
    """
    known = [value for row in rows for key in ("value", "low", "high") if (value := row.get(key))]
    known = [value for value in known if value > 0]
    if not known:
        return None
    limits = [min(known) / 1.5, max(known) * 1.5]
    clipped = [_within(row, limits) for row in rows]
    x: Spec = {
        "type": "quantitative",
        "title": title,
        "scale": {"type": "log", "domain": limits, "nice": False},
        "axis": {"format": "~g", "values": _ticks(*limits)},
    }
    runs = list(dict.fromkeys(row["run"] for row in rows if "run" in row))
    legend = {"orient": "top", "columns": 1, "labelLimit": 260}
    colour = {"field": "run", "type": "nominal", "title": None, "scale": _scale(runs), "legend": legend}
    y: Spec = {"y": _by_name()} | (
        {"yOffset": {"field": "run", "type": "nominal", "sort": None}} if runs else {}
    )
    coloured: Spec = {"color": colour} if runs else {"color": {"value": COLOURS[0]}}
    tips = [
        {"field": name, "type": "nominal" if name in ("channel", "run") else "quantitative"}
        for name in ("channel", *(["run"] if runs else []), "value", "low", "high")
    ]
    layers: list[Spec] = [
        {
            "mark": {"type": "rule", "strokeWidth": 12, "opacity": 0.25, "clip": True},
            "encoding": {
                **y,
                "x": {**x, "field": "prior_low"},
                "x2": {"field": "prior_high"},
                "color": {"value": GREY},
            },
        },
        {
            "mark": {"type": "rule", "strokeWidth": 4, "clip": True, "opacity": 0.75},
            "encoding": {
                **y,
                **coloured,
                "x": {**x, "field": "low"},
                "x2": {"field": "high"},
                "tooltip": tips,
            },
        },
        {
            "transform": [{"filter": "datum.inside !== false && datum.value > 0"}],
            "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1, "clip": True},
            "encoding": {**y, **coloured, "x": {**x, "field": "value"}, "tooltip": tips},
        },
        {
            "transform": [{"filter": "datum.inside === false && datum.value > 0"}],
            "mark": {"type": "point", "filled": False, "size": 80, "strokeWidth": 2, "clip": True},
            "encoding": {**y, **coloured, "x": {**x, "field": "value"}, "tooltip": tips},
        },
    ]
    height = _rows_height(len({row["channel"] for row in rows}), 16 + 18 * max(1, len(runs)))
    return _spec(description, layers, height=height, data=clipped)


def _ticks(low: float, high: float) -> list[float]:
    """Some of each power of ten within limits: the more, the closer the limits are to each other."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    wide = math.log10(high / low)
    steps: tuple[float, ...] = (1, 1.5, 2, 3, 4, 5, 7) if wide < 1 else (1, 2, 5) if wide < 4 else (1,)
    ticks = [float(f"{step}e{power}") for power in range(first, last + 1) for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def _within(row: Row, limits: list[float]) -> Row:
    low, high = limits
    clip = {
        key: min(max(value, low), high)
        for key in ("prior_low", "prior_high", "low", "high")
        if (value := row.get(key)) is not None
    }
    return {**{key: _short(value) for key, value in row.items() if value is not None}, **clip}


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _scale(names: Sequence[str]) -> Spec:
    return {"domain": list(names), "range": [COLOURS[i % len(COLOURS)] for i in range(len(names))]}


def _roas(figures: ModelFigures) -> Spec | None:
    rows = [
        {
            "channel": channel.name,
            "value": channel.efficiency,
            "low": channel.low,
            "high": channel.high,
            "prior_low": channel.prior_low,
            "prior_high": channel.prior_high,
            "inside": channel.inside,
        }
        for channel in paid(figures)[:_MOST_ROWS]
    ]
    metric = figures.metric.upper()
    return intervals(rows, metric, f"{metric} of each paid channel with its interval")


def _roas_table(figures: ModelFigures) -> Table:
    metric = figures.metric.upper()
    return Table(
        ("Channel", metric, "5 %", "50 %", "95 %", "assumed 5 %", "assumed 95 %", "similar models", "to"),
        [
            (
                one.name,
                one.efficiency,
                one.low,
                one.middle,
                one.high,
                one.prior_low,
                one.prior_high,
                one.similar_low,
                one.similar_high,
            )
            for one in paid(figures)
        ],
    )


def _curves(figures: ModelFigures) -> Spec | None:
    curves = {one.name: one.best_curve for one in paid(figures)[: len(COLOURS)]}
    if not curves:
        return None
    widest = 1.6 * max(max(one.today, one.proposed or 0.0) for one in curves.values())
    x = _amounts("spend", f"spend per {figures.interval}", scale={"domain": [0, widest], "nice": False})
    y = _amounts("response", f"{figures.dependent} per {figures.interval}")
    colour = {
        "field": "channel",
        "type": "nominal",
        "title": None,
        "scale": _scale(list(curves)),
        "legend": {"orient": "top", "columns": 2, "labelLimit": 130, "symbolOpacity": 1},
    }
    layers: list[Spec] = []
    bands = [
        {"channel": name, "spend": _short(spend), "low": _short(low), "high": _short(high)}
        for name, one in curves.items()
        if isinstance(one, FigureBand)
        for spend, low, high in zip(one.value, one.low, one.high, strict=True)
        if spend <= widest
    ]
    if bands:
        y["scale"] = {"domainMin": 0}
        low, high = {**y, "field": "low"}, {"field": "high"}
        layers.append(
            {
                "data": {"values": bands},
                "mark": {"type": "area", "opacity": 0.16, "clip": True},
                "encoding": {"x": x, "y": low, "y2": high, "color": colour},
            }
        )
    lines = [
        {"channel": name, "spend": _short(spend), "response": _short(response)}
        for name, one in curves.items()
        for spend, response in zip(one.value, one.mean, strict=True)
        if response is not None and spend <= widest
    ]
    layers.append(
        {
            "data": {"values": lines},
            "mark": {"type": "line", "strokeWidth": 2, "clip": True},
            "encoding": {"x": x, "y": y, "color": colour},
        }
    )
    for what, filled in (("today", True), ("proposed", False)):
        points = [
            {"channel": name, "what": what, "spend": spend, "response": response}
            for name, one in curves.items()
            for spend, response in ((getattr(one, what), getattr(one, f"{what}_response")),)
            if spend is not None and response is not None
        ]
        layers.append(
            {
                "data": {"values": points},
                "mark": {"type": "point", "filled": filled, "size": 90, "strokeWidth": 2, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": colour,
                    "tooltip": _tips("channel", "what", "spend", "response"),
                },
            }
        )
    return _spec("Response to spend of each paid channel, with its interval", layers, height=240)


def _tips(*fields: str) -> list[Spec]:
    words = ("channel", "what", "variable", "model", "kind")
    return [{"field": name, "type": "nominal" if name in words else "quantitative"} for name in fields]


def _curves_table(figures: ModelFigures) -> Table:
    unit = f"per {figures.interval}"
    rows: list[Sequence[str | float | None]] = []
    for channel in figures.channels:
        one = channel.best_curve
        points = [("today", one.today, one.today_response), ("proposed", one.proposed, one.proposed_response)]
        rows += [
            (channel.name, spend, response, *_between(one, spend), what)
            for what, spend, response in points
            if spend is not None
        ]
        step = 1 if isinstance(one, FigureBand) else 6
        rows += [
            (channel.name, spend, response, *_between(one, spend), "curve")
            for spend, response in zip(one.value[::step], one.mean[::step], strict=True)
        ]
    return Table(("Channel", f"spend {unit}", f"response {unit}", "5 %", "95 %", "what"), rows)


def _between(curve: FigureBand | FigureCurve, spend: float) -> tuple[float | None, float | None]:
    """The interval of a curve at a spend, on the straight line between the two points around it."""
    if not isinstance(curve, FigureBand):
        return None, None
    after = next((i for i, value in enumerate(curve.value) if value >= spend), len(curve.value) - 1)
    before = max(after - 1, 0)
    wide = curve.value[after] - curve.value[before]
    part = (spend - curve.value[before]) / wide if wide else 0.0
    low, high = (
        values[before] + part * (values[after] - values[before]) for values in (curve.low, curve.high)
    )
    return low, high


_ORDER = {"intercept": 0, "prophet": 1, "context": 2, "organic": 3, "paid": 4}
_KINDS = {"intercept": "baseline", "prophet": "baseline", "context": "baseline"}


def _steps(figures: ModelFigures) -> list[tuple[str, str, float, float]]:
    """Name, kind, start and end of each driver's bar, stacked up to the predicted total."""
    kept = sorted(figures.variables, key=lambda one: -abs(one.total))[: _MOST_ROWS - 2]
    names = {one.name for one in kept}
    steps, start = [], 0.0
    for one in sorted(kept, key=lambda one: (_ORDER.get(one.kind, 5), -one.total)):
        kind = _KINDS.get(one.kind, f"{one.kind} media")
        steps.append((variable_name(one.name), kind, start, start + one.total))
        start += one.total
    rest = [one.total for one in figures.variables if one.name not in names]
    if rest:
        steps.append((f"{len(rest)} smaller", "baseline", start, start + sum(rest)))
    steps.append(("predicted", "total", 0.0, sum(figures.predicted)))
    return steps


def _contributions(figures: ModelFigures) -> Spec | None:
    total = sum(figures.predicted)
    rows = [
        {
            "channel": name,
            "kind": kind,
            "start": _short(start),
            "end": _short(end),
            "right": _short(max(start, end)),
            "share": f"{round(100 * (end - start) / total, 1) + 0.0:.1f} %" if total else "",
        }
        for name, kind, start, end in _steps(figures)
    ]
    x = _amounts("start", f"{figures.dependent} over {len(figures.dates)} {figures.interval}s")
    kinds = ["baseline", "organic media", "paid media", "total"]
    colour = {
        "field": "kind",
        "type": "nominal",
        "title": None,
        "scale": {"domain": kinds, "range": [GREY, COLOURS[2], COLOURS[0], COLOURS[8]]},
        "legend": {"orient": "top"},
    }
    bar = {
        "mark": {"type": "bar", "cornerRadius": 2},
        "encoding": {"y": _by_name(), "x": x, "x2": {"field": "end"}, "color": colour},
    }
    text = {
        "mark": {"type": "text", "align": "left", "dx": 4},
        "encoding": {
            "y": _by_name(),
            "x": {"field": "right", "type": "quantitative"},
            "text": {"field": "share"},
        },
    }
    return _spec("Contribution of each driver", [bar, text], height=_rows_height(len(rows), 22), data=rows)


def _contributions_table(figures: ModelFigures) -> Table:
    total = sum(figures.predicted)
    return Table(
        ("Variable", "kind", "contribution", "share"),
        [
            (variable_name(one.name), one.kind, one.total, one.total / total if total else None)
            for one in figures.variables
        ],
    )


def _fit(figures: ModelFigures) -> Spec | None:
    days = [str(day) for day in figures.dates]
    rows = [
        {"date": day, "what": what, "value": value}
        for what, values in (("actual", figures.actual), ("predicted", figures.predicted))
        for day, value in zip(days, values, strict=True)
    ]
    x = {
        "field": "date",
        "type": "temporal",
        "title": None,
        "axis": {"format": "%b %Y", "tickCount": 5, "labelOverlap": True},
    }
    y = _amounts("value", f"{figures.dependent} per {figures.interval}", scale={"zero": False})
    colour = {
        "field": "what",
        "type": "nominal",
        "title": None,
        "scale": {"domain": ["actual", "predicted"], "range": [GREY, COLOURS[0]]},
        "legend": {"orient": "top"},
    }
    layers: list[Spec] = [
        {
            "data": {"values": rows},
            "mark": {"type": "line", "strokeWidth": 1.5},
            "encoding": {"x": x, "y": y, "color": colour},
        }
    ]
    if told := figures.forecast:
        band = [
            {"date": day, "low": low, "value": middle, "high": high}
            for day, low, middle, high in zip(
                days[-len(told.low) :], told.low, told.middle, told.high, strict=True
            )
        ]
        layers.append(
            {
                "data": {"values": band},
                "mark": {"type": "area", "opacity": 0.3, "color": COLOURS[1]},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            }
        )
    return _spec("Actual and predicted over time", layers, height=240)


def _fit_table(figures: ModelFigures) -> Table:
    told, count = figures.forecast, len(figures.dates)
    seen = count - len(told.low) if told else count
    return Table(
        ("Period", "actual", "predicted", "forecast 5 %", "50 %", "95 %"),
        [
            (
                str(day),
                actual,
                predicted,
                *(
                    (told.low[i - seen], told.middle[i - seen], told.high[i - seen])
                    if told and i >= seen
                    else (None, None, None)
                ),
            )
            for i, (day, actual, predicted) in enumerate(
                zip(figures.dates, figures.actual, figures.predicted, strict=True)
            )
        ],
    )


def _allocation(figures: ModelFigures) -> Spec | None:
    channels = [one for one in paid(figures) if one.proposed is not None and one.before is not None]
    if not channels:
        return None
    rows = [
        {"channel": one.name, "what": what, "spend": spend}
        for one in channels[:_MOST_ROWS]
        for what, spend in (("today", one.before), ("proposed", one.proposed))
    ]
    bar = {
        "mark": {"type": "bar", "cornerRadius": 2},
        "encoding": {
            "y": _by_name(),
            "yOffset": {"field": "what", "type": "nominal", "sort": None},
            "x": _amounts("spend", "spend over the dates asked about"),
            "color": {
                "field": "what",
                "type": "nominal",
                "title": None,
                "scale": {"domain": ["today", "proposed"], "range": [GREY, COLOURS[0]]},
                "legend": {"orient": "top"},
            },
            "tooltip": _tips("channel", "what", "spend"),
        },
    }
    return _spec("Spend today and proposed", [bar], height=_rows_height(len(channels), 40), data=rows)


def _allocation_table(figures: ModelFigures) -> Table:
    return Table(
        ("Channel", "today", "proposed"), [(one.name, one.before, one.proposed) for one in paid(figures)]
    )


def _pareto(figures: ModelFigures) -> Spec | None:
    models = [one for one in figures.models if one.rssd is not None]
    if len(models) < 2:
        return None
    kinds = ["Pareto model", "best of its kind", "best model", "shown here"]

    sizes = dict(zip(kinds, (30, 90, 220, 140), strict=True))

    def kind(sol_id: str, winner: bool) -> str:
        if sol_id == figures.best:
            return kinds[2]
        if sol_id == figures.sol_id:
            return kinds[3]
        return kinds[1] if winner else kinds[0]

    rows = [
        {"model": one.sol_id, "nrmse": one.nrmse, "rssd": one.rssd, "kind": what, "size": sizes[what]}
        for one in models
        for what in (kind(one.sol_id, one.winner),)
    ]
    rows.sort(key=lambda row: kinds.index(str(row["kind"])))
    shown = kinds if figures.sol_id != figures.best else kinds[:3]
    small = {"scale": {"zero": False}}
    point = {
        "mark": {"type": "point", "filled": True, "opacity": 0.9},
        "encoding": {
            "x": {"field": "rssd", "type": "quantitative", "title": "DECOMP.RSSD", **small},
            "y": {"field": "nrmse", "type": "quantitative", "title": "NRMSE", **small},
            "color": {
                "field": "kind",
                "type": "nominal",
                "title": None,
                "scale": {"domain": shown, "range": [GREY, COLOURS[0], COLOURS[1], COLOURS[2]][: len(shown)]},
                "legend": {"orient": "top", "columns": 2},
            },
            "size": {"field": "size", "type": "quantitative", "scale": None, "legend": None},
            "tooltip": _tips("model", "nrmse", "rssd"),
        },
    }
    return _spec("Errors of the models on the Pareto fronts", [point], height=240, data=rows)


def _pareto_table(figures: ModelFigures) -> Table:
    return Table(
        ("Model", "NRMSE", "DECOMP.RSSD", "front", "cluster"),
        [(one.sol_id, one.nrmse, one.rssd, one.front, one.cluster) for one in figures.models],
    )


CHARTS: dict[str, Chart] = {
    "roas": Chart(
        "What each channel earns",
        "Line: 90 % of what the data allow; grey: assumed before; dot: this model, hollow if outside.",
        "roas",
        _roas,
        _roas_table,
    ),
    "curves": Chart(
        "Where the next unit goes",
        "Line: expected; band: 90 %. Full dot: today; hollow: proposed. Steeper is better.",
        "curves",
        _curves,
        _curves_table,
    ),
    "contributions": Chart(
        "What made the total",
        "Each driver's part, stacked up to what the model predicts.",
        "contributions",
        _contributions,
        _contributions_table,
    ),
    "fit": Chart(
        "Actual and predicted",
        "Orange band: 90 % of a forecast that has not seen these periods.",
        "fit",
        _fit,
        _fit_table,
    ),
    "allocation": Chart(
        "Where the money should go",
        "Spend of each paid channel, today and proposed.",
        "allocation",
        _allocation,
        _allocation_table,
    ),
    "pareto": Chart(
        "The models to choose from",
        "To the left: effect nearer to spend; down: smaller error.",
        None,
        _pareto,
        _pareto_table,
    ),
}
"""By the name that stands in their address."""


def shares(rows: Sequence[Row]) -> Spec:
    """Bars of shares, a row per channel (`channel`) and a bar per run (`run`)."""
    runs = list(dict.fromkeys(row["run"] for row in rows))
    bar = {
        "mark": {"type": "bar", "cornerRadius": 2},
        "encoding": {
            "y": _by_name(),
            "yOffset": {"field": "run", "type": "nominal", "sort": None},
            "x": {
                "field": "share",
                "type": "quantitative",
                "title": "share of the predicted total",
                "axis": {"format": "~%", "tickCount": 5},
            },
            "color": {
                "field": "run",
                "type": "nominal",
                "title": None,
                "scale": _scale(runs),
                "legend": {"orient": "top", "columns": 1, "labelLimit": 260},
            },
        },
    }
    height = _rows_height(len({row["channel"] for row in rows}), 16 + 18 * max(1, len(runs)))
    return _spec("Share of each channel in each run", [bar], height=height, data=rows)
