"""Google's own command line, for what is no call of the system itself: descriptions, policies, billing."""

from __future__ import annotations

import json
import subprocess
from typing import Any

TIMEOUT_S = 300


class CloudRefused(RuntimeError):
    """Google Cloud, or its command line, did not do what was asked."""


def gcloud(project: str, *words: str, scoped: bool = True) -> Any:
    """Run one command of gcloud on a project and return its answer.

    `scoped`: the command takes the project as an option, as nearly all do.

    Raises:
        CloudRefused: there is no gcloud, or it ended with an error.
    """
    where = [f"--project={project}"] if scoped else []
    return _run(["gcloud", *words, *where, "--format=json", "--quiet"])


def bq(project: str, sql: str) -> list[dict[str, Any]]:
    """The rows that a query in BigQuery's SQL answers, in a project that pays for it; all values are texts.

    Raises:
        CloudRefused: there is no bq, or it ended with an error.
    """
    options = [f"--project_id={project}", "--format=json", "--quiet", "--headless"]
    rows: list[dict[str, Any]] = _run(
        ["bq", *options, "query", "--nouse_legacy_sql", "--max_rows=100000"], sql
    )
    return rows or []


def _run(command: list[str], stdin: str = "") -> Any:
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S)
    except FileNotFoundError as error:
        raise CloudRefused(f"{command[0]} is not installed: it is part of the Google Cloud CLI") from error
    except subprocess.TimeoutExpired as error:
        raise CloudRefused(f"{' '.join(command)} did not answer within {TIMEOUT_S} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise CloudRefused(f"{' '.join(command)} ended with status {done.returncode}: {said}")
    try:
        return json.loads(done.stdout) if done.stdout.strip() else None
    except json.JSONDecodeError as error:
        raise CloudRefused(f"{' '.join(command)} answered no JSON: {done.stdout[:200]!r}") from error
