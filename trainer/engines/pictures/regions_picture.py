"""The picture of regions: what each paid channel earns in each of them, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contracts.posterior import REGIONS_NOTE, PosteriorDocument, PosteriorRegion, Quantiles, RegionChannel
from trainer.engines.pictures import style

if TYPE_CHECKING:  # matplotlib takes a third of a second, and only the drawing needs it
    from matplotlib.axes import Axes

ROW = 0.34
"""Height of a region's row, in inches."""
_COLUMN, _NAMES = 1.75, 2.3


def draw(document: PosteriorDocument, path: Path) -> None:
    """Write a PNG with a row per region and a column per paid channel, the country first.

    A cell has the interval of 90 %; its shade is the median, from half to double that of the country.
    """
    import matplotlib
    from matplotlib.figure import Figure

    paid = sum(channel.paid for channel in document.channels)
    height, width = 1.75 + ROW * (len(document.regions) + 1), max(_NAMES + _COLUMN * paid + 0.3, 9.0)
    with matplotlib.rc_context(style.settings()):
        figure = Figure(figsize=(width, height))
        revenue = document.dependent_type == "revenue"
        title = (
            "What do channels earn in each region?"
            if revenue
            else "What does a conversion cost in each region?"
        )
        figure.text(0.15 / width, 1 - 0.15 / height, title, va="top", fontsize=16, fontweight="bold")
        reading = reading_of(document)
        figure.text(0.15 / width, 1 - 0.5 / height, reading, va="top", fontsize=9.5, color=style.MUTED)
        figure.text(0.15 / width, 1 - 0.72 / height, REGIONS_NOTE, va="top", fontsize=9.5, color=style.MUTED)
        place = (_NAMES / width, 0.1 / height, 1 - (_NAMES + 0.3) / width, 1 - 1.35 / height)
        panel(figure.add_axes(place), document, document.regions)
        style.save(figure, path, "Regions")


def reading_of(document: PosteriorDocument) -> str:
    """How to read the panel."""
    ratio, dark = ("ROAS", "more") if document.dependent_type == "revenue" else ("CPA", "cheaper")
    return f"{ratio}, 90 % of the posterior; darker: {dark} than in all regions together"


def panel(axes: Axes, document: PosteriorDocument, regions: Sequence[PosteriorRegion]) -> None:
    """Draw a row for all regions together and one for each of those given, a column per paid channel."""
    paid = [channel for channel in document.channels if channel.paid]
    rows = [{one.name: one for one in region.channels} for region in regions]
    direction = 1 if document.dependent_type == "revenue" else -1
    medians = np.full((len(rows) + 1, len(paid)), np.nan)
    for column, channel in enumerate(paid):
        whole = _metric(channel.roas, channel.cpa)
        medians[0, column] = 0.0
        _cell(axes, 0, column, whole)
        for row, found in enumerate(rows, 1):
            if channel.name in found:
                one = _told(found[channel.name])
                medians[row, column] = np.log2(one.q50 / whole.q50) * direction
                _cell(axes, row, column, one)
    axes.imshow(medians, cmap="Blues", vmin=-1.6, vmax=3.4, aspect="auto")
    names = ["all regions", *(style.label(region.name, 26) for region in regions)]
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_xticks(range(len(paid)), [style.label(channel.name, 18) for channel in paid], fontsize=9)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.axhline(0.5, color="white", linewidth=3)


def _told(channel: RegionChannel) -> Quantiles:
    return _metric(channel.roas, channel.cpa)


def _metric(roas: Quantiles | None, cpa: Quantiles | None) -> Quantiles:
    found = roas or cpa
    assert found  # noqa: S101 (a paid channel has one of both)
    return found


def _cell(axes: Axes, row: int, column: int, found: Quantiles) -> None:
    text = f"{style.amount(found.q05)} – {style.amount(found.q95)}"
    axes.text(column, row, text, ha="center", va="center", fontsize=8.5, color=style.INK)
