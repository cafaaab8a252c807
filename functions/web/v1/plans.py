"""Plans: budget questions that the curves of a finished job answer at once."""

from __future__ import annotations

from contracts.plans import PlanOffer, PlanQuestion
from contracts.problem import violations
from contracts.result import Allocation
from functions.runtime import Runtime
from functions.web import planner, plans
from functions.web.problems import BadBody


def get_plan_offer(runtime: Runtime, job_id: str) -> PlanOffer:
    """What can be asked about the budget of a finished job: dates, channels, and how far the curves go."""
    return planner.offer(plans.curves_of(runtime.ports, job_id)[1])


def answer_plan(runtime: Runtime, job_id: str, body: PlanQuestion) -> Allocation:
    """Answer a question about the budget of a finished job, without a new one.

    The answer has the form of a result's allocator.json. Nothing is kept.
    """
    job, curves = plans.curves_of(runtime.ports, job_id)
    try:
        return plans.answered(runtime.ports, job, curves, body)
    except planner.Unanswerable as error:
        raise BadBody("the result cannot answer this", error.lines, violations(error.lines)) from error
