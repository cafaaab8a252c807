"""What a terminal tells of budget answers."""

from __future__ import annotations

from contracts.result import Allocation, Figures, Gain, PlanAnswer
from mmm.told import budget_lines


def test_answers_plans_and_refusals_are_lines() -> None:
    gain = Gain(mean=50, q05=-10, q50=48, q95=120, above_zero=0.93)
    before, after = (
        Figures(spend=spend, mean_spend=spend / 4, response=2 * spend, roas=2) for spend in (1000, 1100)
    )
    plan = PlanAnswer(name="more", after=after, gain=gain, channels=[])
    dates = {"start": "2026-01-05", "end": "2026-01-26", "sol_id": "1_1_1"}
    answered = Allocation(
        name="quarter", scenario="max_response", feasible=True, before=before, after=after, gain=gain, **dates
    )
    planned = Allocation(scenario="historical", feasible=True, before=before, plans=[plan], **dates)
    refused = Allocation(sol_id="1_1_1", scenario="max_response", feasible=False, reason="too little")
    told = "gain +50 (-10 to +120 with 90 %, above 0 with 93 %)"
    assert budget_lines([answered, planned, refused]) == [
        f"  budget quarter, 2026-01-05 to 2026-01-26: 1,000 → 1,100, {told}",
        f"  budget, 2026-01-05 to 2026-01-26: plan more: 1,100, {told}",
        "  budget: no answer: too little",
    ]
