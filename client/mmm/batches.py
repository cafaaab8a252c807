"""The commands about batches: list, show, cancel, retry, pause, resume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import progress as rich_progress
from rich.console import Console
from rich.table import Table

from contracts.api import BatchAnswer, BatchRow
from contracts.job import JobState
from mmm.client import Client


def follow_batch(client: Client, batch_id: str, console: Console | None = None) -> BatchAnswer:
    """Show a batch until it has ended, and return it as it ended."""
    columns = ("{task.fields[name]}", rich_progress.BarColumn(20), "{task.description}")
    with rich_progress.Progress(*columns, console=console) as bars:
        bar = bars.add_task("", total=100, name=batch_id)

        def seen(batch: BatchAnswer) -> None:
            bars.update(bar, completed=100 * batch.done, description=told_states(batch.states))

        return client.wait_for_batch(batch_id, seen)


def told_states(states: Mapping[JobState, int]) -> str:
    """Jobs by state in a line."""
    return ", ".join(f"{count} {state}" for state, count in states.items()) or "no jobs yet"


def batch_lines(batch: BatchAnswer) -> list[str]:
    """A batch in lines: how far it is, and every row that must change with its problems."""
    paused = ", paused" if batch.launching == "paused" else ""
    lines = [
        f"batch {batch.batch_id}: {batch.state}{paused}",
        f"  {batch.rows} rows, {100 * batch.done:.0f} % done: {told_states(batch.states)}",
    ]
    if batch.known:
        lines.append(f"  {len(batch.known)} rows are requests made before; nothing was started again")
    if batch.error:
        lines += [
            f"  {batch.error.title}: {batch.error.detail}",
            *(f"  - {one}" for one in batch.error.errors),
        ]
    for row in batch.wrong:
        lines.append(f"  row {row.row}: {row.job_id or row.request_id}")
        lines += [f"  - {one}" for one in row.problems]
    return [*lines, *(["  and more; see its rejected jobs"] if batch.more_wrong else [])]


def batches_table(rows: Iterable[BatchRow]) -> Table:
    """Batches, a row for each."""
    table = Table(box=None, pad_edge=False)
    for name in ("batch", "state", "rows", "done", "jobs", "accepted"):
        table.add_column(name, no_wrap=name != "jobs", overflow="fold")
    for row in rows:
        state = f"{row.state}, paused" if row.paused else str(row.state)
        table.add_row(
            row.batch_id,
            state,
            str(row.rows),
            f"{100 * row.done:.0f} %",
            told_states(row.states),
            f"{row.accepted_at:%Y-%m-%d %H:%M}",
        )
    return table
