"""Shows a progress bar for each job until all have ended."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich import progress as rich_progress
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from contracts.api import JobAnswer
from contracts.job import Job, JobState, share_done

if TYPE_CHECKING:
    from mmm.client import Client

PERIOD_S = 0.5


def describe(job: Job) -> str:
    """One line on a job: state; in training step, trial, iteration and best errors; or why it failed."""
    progress = job.progress
    if job.state is JobState.RUNNING and progress and progress.iterations:
        best = ""
        if progress.best_nrmse is not None and progress.best_rssd is not None:
            best = f"  NRMSE {progress.best_nrmse:.4f}  RSSD {progress.best_rssd:.4f}"
        return (
            f"RUNNING {progress.step}  trial {progress.trial}/{progress.trials}"
            f"  iteration {progress.iteration}/{progress.iterations}{best}"
        )
    if job.error:
        return f"{job.state}: {job.error.title}"
    note = job.timeline[-1].note if job.state is JobState.SUCCEEDED else ""
    return f"{job.state}: {note}" if note else str(job.state)


def follow(client: Client, job_ids: Iterable[str], console: Console | None = None) -> dict[str, JobAnswer]:
    """Show the jobs until every one has ended, and return each as it ended, by its id."""
    columns = (
        TextColumn("{task.fields[name]}", markup=False, table_column=Column(overflow="ellipsis")),
        BarColumn(10, table_column=Column(no_wrap=True)),
        TimeElapsedColumn(Column(no_wrap=True)),
        TextColumn("{task.description}", markup=False, table_column=Column()),
    )
    ended: dict[str, JobAnswer] = {}
    with rich_progress.Progress(*columns, console=console) as bars:
        waiting: dict[str, TaskID] = {
            job_id: bars.add_task("", total=100, name=job_id) for job_id in dict.fromkeys(job_ids)
        }
        while waiting:
            for job_id, bar in list(waiting.items()):
                job = client.job(job_id)
                percent = 100 * share_done(job.state, job.progress)
                bars.update(bar, completed=percent, description=describe(job))
                if job.done:
                    ended[job_id] = job
                    del waiting[job_id]
            if waiting:
                time.sleep(PERIOD_S)
    return ended
