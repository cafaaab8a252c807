"""What Google Cloud has billed, from the export to BigQuery."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from infra.ops.gcloud import bq
from infra.ops.report import Report, Row, Usage

BY = ("day", "service", "category", "part", "sku")
_TABLE = re.compile(r"[a-z][a-z0-9:.-]*\.[A-Za-z0-9_]+\.[A-Za-z0-9_]+")
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_SQL = """
SELECT DATE(usage_start_time) AS day, service.description AS service, sku.description AS sku,
  (SELECT MAX(label.value) FROM UNNEST(labels) AS label WHERE label.key = 'part') AS part,
  SUM(cost + IFNULL((SELECT SUM(credit.amount) FROM UNNEST(credits) AS credit), 0)) AS cost,
  MAX(currency) AS currency
FROM `{table}`
WHERE project.id = '{project}'
  AND usage_start_time >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL {days} DAY)
GROUP BY day, service, sku, part ORDER BY day
"""
_SERVICES = {
    "Cloud Storage": "storage",
    "Cloud Firestore": "storage",
    "App Engine": "storage",  # under which some reads of Firestore are billed
    "Artifact Registry": "registry",
    "Cloud Scheduler": "scheduler service",
    "Cloud Build": "CI",
}


def category(service: str, sku: str, part: str | None) -> str:
    """Under which of the old system's headings something is billed; `other` if it had none for it."""
    if service in _SERVICES:
        return _SERVICES[service]
    if service not in ("Cloud Run", "Cloud Run Functions", "Cloud Functions"):
        return "other"
    if "cpu" in sku.lower():  # first, because some are called “… (Request-based billing)”
        return "compute CPU"
    if "memory" in sku.lower():
        return "compute memory"
    if "request" in sku.lower() or "invocation" in sku.lower():
        return "user requests" if part == "web" else "scheduler requests"
    return "other"


def cost(project: str, table: str, days: int, by: Sequence[str]) -> Report:
    """What the last days cost after credits, a row per group, the dearest first within a day.

    `table` is the standard export: project.dataset.gcp_billing_export_v1_…

    Raises:
        Usage: a name cannot be one, or there is no such grouping.
        CloudRefused: BigQuery does not answer.
    """
    if not _TABLE.fullmatch(table) or not _PROJECT.fullmatch(project):
        raise Usage(f"'{table}' is no table project.dataset.table, or '{project}' no id of a project")
    if not by or (unknown := [name for name in by if name not in BY]):
        raise Usage(f"--by takes {', '.join(BY)}, not {', '.join(unknown) if by else 'nothing'}")
    lines = bq(project, _SQL.format(table=table, project=project, days=int(days)))
    groups: dict[tuple[str, ...], float] = defaultdict(float)
    for line in lines:
        full = {
            **line,
            "category": category(line["service"], line["sku"], line["part"]),
            "part": line["part"] or "",
        }
        groups[tuple(full[name] for name in by)] += float(line["cost"])
    rows: list[Row] = [
        {**dict(zip(by, group, strict=True)), "cost": round(amount, 4)} for group, amount in groups.items()
    ]
    rows.sort(key=lambda row: (row.get("day", ""), -row["cost"]))
    currency = lines[0]["currency"] if lines else ""
    return Report(
        rows, f"{sum(groups.values()):.2f} {currency} in {days} days; a day is billed up to two days late"
    )
