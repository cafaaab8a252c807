"""What a training found, on a terminal: what each channel cost and earned, how well it fits, what warns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from contracts.changes import ChangesShort
from contracts.comparison import ComparisonAnswer
from contracts.job import Finding
from contracts.mapping import MappingCheck
from contracts.plans import PlanOffer
from contracts.posterior import ShortInterval, chance
from contracts.preview import Preview
from contracts.result import Allocation, ChannelResult, Gain, ModelInBrief
from contracts.summary import ModelSummary, RunChannel
from contracts.trust import TrustLine

_FOLDED = 24
"""How narrow a column may become whose texts can be folded."""


def printable(text: str) -> str:
    """A text without the characters that control a terminal; names of files and columns may have some."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "�", text)


class PlainConsole(Console):
    """A console on which no text controls the terminal."""

    def render_str(self, text: str, **options: Any) -> Text:
        """The text as it is shown."""
        return super().render_str(printable(text), **options)


def fits(table: Table, width: int) -> bool:
    """Give the columns of a table widths in which no text is cut; False if there is no room for that."""
    between = 3 * len(table.columns) + 1 if table.box else 2 * (len(table.columns) - 1)
    narrow = [_narrowest(column) for column in table.columns]
    spare = width - between - sum(narrow)
    if spare < 0:
        return False
    for column, least in zip(table.columns, narrow, strict=True):
        more = min(max(map(cell_len, _texts(column))) - least, spare)
        column.width, spare = least + more, spare - more
    return True


def _narrowest(column: Column) -> int:
    """The width of a column in which headers are broken between words, and texts that can be folded are."""
    header, *cells = _texts(column)
    longest = max(map(cell_len, cells), default=0)
    if column.overflow == "fold" and not column.no_wrap:
        longest = min(longest, _FOLDED)
    return max(longest, *map(cell_len, header.split()), 1)


def _texts(column: Column) -> list[str]:
    return [str(text) for text in (column.header, *column.cells)]


def record_lines(table: Table) -> Iterator[str]:
    """A table for narrow terminals: the first cell of each row, and under it what the others say."""
    if table.title:
        yield str(table.title)
    _, *names = (str(column.header) for column in table.columns)
    for first, *cells in zip(*(map(str, column.cells) for column in table.columns), strict=True):
        yield first
        yield "  " + ", ".join(f"{name} {cell}" for name, cell in zip(names, cells, strict=True) if cell)


def channels_table(
    best: ModelInBrief, dependent: str, beside: Mapping[str, Sequence[str]] | None = None
) -> Table:
    """A row per channel: spend, contribution in units of `dependent`, ROAS or CPA.

    Where there is a posterior to rely on these are its means, with the interval; the model's own values have
    columns of their own. `beside` adds columns, a cell per channel of `best` in its order.
    """
    metric = "CPA" if any(channel.cpa is not None for channel in best.channels) else "ROAS"
    expected = _expected(best, dependent, metric)
    of_model = f"model {best.sol_id}: " if expected else ""
    columns = {
        "spend": [amount(channel.spend) for channel in best.channels],
        **expected,
        f"{of_model}contribution{'' if expected else f' to {dependent}'}": [
            amount(channel.response) for channel in best.channels
        ],
        f"{of_model}{metric}": [
            ratio(channel.cpa if metric == "CPA" else channel.roas) for channel in best.channels
        ],
        **(beside or {}),
    }
    table = Table(title="what channels earn" if expected else f"model {best.sol_id}", title_justify="left")
    table.add_column("channel")
    for name in columns:
        table.add_column(name, justify="right")
    for channel, *cells in zip(best.channels, *columns.values(), strict=True):
        table.add_row(channel.name, *cells)
    return table


def _expected(best: ModelInBrief, dependent: str, metric: str) -> dict[str, list[str]]:
    """What the posterior says of each channel, where there is one to rely on.

    `!` marks an interval that the model's own value is outside of.
    """
    if best.posterior is None or not best.posterior.converged:
        return {}
    known = {one.name: one for one in best.posterior.channels}
    found = [(known.get(channel.name), _own(channel)) for channel in best.channels]
    return {
        f"contribution to {dependent}": [amount(one.contribution) if one else "" for one, _ in found],
        metric: [ratio(one.mean) if one else "" for one, _ in found],
        "90 % interval": [_interval(one, own) if one else "" for one, own in found],
    }


