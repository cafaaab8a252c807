"""List prices, with their date and source, from infra/prices.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from contracts.cloud import JOBS

FILE = Path(__file__).resolve().parents[1] / "prices.json"


@dataclass(frozen=True)
class Price:
    """What one unit costs, in USD."""

    usd: float
    usd_at_most: float
    free_a_month: float
    """Units that a billing account has for nothing each month."""
    sure: bool
    """Whether it was read in the vendor's own list."""


@cache
def _file() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return document


def prices() -> dict[str, Price]:
    """Every price by the name of its unit."""
    return {
        name: Price(one["usd"], one.get("usd_at_most", one["usd"]), one["free_a_month"], one["sure"])
        for name, one in _file()["prices"].items()
    }


def origin() -> str:
    """Where and when the prices hold."""
    return f"list prices of {_file()['region']}, read {_file()['read']}"


def held(size: str, tasks: int, seconds: float) -> tuple[float, float]:
    """The vCPU seconds and GiB seconds that an attempt is billed for, if its tasks run for so long each."""
    job = JOBS[size]
    billed_s: float = tasks * max(seconds, _file()["billed_seconds_at_least"])
    return billed_s * job.cpu, billed_s * float(job.memory.removesuffix("Gi"))


def training_usd(size: str, tasks: int, seconds: float) -> float:
    """What one attempt of a training costs, if its tasks run for so many seconds each; without free units."""
    vcpu_s, gib_s = held(size, tasks, seconds)
    return vcpu_s * prices()["job_vcpu_s"].usd + gib_s * prices()["job_gib_s"].usd
