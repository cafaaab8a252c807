"""What must be known to read a budget answer by Robyn's allocator, whichever engine gave it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.budget import BudgetQuestion
from contracts.result import Allocation
from trainer.engines.base import JobPosterior

CARRY_OVER = (
    "Robyn's allocator takes carry-over as free: every channel keeps what its average carry-over earns, "
    "however little is spent. Large cuts look cheaper than the model itself says."
)

NO_REGIONS = "Robyn's allocator knows no regions, so a question about them has no answer."


def answers(question: BudgetQuestion, posterior: JobPosterior | None) -> str | None:
    """Why Robyn's allocator answers, if it does: it was asked, or there is no posterior to ask."""
    if question.method == "robyn":
        return "budget.method is robyn"
    if posterior is None:
        return "There is no posterior, so Robyn's allocator was asked (budget.method: robyn)."
    if not posterior.document.converged:
        return "The posterior has not converged, so Robyn's allocator was asked (budget.method: robyn)."
    return None


def annotate(folder: Path, question: BudgetQuestion, reason: str) -> None:
    """Say in allocator.json by which method it was made, and what that means."""
    path = folder / "allocator.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    instead = [reason] if question.method != "robyn" else []
    if question.plans:
        instead.append("Its plans have no answer: only the posterior can tell what they would earn.")
    notes = [*instead, *_notes(document)]
    named = {"name": question.name} if question.name else {}
    path.write_text(
        json.dumps(document | named | {"method": "robyn", "notes": notes}, indent=1, ensure_ascii=False),
        encoding="utf-8",
    )


def refuse(folder: Path, question: BudgetQuestion, solution: str, reason: str) -> None:
    """Say in allocator.json why Robyn's allocator has no answer."""
    refused = Allocation(
        name=question.name,
        method="robyn",
        sol_id=solution,
        scenario=question.scenario,
        feasible=False,
        reason=reason,
    )
    text = refused.model_dump_json(indent=1, exclude_none=True)
    (folder / "allocator.json").write_text(text, encoding="utf-8")


def _notes(document: dict[str, Any]) -> Iterator[str]:
    if "after" not in document:
        return
    yield CARRY_OVER
    for channel in document["channels"]:
        today, spent = channel["before"]["spend"], channel["historical"]["spend"]
        if abs(today - spent) > 1e-6 * abs(spent):
            yield (
                f"{channel['name']}: today's spend of {today:,.2f} is the exposure of these dates times the "
                f"mean price of the window; {spent:,.2f} were spent."
            )
