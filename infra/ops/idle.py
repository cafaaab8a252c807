"""What a month costs in which nobody trains anything; known without a cloud."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.cloud import FUNCTIONS
from contracts.engines import EngineName
from infra.ops.prices import origin, prices
from infra.ops.report import Report, Row

MONTH_S = 31 * 24 * 3600
TICKS = MONTH_S // 60
SWEEP_S = 0.3
"""How long one tick takes, as assumed."""
READS_A_TICK = 9
"""Six states, the queue, what waits in it, uploads; an empty answer counts as one."""
IMAGES_GB: dict[str, float] = {"native": 0.35, "robyn": 0.55}
"""Packed; functions and page share their libraries."""
FUNCTIONS_GB = 0.16
RELEASES = 2
SECRETS = 2
BUCKET_GB = 5
LOGS_GIB = 0.07
CONDITIONS = 2
"""Alerts on metrics; those on log lines cost nothing."""


@dataclass(frozen=True)
class Item:
    """Something that is used, and how much of it in a month."""

    name: str
    unit: str
    amount: float


def items(engines: list[EngineName]) -> list[Item]:
    """What an idle month uses."""
    memory_gib = float(FUNCTIONS["sweep"].memory.removesuffix("Mi")) / 1024
    images = RELEASES * (FUNCTIONS_GB + sum(IMAGES_GB[engine] for engine in engines))
    return [
        Item("sweep, a tick each minute: CPU", "service_vcpu_s", TICKS * SWEEP_S),
        Item("sweep: memory", "service_gib_s", TICKS * SWEEP_S * memory_gib),
        Item("sweep: requests", "service_requests", TICKS),
        Item("Firestore: reads", "document_reads", TICKS * READS_A_TICK),
        Item("logs", "log_gib", LOGS_GIB),
        Item("Cloud Scheduler", "schedules", 1),
        Item("versions of secrets", "secret_versions", SECRETS),
        Item("images of two releases", "image_gb", images),
        Item("bucket", "storage_gb", BUCKET_GB),
        Item("alerts on metrics", "metric_conditions", CONDITIONS),
    ]


def idle_cost(engines: list[EngineName]) -> Report:
    """A row per item and their sum, in USD: with free units, without, and at most."""
    rows = [_row(item) for item in items(engines)]
    columns = ("usd", "usd_without_free", "usd_at_most")
    sums = {column: sum(row[column] for row in rows) for column in columns}
    rows.append({"item": "sum", "amount": None, "unit": "", **sums})
    rounded = [{**row, **{column: round(float(row[column]), 2) for column in columns}} for row in rows]
    return Report(rounded, f"{origin()}; at most: without free units, at the highest price that was found")


def _row(item: Item) -> Row:
    price = prices()[item.unit]
    return {
        "item": item.name,
        "amount": round(item.amount, 2),
        "unit": item.unit,
        "usd": max(item.amount - price.free_a_month, 0) * price.usd,
        "usd_without_free": item.amount * price.usd,
        "usd_at_most": item.amount * price.usd_at_most,
    }
