"""What a month costs, without work or with so many trainings; computed without a cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.cloud import FUNCTIONS, JOBS
from contracts.engines import EngineName
from infra.ops.prices import held, origin, prices
from infra.ops.report import Report, Row, Usage

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
"""Releases whose images are kept."""
SECRETS = 2
"""Versions of secrets."""
BUCKET_GB = 5
"""What lies in the bucket before any training."""
LOGS_GIB = 0.07
"""Log of a month's ticks."""
CONDITIONS = 2
"""Alerts on metrics; those on log lines cost nothing."""


@dataclass(frozen=True)
class Training:
    """A usual training of one size, as assumed: `cost-job` has the times of real ones."""

    what: str
    tasks: int
    seconds: float


TRAININGS = {
    "native": Training("500 iterations × 5 trials", 1, 20),
    "small": Training("200 × 5", 1, 150),
    "medium": Training("500 × 5", 1, 200),
    "large": Training("2000 × 5", 5, 260),
}
FUNCTIONS_S_A_JOB = 12
"""How long all functions work on a job, as assumed; with a GiB of memory."""
REQUESTS_A_JOB = 12
"""Deliveries of a job's messages."""
READS_A_JOB = 60
"""Documents that are read for a job."""
RESULT_GB = 0.005
"""What a job leaves in the bucket, and is paid for the whole month."""


@dataclass(frozen=True)
class Item:
    """Something that is used, and how much of it in a month."""

    name: str
    unit: str
    amount: float


def items(engines: list[EngineName], trainings: Mapping[str, int]) -> list[Item]:
    """What a month uses, with so many trainings of each size."""
    memory_gib = float(FUNCTIONS["sweep"].memory.removesuffix("Mi")) / 1024
    images = RELEASES * (FUNCTIONS_GB + sum(IMAGES_GB[engine] for engine in engines))
    jobs = sum(trainings.values())
    sweep_s, functions_s = TICKS * SWEEP_S, jobs * FUNCTIONS_S_A_JOB
    usual = [
        (count, *held(size, TRAININGS[size].tasks, TRAININGS[size].seconds))
        for size, count in trainings.items()
    ]
    whose = "sweep and functions" if jobs else "sweep, a tick each minute"
    found = [
        Item(f"{whose}: CPU", "service_vcpu_s", sweep_s + functions_s),
        Item(f"{whose.partition(',')[0]}: memory", "service_gib_s", sweep_s * memory_gib + functions_s),
        Item(f"{whose.partition(',')[0]}: requests", "service_requests", TICKS + jobs * REQUESTS_A_JOB),
        Item("trainings: CPU", "job_vcpu_s", sum(n * vcpu_s for n, vcpu_s, _ in usual)),
        Item("trainings: memory", "job_gib_s", sum(n * gib_s for n, _, gib_s in usual)),
        Item("Firestore: reads", "document_reads", TICKS * READS_A_TICK + jobs * READS_A_JOB),
        Item("logs", "log_gib", LOGS_GIB),
        Item("Cloud Scheduler", "schedules", 1),
        Item("versions of secrets", "secret_versions", SECRETS),
        Item("images of two releases", "image_gb", images),
        Item("bucket", "storage_gb", BUCKET_GB + jobs * RESULT_GB),
        Item("alerts on metrics", "metric_conditions", CONDITIONS),
    ]
    return [item for item in found if item.amount]


def month_cost(engines: list[EngineName], trainings: Mapping[str, int]) -> Report:
    """A row per item and their sum, in USD: with free units, without, and at most.

    `trainings`: how many of each size; none is an idle month.

    Raises:
        Usage: there is no such size, or its engine is not installed.
    """
    known = [size for size in TRAININGS if JOBS[size].engine in engines]
    if unknown := sorted(set(trainings) - set(known)):
        raise Usage(f"there is no size {', '.join(unknown)}; there are: {', '.join(known)}")
    rows = [_row(item) for item in items(engines, trainings)]
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
