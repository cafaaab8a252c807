"""The modelling window on the dates of the data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from contracts.model import Window
from contracts.series import Interval, last_days, outside, rows_within
from contracts.validation import ResolvedWindow
from functions.validate.findings import Findings


def resolve(
    dates: Sequence[date], interval: Interval, window: Window, findings: Findings
) -> ResolvedWindow | None:
    """The window's rows among the dates of a series, or None if it lies outside the data."""
    if obstacle := outside(dates, interval, window):
        findings.error(*obstacle)
        return None
    rows, ends = rows_within(dates, window.start, window.end), last_days(dates, interval)
    resolved = ResolvedWindow(
        start=dates[rows[0]],
        end=ends[rows[-1]],
        first_row=rows[0] + 1,
        last_row=rows[-1] + 1,
        rows=len(rows),
    )
    _report_moves(window, resolved, findings)
    return resolved


def _report_moves(window: Window, resolved: ResolvedWindow, findings: Findings) -> None:
    for edge, asked, used in (("start", window.start, resolved.start), ("end", window.end, resolved.end)):
        if asked and asked != used:
            findings.change(
                f"window-{edge}",
                f"the window's {edge} moved from {asked} to {used}, as its periods begin and end",
            )
