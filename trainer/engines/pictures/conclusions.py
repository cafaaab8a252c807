"""The lower part of a one-pager, of either engine: posterior, regions, budget answers, and checks."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.posterior import REGIONS_NOTE, PosteriorDocument
from contracts.result import Allocation
from contracts.trust import TrustDocument
from trainer.engines.pictures import answer_panel, posterior_picture, regions_picture, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 16.0
"""Of the picture, in inches."""
_RIGHT = 15.7
_WORDS = {"good": "#2A7D4F", "doubtful": "#9A6700", "bad": "#B42318"}
_LETTERS = 200  # of a line of the whole width
_TITLE = 1.25  # inches above a panel, for the axis of the one above and its own title
_AXIS = 0.75  # inches below a panel
_ANSWER = 1.85  # inches above the rows of a budget answer, for its heading and the titles of its columns
_MOST_REGIONS = 10  # rows of regions, those that sell most; all of them are in posterior_regions.png
_MOST_PLANS = 6  # rows of a budget answer; all of them are in plans.png


@dataclass(frozen=True)
class Conclusions:
    """What is below the panels of a model; all lengths are inches."""

    dependent: str
    posterior: PosteriorDocument | None = None
    answers: Sequence[Allocation] = ()
    trust: TrustDocument | None = None

    @property
    def height(self) -> float:
        """From the lower edge of the last panel of the model."""
        return self._told + self._regional + sum(map(self._tall, self.answers)) + self._judged

    def draw(self, figure: Figure, top: float) -> None:
        """Draw everything, beginning `top` inches below the figure's upper edge."""
        if self.posterior:
            self._draw_posterior(figure, self.posterior, top + _TITLE)
        top += self._told
        if self.posterior and self._regional:
            self._draw_regions(figure, self.posterior, top)
        top += self._regional
        for answer in self.answers:
            self._draw_answer(figure, answer, top)
            top += self._tall(answer)
        if self.trust:
            self._draw_trust(figure, self.trust, top)

    @property
    def _board(self) -> float:
        paid = sum(channel.paid for channel in self.posterior.channels) if self.posterior else 0
        return max(1.85, 0.31 * paid)

    @property
    def _told(self) -> float:
        return _TITLE + self._board if self.posterior else 0.0

    @property
    def _regional(self) -> float:
        rows = min(len(self.posterior.regions), _MOST_REGIONS) + 1 if self.posterior else 1
        return _ANSWER + regions_picture.ROW * rows - _AXIS + 0.2 if rows > 1 else 0.0

    def _tall(self, answer: Allocation) -> float:
        rows = min(len(_compared(answer)), _MOST_PLANS)
        return _ANSWER + max(1.0, answer_panel.ROW * rows) if rows else 0.65

    @property
    def _judged(self) -> float:
        return _AXIS + (0.1 + 0.55 + 0.2 * len(_verdicts(self.trust)) if self.trust else 0.1)

    def _draw_posterior(self, figure: Figure, told: PosteriorDocument, top: float) -> None:
        height, bottom = figure.get_figheight(), top + self._board
        names = [style.label(channel.name) for channel in told.channels if channel.paid]
        left = max(1.7, 0.3 + 0.077 * max(map(style.width, names)))
        axes = figure.add_axes(
            (left / WIDTH, 1 - bottom / height, (8.15 - left) / WIDTH, self._board / height)
        )
        _intervals(axes, told)
        _sentences(figure, told, (8.8, top - 0.4, bottom + _AXIS - 0.3))

    def _draw_regions(self, figure: Figure, told: PosteriorDocument, top: float) -> None:
        height = figure.get_figheight()
        largest = sorted(told.regions, key=lambda region: -region.dependent)[:_MOST_REGIONS]
        hidden = len(told.regions) - len(largest)
        more = (
            f"; the {len(largest)} that sell most, {hidden} more in posterior_regions.png" if hidden else ""
        )
        reading = f"{regions_picture.reading_of(told)}{more}; {REGIONS_NOTE}"
        _head(figure, [("What do channels earn in each region?", 12.5), (reading, 9)], top + _AXIS + 0.05)
        rows = regions_picture.ROW * (len(largest) + 1)
        left, upper = 2.3, top + _ANSWER - 0.1
        size = ((_RIGHT - left) / WIDTH, rows / height)
        axes = figure.add_axes((left / WIDTH, 1 - (upper + rows) / height, *size))
        regions_picture.panel(axes, told, largest)

    def _draw_answer(self, figure: Figure, answer: Allocation, top: float) -> None:
        told = _compared(answer)
        _head(figure, _about(answer, len(told) - _MOST_PLANS), top + _AXIS + 0.05)
        if told:
            kept = told[:_MOST_PLANS]
            left = max(1.7, 0.3 + 0.077 * max(style.width(style.label(row.name, 30)) for row in kept))
            within = (left, top + _ANSWER, _RIGHT, top + self._tall(answer))
            answer_panel.draw(figure, kept, self.dependent, within)

    def _draw_trust(self, figure: Figure, trust: TrustDocument, top: float) -> None:
        height = figure.get_figheight()
        for i, (text, colour) in enumerate(_verdicts(trust)):
            weight, size = ("bold", 12.5) if i == 0 else ("normal", 9)
            place = (0.3 / WIDTH, 1 - (top + _AXIS + 0.05 + 0.2 * i + 0.08 * (i > 0)) / height)
            figure.text(*place, text, va="top", color=colour, fontsize=size, fontweight=weight)


