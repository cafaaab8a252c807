"""The one-pager: one picture of a model that says what each channel earned (robyn-spec §17.3)."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from contracts.model import ModelConfig
from contracts.posterior import PosteriorDocument
from contracts.trust import TrustDocument
from trainer.engines.native.explain.efficiency import efficiency
from trainer.engines.native.pictures import panels
from trainer.engines.native.pictures.page import Page
from trainer.engines.native.records import ModelAnswer
from trainer.engines.native.result import Result
from trainer.engines.pictures import posterior_picture, style

if TYPE_CHECKING:  # matplotlib takes a third of a second, and only the drawing needs it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _RIGHT = 16.0, 15.7  # of the picture and of its panels, in inches
_WORDS = {"good": "#2A7D4F", "doubtful": "#9A6700", "bad": "#B42318"}
_LETTERS = 200  # of a line of the whole width
_TOLD = 1.25  # inches above the panel of the posterior, for the axis of the one above and its own title


def draw(
    result: Result,
    config: ModelConfig,
    path: Path,
    title: str,
    model: ModelAnswer | None = None,
    posterior: PosteriorDocument | None = None,
    trust: TrustDocument | None = None,
) -> None:
    """Write the picture of a model, `result.best` unless another is given, to `path` as a PNG.

    `posterior`, whose best model is that model, is shown in a panel below, and `trust` at the bottom. The
    picture is 2240 pixels wide, 16:10 or taller, as it needs. Money is in the currency of the data,
    contributions are in units of the dependent variable, per period or over the window as the axes say.
    """
    import matplotlib

    with matplotlib.rc_context(style.settings()):
        page = Page(result, model or result.best, config.annotations, posterior, trust)
        style.save(_compose(page, config, title), path, title)


def _compose(page: Page, config: ModelConfig, title: str) -> Figure:
    """Place the panels; all lengths are inches from the top left."""
    from matplotlib.figure import Figure

    names = max(1.7, 0.3 + 0.077 * max(map(style.width, page.names.values())))
    board, curves = max(1.85, 0.31 * len(page.channels)), max(1.9, 0.17 * len(page.paid))
    second, third = 4.72, 4.72 + board + 0.98
    told, verdicts = page.posterior, _verdicts(page.trust) if page.trust else []
    fourth = third + curves + _TOLD
    fifth = fourth + board + 0.75 if told else third + curves + 0.75
    height = fifth + 0.1 + (0.55 + 0.2 * len(verdicts) if verdicts else 0)
    figure = Figure(figsize=(_WIDTH, height))
    _header(figure, page, config, title, height)

    def place(left: float, top: float, right: float, tall: float) -> Axes:
        return figure.add_axes(
            (left / _WIDTH, 1 - (top + tall) / height, (right - left) / _WIDTH, tall / height)
        )

    panels.waterfall(place(names, 1.6, 7.2, 2.15), page)
    panels.fit(place(8.2, 1.6, _RIGHT, 2.15), page)
    for panel, start, end in panels.BOARD:
        room = _RIGHT - names
        panel(place(names + start * room, second, names + end * room, board), page)
    panels.curves(place(0.95, third, 8.15, curves), page)
    panels.residuals(place(12.3, third, _RIGHT, curves), page)
    if told:
        _intervals(place(names, fourth, 8.15, board), told)
        _sentences(figure, told, (8.8, fourth - 0.4, fifth - 0.3), height)
    for i, (text, colour) in enumerate(verdicts):
        size = {"fontsize": 12.5, "fontweight": "bold"} if i == 0 else {"fontsize": 9}
        top = fifth + 0.05 + 0.2 * i + 0.08 * (i > 0)
        figure.text(0.3 / _WIDTH, 1 - top / height, text, va="top", color=colour, **size)
    return figure


def _intervals(axes: Axes, told: PosteriorDocument) -> None:
    posterior_picture.panel(axes, told)
    reading = "line: 90 %; thick: half of it; grey: what was assumed; dot: this model, hollow if outside"
    style.question(axes, "What do the data say, and how surely?", reading)


def _verdicts(trust: TrustDocument) -> list[tuple[str, str]]:
    """The heading, a line for all that is not good, and one for all that is, with their colours."""
    good = [line.figure for line in trust.lines if line.word == "good"]
    others = sorted((line for line in trust.lines if line.word != "good"), key=lambda line: line.word)
    lines = [
        (f"{line.word}: {line.topic}, {line.figure}: {line.reason}; {line.advice}", _WORDS[line.word])
        for line in others
    ]
    lines = [(style.heading(text, _LETTERS), colour) for text, colour in lines]
    wrapped = textwrap.wrap(f"good: {'; '.join(good)}", _LETTERS, subsequent_indent="    ") if good else []
    return [("Can the result be trusted?", style.INK), *lines, *((text, _WORDS["good"]) for text in wrapped)]


def _sentences(
    figure: Figure, told: PosteriorDocument, place: tuple[float, float, float], height: float
) -> None:
    """What the posterior says in words, as far as there is room from left and top to the bottom."""
    left, top, bottom = place
    lines = [style.heading(line, 100) for line in told.sentences]
    room = int((bottom - top) / 0.19)
    shown = lines if len(lines) <= room else [*lines[: room - 1], "… more in posterior.png"]
    figure.text(left / _WIDTH, 1 - top / height, "\n".join(shown), va="top", fontsize=9, linespacing=1.5)


def _header(figure: Figure, page: Page, config: ModelConfig, title: str, height: float) -> None:
    def write(left: float, top: float, text: str, size: float, color: str = style.MUTED) -> None:
        weight = "bold" if size > 12 else "normal"
        place = (left / _WIDTH, 1 - top / height)
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