def _own(channel: ChannelResult) -> float | None:
    return channel.cpa if channel.roas is None else channel.roas


def _interval(one: ShortInterval, own: float | None) -> str:
    outside = own is not None and not one.q05 <= own <= one.q95
    return f"{'! ' if outside else ''}{ratio(one.q05)} – {ratio(one.q95)}"


def fit(summary: ModelSummary) -> str:
    """How well the best model fits, in one line."""
    best = summary.best_model
    return (
        f"R² {ratio(best.train.r2)}   NRMSE {best.nrmse:.4f}   DECOMP.RSSD {ratio(best.rssd)}"
        f"   of {summary.candidates:,} candidates"
    )


def warning_lines(findings: Sequence[Finding]) -> list[str]:
    """The findings of a job that warn, and what to do about each."""
    lines = []
    for finding in findings:
        if finding.severity == "warning":
            column = finding.column
            named = f"{column}: " if column and column not in finding.message else ""
            lines += [f"  ! {named}{finding.message}"]
            lines += [f"    {finding.advice}"] if finding.advice else []
    return lines


def trust_lines(lines: Sequence[TrustLine]) -> list[str]:
    """How many checks are good, and each of those that are not: what was found and what to do."""
    if not lines:
        return []
    others = sorted((line for line in lines if line.word != "good"), key=lambda line: line.word)
    told = [f"  {line.word}: {line.figure}: {line.reason}; {line.advice}" for line in others]
    return [f"  trust: {len(lines) - len(others)} of {len(lines)} checks are good", *told]


def changes_lines(found: ChangesShort | None) -> list[str]:
    """What has changed since the job before it in the series, what has not, and what is not known."""
    if found is None:
        return []
    if found.reason:
        return [f"  changes: {found.reason}"]
    since = f" since {found.predecessor.request_id}" if found.predecessor else ""
    return [
        f"  changes{since}:" if found.changed else f"  nothing has changed{since}",
        *(f"    + {sentence}" for sentence in found.changed),
        *(f"    = {sentence}" for sentence in found.unchanged),
        *(f"    ? {sentence}" for sentence in found.unknown),
    ]


def budget_lines(answers: Sequence[Allocation]) -> list[str]:
    """What each answer to a budget question proposes and gains, and what its plans gain."""
    lines = []
    for answer in answers:
        name = f"budget {answer.name}" if answer.name else "budget"
        name += f" in {answer.region}" if answer.region else ""
        if not answer.feasible:
            lines.append(f"  {name}: no answer: {answer.reason}")
            continue
        head = f"  {name}, {answer.start} to {answer.end}"
        if answer.before and answer.after:
            spends = ", ".join(
                f"{one.name} {amount(one.after.spend)}" for one in answer.channels if one.after
            )
            moved = f"{amount(answer.before.spend)} → {amount(answer.after.spend)}"
            lines.append(f"{head}: {moved}{_gained(answer.gain)}{f': {spends}' if spends else ''}")
        lines += [
            f"{head}: {region.name}: {amount(region.before.spend)} → {amount(region.after.spend)}"
            f"{_gained(region.gain)}"
            for region in answer.regions
            if region.before and region.after
        ]
        lines += [
            f"{head}: plan {plan.name}: {amount(plan.after.spend)}{_gained(plan.gain)}"
            for plan in answer.plans
        ]
    return lines


def budget_table(answer: Allocation) -> Table:
    """A row per paid channel: what was spent, what is proposed, and what that gains with its interval."""
    table = Table(
        title=f"budget, {answer.start} to {answer.end}", title_justify="left", box=None, pad_edge=False
    )
    table.add_column("channel")
    for name in ("spent", "proposed", "change", "gain", "90 % interval"):
        table.add_column(name, justify="right")
    for one in answer.channels:
        if one.before is None or one.after is None:
            continue
        before, after, gain = one.before.spend, one.after.spend, one.gain
        change = f"{100 * (after / before - 1):+.0f} %" if before else ""
        told = (f"{gain.mean:+,.0f}", f"{gain.q05:+,.0f} – {gain.q95:+,.0f}") if gain else ("", "")
        table.add_row(one.name, amount(before), amount(after), change, *told)
    return table


