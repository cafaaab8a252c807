"""How long jobs wait and train, by engine and size, and whether that has become worse."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from contracts.job import JobState
from functions.ended import FIGURES, asked, seconds
from infra.ops.jobs import recent
from infra.ops.place import Place
from infra.ops.report import Report, Row, Usage

Group = tuple[str, str, str]
PERCENTILES = (50, 95, 99)
FEW = 5
"""Of so few jobs nothing is concluded."""


def performance(place: Place, days: int, against: Path | None, tolerance_percent: float) -> Report:
    """P50, P95 and P99 of each figure of the jobs that succeeded, in seconds.

    `against` is a former answer with --json; a P95 more than `tolerance_percent` above it is a finding.

    Raises:
        Usage: that file is none.
    """
    former = _former(against) if against else {}
    groups: dict[Group, list[float]] = defaultdict(list)
    for job in recent(place, days):
        if job.state is JobState.SUCCEEDED:
            labels = asked(job, place.runtime.settings)
            for figure, value in seconds(job).items():
                if value is not None:
                    groups[labels["engine"], labels["size"], figure].append(value)
    rows = [_row(group, groups[group], former) for group in sorted(groups, key=_order)]
    worse = [row for row in rows if row["jobs"] >= FEW and (row["change_percent"] or 0) > tolerance_percent]
    return Report(rows, _note(worse, tolerance_percent) if against else "", not worse)


def _order(group: Group) -> tuple[str, str, int]:
    return (*group[:2], FIGURES.index(group[2]))


def _row(group: Group, values: list[float], former: Mapping[Group, float]) -> Row:
    found = {f"p{p}_s": round(float(np.percentile(values, p)), 1) for p in PERCENTILES}
    was = former.get(group)
    change = round(100 * (found["p95_s"] / was - 1), 1) if was else None
    engine, size, figure = group
    labels = {"engine": engine, "size": size, "figure": figure}
    return {**labels, "jobs": len(values), **found, "change_percent": change}


def _former(path: Path) -> dict[Group, float]:
    try:
        rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))
        return {(row["engine"], row["size"], row["figure"]): row["p95_s"] for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Usage(f"{path} is no former answer of `performance --json`: {error}") from error


def _note(worse: list[Row], tolerance_percent: float) -> str:
    if not worse:
        return f"no P95 is more than {tolerance_percent:g} % above the baseline"
    names = ", ".join(f"{row['engine']} {row['size']} {row['figure']}" for row in worse)
    return f"P95 more than {tolerance_percent:g} % above the baseline: {names}"
