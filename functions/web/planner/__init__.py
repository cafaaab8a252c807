"""Answers to budget questions about a finished job from its curves.json: pure, and without numpy."""

from functions.web.planner.answer import Unanswerable, answer, offer

__all__ = ["Unanswerable", "answer", "offer"]