def dates_table(offer: PlanOffer) -> Table:
    """A row for each name of dates that a budget question can be about."""
    table = Table(title="dates", title_justify="left", box=None, pad_edge=False)
    for name in ("name", "from", "to", f"{offer.interval}s", "spent"):
        table.add_column(name)
    for one in offer.dates:
        pattern = one.pattern.replace("_", " ")
        table.add_row(one.name, str(one.start), str(one.end), str(one.periods), pattern)
    return table


def spends_table(offer: PlanOffer) -> Table:
    """A row per channel: what is spent over the first dates, and up to which spend its curve is known."""
    first = offer.dates[0]
    table = Table(title=f"spends of {first.name}", title_justify="left", box=None, pad_edge=False)
    table.add_column("channel")
    for name in ("today", "at most"):
        table.add_column(name, justify="right")
    for one in first.channels:
        table.add_row(one.name, amount(one.today), amount(one.most))
    return table


def _gained(gain: Gain | None) -> str:
    if gain is None:
        return ""
    interval = f"{gain.q05:+,.0f} to {gain.q95:+,.0f}"
    return f", gain {gain.mean:+,.0f} ({interval} with 90 %, above 0 with {chance(gain.above_zero)})"


def asked_table(found: ComparisonAnswer) -> Table:
    """A row per field that was asked differently, and one for each figure of the results."""
    table = Table(title="what differs", title_justify="left")
    table.add_column("")
    for job in found.jobs:
        table.add_column(job.request_id, overflow="fold")
    for difference in found.differences:
        table.add_row(difference.path, *(value or "–" for value in difference.values))
    for name, digits in (("r2", 3), ("nrmse", 4), ("rssd", 4)):
        values = [getattr(job.result, name, None) for job in found.jobs]
        table.add_row(name, *("–" if value is None else f"{value:.{digits}f}" for value in values))
    table.add_row("state", *(str(job.state) for job in found.jobs))
    return table


def compared_table(found: ComparisonAnswer) -> Table:
    """A row per paid channel: its ROAS or CPA with its interval in each job, and whether it has changed."""
    table = Table(title=f"{found.metric} with its 90 % interval", title_justify="left")
    table.add_column("channel")
    for job in found.jobs:
        table.add_column(job.request_id, justify="right", overflow="fold")
    table.add_column("change")
    for channel in found.channels:
        table.add_row(channel.name, *map(_run, channel.runs), channel.change)
    return table


def _run(run: RunChannel | None) -> str:
    if run is None:
        return "–"
    value = ratio(run.middle if run.middle is not None else run.efficiency)
    return value if run.low is None else f"{value} ({ratio(run.low)} – {ratio(run.high)})"


def columns_table(found: Preview) -> Table:
    """A row per column of a source: its type, its range, and its first values."""
    table = Table(box=None, pad_edge=False)
    for name in ("column", "type", "from", "to", "missing", "first values"):
        table.add_column(name, overflow="fold")
    for number, column in enumerate(found.columns):
        first = ", ".join(row[number] for row in found.first[:3] if number < len(row))
        cells = (column.name, column.type, column.min, column.max, column.missing, first)
        table.add_row(*("" if cell is None else str(cell) for cell in cells))
    return table


def mapping_lines(found: MappingCheck) -> list[str]:
    """What a source has of the columns of a mapping: a line for each that is not simply there."""
    told = {
        "alias": "is there as '{0.found}'",
        "renamed": "is missing; '{0.meant}' is probably meant",
        "missing": "is missing",
    }
    lines = [
        f"{one.name} {told[one.state].format(one)} ({', '.join(one.roles)})"
        for one in found.columns
        if one.state in told
    ]
    lines += [f"{one.meant or one.found}: {one.problem}" for one in found.columns if one.problem]
    there = sum(one.found is not None for one in found.columns)
    head = f"{there} of {len(found.columns)} columns of {found.country} {found.name}, version {found.version}"
    new = [f"new: {', '.join(found.new)}"] if found.new else []
    return [f"{head}, are in the source", *(f"  {line}" for line in [*lines, *new, *found.notes])]


def amount(value: float | None) -> str:
    """A sum without digits after the point; nothing where there is none."""
    return "" if value is None else f"{value:,.0f}"


def ratio(value: float | None) -> str:
    """A number with two digits after the point; nothing where there is none."""
    return "" if value is None else f"{value:.2f}"
