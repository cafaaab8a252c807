"""The picture of plans: what each spends, and what it gains over what was spent."""

from __future__ import annotations

from pathlib import Path

from contracts.result import Allocation
from trainer.engines.pictures import answer_panel, style

_WIDTH = 16.0
_LEFT, _TOP = 3.0, 1.45


def draw(found: Allocation, dependent: str, path: Path) -> None:
    """Write the plans of an answer, what was spent, and what is proposed to `path` as a PNG."""
    import matplotlib  # takes a third of a second, and only the drawing needs it
    from matplotlib.figure import Figure

    with matplotlib.rc_context(style.settings()):
        told = answer_panel.rows(found)
        bottom = _TOP + max(1.4, answer_panel.ROW * len(told))
        height = bottom + 0.9
        figure = Figure(figsize=(_WIDTH, height))
        title = style.heading(f"What would each plan earn? {found.start} to {found.end}", 80)
        place = (0.3 / _WIDTH, 1 - 0.22 / height)
        figure.text(*place, title, va="top", fontsize=18, fontweight="bold", color=style.INK)
        answer_panel.draw(figure, told, dependent, (_LEFT, _TOP, _WIDTH - 0.3, bottom))
        style.save(figure, path, "Plans")
