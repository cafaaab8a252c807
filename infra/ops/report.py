"""What a command answers: rows, printed as a table, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

Row = dict[str, Any]
Format = Literal["table", "csv", "json"]
_WIDTH = 160
"""Of a table that is not printed to a terminal."""


class Usage(ValueError):
    """The command cannot be meant so; nothing was done."""


@dataclass(frozen=True)
class Report:
    """Rows with the same names, what there is to say besides, and whether all is well."""

    rows: list[Row]
    note: str = ""
    good: bool = True


def render(report: Report, shape: Format) -> str:
    """The text of a report; only the table has the note, the others are for programs."""
    if shape == "json":
        return json.dumps(report.rows, indent=2, default=str, ensure_ascii=False) + "\n"
    names = list(dict.fromkeys(name for row in report.rows for name in row))
    if shape == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(report.rows)
        return text.getvalue()
    return _table(report, names)


def _table(report: Report, names: list[str]) -> str:
    text = io.StringIO()
    terminal = Console()
    console = Console(file=text, width=terminal.width if terminal.is_terminal else _WIDTH)
    if report.rows:
        table = Table(box=None, pad_edge=False)
        for name in names:
            numbers = all(isinstance(row.get(name), (int, float, type(None))) for row in report.rows)
            table.add_column(name.replace("_", " "), justify="right" if numbers else "left", overflow="fold")
        for row in report.rows:
            table.add_row(*(_cell(row.get(name)) for name in names))
        console.print(table, markup=False)
    if report.note:
        console.print(report.note, markup=False, highlight=False)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1 else _large(value)


def _large(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
