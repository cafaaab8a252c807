"""The one-pager: one picture of a model that says what each channel earned (robyn-spec §17.3)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from contracts.model import ModelConfig
from trainer.engines.native.explain.efficiency import efficiency
from trainer.engines.native.pictures import panels
from trainer.engines.native.pictures.page import Page
from trainer.engines.native.records import ModelAnswer
from trainer.engines.native.result import Result
from trainer.engines.pictures import style
from trainer.engines.pictures.conclusions import WIDTH, Conclusions

if TYPE_CHECKING:  # matplotlib takes a third of a second, and only the drawing needs it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RIGHT = 15.7  # of the panels, in inches


def draw(
    result: Result,
    config: ModelConfig,
    path: Path,
    title: str,
    model: ModelAnswer | None = None,
    conclusions: Conclusions | None = None,
) -> None:
    """Write the picture of a model, `result.best` unless another is given, to `path` as a PNG.

    `conclusions` about that model are below its panels. The picture is 2240 pixels wide, 16:10 or taller, as
    it needs. Money is in the currency of the data, contributions are in units of the dependent variable, per
    period or over the window as the axes say.
    """
    import matplotlib

    with matplotlib.rc_context(style.settings()):
        page = Page(result, model or result.best, config.annotations)
        below = conclusions or Conclusions(page.inputs.dependent_name)
        style.save(_compose(page, config, title, below), path, title)


def _compose(page: Page, config: ModelConfig, title: str, below: Conclusions) -> Figure:
    """Place the panels; all lengths are inches from the top left."""
    from matplotlib.figure import Figure

    names = max(1.7, 0.3 + 0.077 * max(map(style.width, page.names.values())))
    board, curves = max(1.85, 0.31 * len(page.channels)), max(1.9, 0.17 * len(page.paid))
    second, third = 4.72, 4.72 + board + 0.98
    height = third + curves + below.height
    figure = Figure(figsize=(WIDTH, height))
    _header(figure, page, config, title, height)

    def place(left: float, top: float, right: float, tall: float) -> Axes:
        return figure.add_axes(
            (left / WIDTH, 1 - (top + tall) / height, (right - left) / WIDTH, tall / height)
        )

    panels.waterfall(place(names, 1.6, 7.2, 2.15), page)
    panels.fit(place(8.2, 1.6, _RIGHT, 2.15), page)
    for panel, start, end in panels.BOARD:
        room = _RIGHT - names
        panel(place(names + start * room, second, names + end * room, board), page)
    panels.curves(place(0.95, third, 8.15, curves), page)
    panels.residuals(place(12.3, third, _RIGHT, curves), page)
    below.draw(figure, third + curves)
    return figure


def _header(figure: Figure, page: Page, config: ModelConfig, title: str, height: float) -> None:
    def write(left: float, top: float, text: str, size: float, color: str = style.MUTED) -> None:
        weight = "bold" if size > 12 else "normal"
        place = (left / WIDTH, 1 - top / height)
        figure.text(*place, text, va="top", fontsize=size, fontweight=weight, color=color)

    write(0.3, 0.22, style.heading(title), 18, style.INK)
    for i, line in enumerate(_subtitle(page, config)):
        write(0.3, 0.6 + 0.22 * i, line, 10)
    for i, (number, meaning) in enumerate(_key_figures(page)):
        write(9.4 + 1.62 * i, 0.22, number, 18, style.INK)
        write(9.4 + 1.62 * i, 0.58, meaning, 9)
    write(0.3, height - 0.3, _glossary(page), 8.5)


def _subtitle(page: Page, config: ModelConfig) -> list[str]:
    model, search = page.model, config.search
    first, last = (pd.Timestamp(day) for day in (model.dates[0], model.dates[-1]))
    dates = f"{first.day} {first:%b %Y} to {last.day} {last:%b %Y}, {len(model.dates)} {page.period}s"
    count = f"{len(page.result.candidates):,} candidates ({search.trials} × {search.iterations:,})"
    return [
        f"{page.per_period(page.dependent)}, {dates}",
        f"Model {model.solution}, {_rank(page)}; {count}, {len(page.result.pareto)} on the Pareto fronts",
    ]


def _rank(page: Page) -> str:
    """What the model was chosen for."""
    solution, clusters = page.model.solution, page.result.clusters
    if solution == page.result.best.solution:
        return "the best of all"
    if solution in clusters.winners:
        return f"the best of cluster {clusters.winners.index(solution) + 1}"
    return "one of all"


def _key_figures(page: Page) -> list[tuple[str, str]]:
    spend = sum(page.spend(media) for media in page.paid)
    earned = float(sum(media.response.sum() for media in page.paid))
    return [
        (style.amount(page.total), f"{style.label(page.inputs.dependent_name, 16)},\npredicted"),
        (style.percent(earned / page.total), "of it earned by\npaid media"),
        (style.amount(spend), "spent on\npaid media"),
        (style.amount(efficiency(earned, spend, page.kind)), f"{page.metric} of\npaid media"),
    ]


def _glossary(page: Page) -> str:
    ratio = "contribution / spend" if page.revenue else "spend / contribution"
    return (
        f"{page.metric} = {ratio} over the window, paid media only.  "
        f"Carry-over: effect of earlier {page.period}s' input.  "
        "Base level: what the model predicts with no driver at all.  Money is in the currency of the data."
    )
