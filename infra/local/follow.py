"""Shows a progress bar for each job until all have ended."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import requests
from rich import progress as rich_progress
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from contracts.attempt import Progress
from contracts.job import JobState, share_done

PERIOD_S = 0.5


class Client:
    """The status page's JSON API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()

    def job(self, job_id: str) -> dict[str, Any] | None:
        """The job's document with its live progress; None if there is no such job (yet)."""
        answer = self._session.get(f"{self.url}/api/jobs/{job_id}", timeout=10)
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        view = answer.json()
        return {**view["job"], "progress": view["progress"]}

    def get(self, path: str) -> dict[str, Any]:
        """The answer of a GET request."""
        answer = self._session.get(f"{self.url}{path}", timeout=10)
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    def act(self, path: str) -> tuple[bool, dict[str, Any]]:
        """POST a custom verb; return whether it was accepted, and the answer or the problem."""
        answer = self._session.post(f"{self.url}{path}", timeout=10)
        return answer.ok, answer.json()


def describe(job: dict[str, Any]) -> str:
    """One line on a job: state; in training step, trial, iteration and best errors; or why it failed."""
    state, progress = str(job["state"]), job.get("progress") or {}
    if state == "RUNNING" and progress.get("iterations"):
        best = ""
        if progress.get("best_nrmse") is not None:
            best = f"  NRMSE {progress['best_nrmse']:.4f}  RSSD {progress['best_rssd']:.4f}"
        return (
            f"RUNNING {progress['step']}  trial {progress['trial']}/{progress['trials']}"
            f"  iteration {progress['iteration']}/{progress['iterations']}{best}"
        )
    if job.get("error"):
        return f"{state}: {job['error']['title']}"
    note = job["timeline"][-1]["note"] if state == "SUCCEEDED" else ""
    return f"{state}: {note}" if note else state


def _percent(job: dict[str, Any]) -> float:
    progress = Progress.model_validate(job["progress"]) if job.get("progress") else None
    return 100 * share_done(JobState(job["state"]), progress)


def follow(client: Client, job_ids: Iterable[str], console: Console) -> dict[str, dict[str, Any]]:
    """Show the jobs until every one has ended, and return their last documents by id."""
    columns = (
        TextColumn("{task.fields[name]}", table_column=Column(overflow="ellipsis")),
        BarColumn(10, table_column=Column(no_wrap=True)),
        TimeElapsedColumn(Column(no_wrap=True)),
        TextColumn("{task.description}", table_column=Column()),
    )
    ended: dict[str, dict[str, Any]] = {}
    with rich_progress.Progress(*columns, console=console) as bars:
        waiting: dict[str, TaskID] = {
            job_id: bars.add_task("waiting to be accepted", total=100, name=job_id) for job_id in job_ids
        }
        while waiting:
            for job_id, bar in list(waiting.items()):
                job = client.job(job_id)
                if job is None:
                    continue
                bars.update(bar, completed=_percent(job), description=describe(job))
                if JobState(job["state"]).terminal:
                    ended[job_id] = job
                    del waiting[job_id]
            time.sleep(PERIOD_S)
    return ended