def _head(figure: Figure, lines: Sequence[tuple[str, float]], top: float) -> None:
    """A bold line and those that explain it, each with the size of its letters."""
    for i, (text, size) in enumerate(lines):
        weight, colour = ("bold", style.INK) if i == 0 else ("normal", style.MUTED)
        place = (0.3 / WIDTH, 1 - (top + 0.28 * i) / figure.get_figheight())
        figure.text(*place, text, va="top", fontsize=size, fontweight=weight, color=colour)


def append(conclusions: Conclusions, path: Path) -> None:
    """Draw below the picture of a model that another program has left at `path`, in its own width."""
    import matplotlib
    from matplotlib.figure import Figure
    from PIL import Image

    with Image.open(path) as opened:
        above = opened.convert("RGB")
    with matplotlib.rc_context(style.settings()):
        figure = Figure(figsize=(WIDTH, conclusions.height))
        conclusions.draw(figure, 0.0)
        below = style.rendered(figure, above.width / WIDTH)
    whole = Image.new("RGB", (above.width, above.height + below.height), "white")
    whole.paste(above, (0, 0))
    whole.paste(below, (0, above.height))
    whole.save(path, compress_level=4)


def _intervals(axes: Axes, told: PosteriorDocument) -> None:
    posterior_picture.panel(axes, told)
    reading = "line: 90 %, if the model's form is right; thick: half; grey: assumed; hollow dot: outside"
    style.question(axes, "What do the data say, and how surely?", reading)


def _sentences(figure: Figure, told: PosteriorDocument, place: tuple[float, float, float]) -> None:
    """What the posterior says in words, as far as there is room from left and top to the bottom."""
    left, top, bottom = place
    lines = [style.heading(line, 100) for line in told.sentences]
    room = int((bottom - top) / 0.19)
    shown = lines if len(lines) <= room else [*lines[: room - 1], "… more in posterior.png"]
    at = (left / WIDTH, 1 - top / figure.get_figheight())
    figure.text(*at, "\n".join(shown), va="top", fontsize=9, linespacing=1.5)


def _compared(answer: Allocation) -> list[answer_panel.Row]:
    """The rows of an answer that compares something with what was spent; otherwise words are enough."""
    told = answer_panel.rows(answer)
    return told if len(told) > 1 else []


def _about(answer: Allocation, hidden: int) -> list[tuple[str, float]]:
    """What a question is about, and what must be known to read its answer, with the size of the letters."""
    dates = f" {answer.start} to {answer.end}" if answer.start else ""
    named = f" ({answer.name})" if answer.name else ""
    heading = style.heading(f"What would another budget earn?{dates}{named}", 100)
    notes = list(answer.notes)
    if not answer.feasible:
        notes.insert(0, f"No answer: {answer.reason}.")
    elif not _compared(answer):
        heading = heading.replace("would another budget earn", "was earned")
        (told,) = answer_panel.rows(answer)
        notes.insert(0, f"{style.amount(told.spend)} was spent, and earned {style.amount(told.earned)}.")
    elif hidden > 0:
        notes.insert(0, f"{hidden} more in plans.png.")
    return [(heading, 12.5), (style.heading(" ".join(notes), _LETTERS), 9)]


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
