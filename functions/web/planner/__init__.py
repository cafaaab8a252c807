"""Answers to budget questions about a finished job from its curves: pure, and without numpy."""

from functions.web.planner.answer import Unanswerable, answer, of_region, offer

__all__ = ["Unanswerable", "answer", "of_region", "offer"]
