"""The modelling window on the dates of the data, as Robyn 3.12.1 resolves it (robyn-spec §1.3)."""

from __future__ import annotations

import pandas as pd

from contracts.model import Window
from contracts.validation import Interval, ResolvedWindow
from functions.validate.calendar import next_dates
from functions.validate.findings import Findings


def last_day(dates: pd.Series[pd.Timestamp], interval: Interval) -> pd.Timestamp:
    """The last day that the data cover: that of the last period."""
    return next_dates(dates, interval).iloc[-1] - pd.Timedelta(days=1)


def resolve(
    dates: pd.Series[pd.Timestamp], interval: Interval, window: Window, findings: Findings
) -> ResolvedWindow | None:
    """The window's rows among the sorted dates (N), or None if it lies outside the data.

    Start and end move to the nearest date of the data, the earlier one if two are as near.
    """
    first, last = dates.iloc[0], last_day(dates, interval)
    start = pd.Timestamp(window.start) if window.start else first
    end = pd.Timestamp(window.end) if window.end else last
    if start > dates.iloc[-1] or end < first:
        findings.error(
            "window-outside",
            f"the modelling window from {start.date()} to {end.date()} lies outside the data, which go from "
            f"{first.date()} to {last.date()}",
            "correct window.start and window.end, or deliver the data of that time",
        )
        return None
    resolved = _nearest_rows(dates, interval, start, min(end, last))
    _report_moves(window, resolved, findings)
    return resolved


def _nearest_rows(
    dates: pd.Series[pd.Timestamp], interval: Interval, start: pd.Timestamp, end: pd.Timestamp
) -> ResolvedWindow:
    first_row = int((dates - start).abs().to_numpy().argmin())
    last_row = int((dates - end).abs().to_numpy().argmin())
    if end != dates.iloc[last_row] and end != last_day(dates, interval):
        end = last_day(dates.iloc[: last_row + 1], interval)
    return ResolvedWindow(
        start=dates.iloc[first_row].date(),
        end=end.date(),
        first_row=first_row + 1,
        last_row=last_row + 1,
        rows=last_row - first_row + 1,
    )


def _report_moves(window: Window, resolved: ResolvedWindow, findings: Findings) -> None:
    for edge, asked, used in (("start", window.start, resolved.start), ("end", window.end, resolved.end)):
        if asked and asked != used:
            findings.change(
                f"window-{edge}", f"the window's {edge} moved from {asked} to {used}, as the data have it"
            )
