"""Answers to budget questions by the posterior: what was earned, and the split that is expected to earn most.

answer = allocate(found, BudgetQuestion(total=2_500_000))    # `found` is a `Posterior`
answer.spend, answer.gain
"""

from trainer.posterior.budget.answer import BudgetAnswer, allocate

__all__ = ["BudgetAnswer", "allocate"]
