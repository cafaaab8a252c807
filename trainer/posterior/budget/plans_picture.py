"""The picture of plans: what each spends, and what it gains over what was spent."""

from __future__ import annotations

from pathlib import Path

from contracts.result import Allocation, Earned, Figures, Gain
from trainer.engines.pictures import style

_WIDTH = 16.0
_LEFT, _TOP = 3.0, 1.45


def draw(found: Allocation, dependent: str, path: Path) -> None:
    """Write the plans of an answer, what was spent, and what is proposed to `path` as a PNG."""
    import matplotlib  # takes a third of a second, and only the drawing needs it
    from matplotlib.figure import Figure

    with matplotlib.rc_context(style.settings()):
        rows = _rows(found)
        board = max(1.4, 0.55 * len(rows))
        height = _TOP + board + 0.9
        figure = Figure(figsize=(_WIDTH, height))
        unit = style.label(dependent, 24)
        title = style.heading(f"What would each plan earn? {found.start} to {found.end}", 80)
        place = (0.3 / _WIDTH, 1 - 0.22 / height)
        figure.text(*place, title, va="top", fontsize=18, fontweight="bold", color=style.INK)
        wide = (_WIDTH - _LEFT - 0.9) / 3
        titles = (
            ("What is spent?", "over the dates"),
            ("What does it earn?", "dot: expected; line: 90 %"),
            ("What is gained over what was spent?", "dot: expected; line: 90 %"),
        )
        units = ("spend, in currency", unit, f"{unit} more")
        for column, (title_of, unit_of) in enumerate(zip(titles, units, strict=True)):
            left = _LEFT + column * (wide + 0.3)
            axes = figure.add_axes((left / _WIDTH, 0.75 / height, wide / _WIDTH, board / height))
            for row, (_, figures, gain) in enumerate(rows):
                colour = style.SPEND if gain is None else style.INK
                if column == 0:
                    axes.barh(row, figures.spend, height=0.5, color=colour)
                    axes.text(figures.spend, row, f" {style.amount(figures.spend)}", va="center", fontsize=9)
                interval: Earned | None = figures.earned if column == 1 else gain if column == 2 else None
                if interval:
                    axes.plot([interval.q05, interval.q95], [row, row], color=colour, linewidth=2.4)
                    axes.plot(interval.mean, row, "o", color=colour, markersize=7)
                    text = style.amount(interval.mean)
                    if isinstance(gain, Gain) and column == 2:
                        text += f", above 0: {100 * gain.above_zero:.0f} %"
                    at = (interval.mean, row)
                    axes.annotate(text, at, (0, 7), textcoords="offset points", fontsize=9, ha="center")
            names = [style.label(name, 30) if column == 0 else "" for name, *_ in rows]
            style.rows(axes, names)
            axes.set_ylim(len(rows) - 0.4, -0.7)
            axes.grid(axis="x")
            axes.margins(x=0.25)
            if column == 0:
                axes.set_xlim(left=0)
            if column == 2:
                axes.axvline(0, color=style.MUTED, linewidth=1)
            style.amounts(axes.xaxis, unit_of)
            style.question(axes, *title_of)
        style.save(figure, path, "Plans")


def _rows(found: Allocation) -> list[tuple[str, Figures, Earned | None]]:
    rows: list[tuple[str, Figures, Earned | None]] = []
    if found.before:
        rows.append(("as it was", found.before, None))
    if found.after and found.gain:
        rows.append(("proposed", found.after, found.gain))
    return [*rows, *((plan.name, plan.after, plan.gain) for plan in found.plans)]
