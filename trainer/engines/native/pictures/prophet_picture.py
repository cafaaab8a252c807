"""The picture of the Prophet decomposition: trend, season, holidays and the other parts of the dependent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contracts.model import Annotation
from trainer.engines.native.records import Inputs
from trainer.engines.pictures import notes, style

_WIDTH, _ROW = 16.0, 1.75  # width of the picture and height of a row, in inches
_READING = {
    "trend": "the slow change",
    "season": "repeats every year",
    "monthly": "repeats every month",
    "weekday": "repeats every week",
    "holiday": "on and around holidays and events",
}


def draw(inputs: Inputs, annotations: Sequence[Annotation], path: Path) -> None:
    """Write the picture to `path` as a PNG, 2240 pixels wide, a panel per component over all dates.

    Components are in units of the dependent variable per period; the window of the model is shaded.
    Annotations are named in the first panel.
    """
    import matplotlib
    from matplotlib.figure import Figure

    dependent = style.label(inputs.dependent_name)
    columns = dict(zip(inputs.columns, inputs.values.T, strict=True))
    series = {dependent: inputs.dependent} | {name: columns[name] for name in inputs.prophet}
    rows = [1.6 if annotations else 1.0, *[1.0] * len(inputs.prophet)]
    height = 1.5 + _ROW * sum(rows)
    with matplotlib.rc_context(style.settings()):
        figure = Figure(figsize=(_WIDTH, height))
        figure.text(
            0.02,
            1 - 0.22 / height,
            style.heading(f"What repeats in {dependent}?"),
            va="top",
            fontsize=18,
            fontweight="bold",
        )
        grid = figure.add_gridspec(
            len(series), 1, left=0.07, right=0.98, top=1 - 1.15 / height, bottom=0.5 / height, hspace=0.75
        )
        grid.set_height_ratios(rows)
        for row, (name, values) in enumerate(series.items()):
            axes = figure.add_subplot(grid[row, 0])
            axes.axvspan(*inputs.window_dates[[0, -1]], color=style.FAINT, alpha=0.3, linewidth=0)
            axes.plot(inputs.dates, values, color=style.ACCENT if row else style.INK, linewidth=1.4)
            axes.grid(axis="y")
            axes.margins(x=0.01)
            if row:
                notes.lines(axes, annotations)
            else:
                notes.labelled(axes, annotations, 0)
            axes.xaxis.get_offset_text().set_visible(False)
            style.amounts(axes.yaxis, f"per {inputs.interval}")
            reading = _READING.get(name, "actual; shaded: the window of the model")
            style.question(axes, name, reading)
        style.save(figure, path, "Prophet decomposition")
