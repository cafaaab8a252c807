"""What can go wrong between the client and a system."""

from __future__ import annotations

from pydantic import ValidationError
from requests import Response

from contracts.api import ApiProblem


class MmmError(Exception):
    """Something did not work; the text says what, and what to do."""


class NoAnswer(MmmError):
    """Nothing answers at the address, or what answers is no MMM Trainer."""


class Refused(MmmError):
    """The system says why it does not do what was asked."""

    def __init__(self, problem: ApiProblem) -> None:
        self.problem = problem
        super().__init__("\n".join(self.lines))

    @property
    def lines(self) -> list[str]:
        """The problem for people: what is wrong, then each violation or error with what to do about it."""
        problem = self.problem
        told = [": ".join(part for part in (problem.title, problem.detail) if part)]
        if not problem.violations:
            return told + [f"- {error}" for error in problem.errors]
        for one in problem.violations:
            told.append(f"- {one.path}: {one.message}")
            if one.advice:
                told.append(f"  {one.advice}")
        return told


class NotAllowed(Refused):
    """The system does not know who asks, or they may not do this."""


def refusal(answer: Response) -> MmmError:
    """Why an answer is not what was asked for."""
    try:
        problem = ApiProblem.model_validate_json(answer.content)
    except ValidationError:
        page = "<html" in answer.text.lower()
        text = "a web page" if page else " ".join(answer.text.split())[:200] or "nothing"
        advice = "is it the address of an MMM Trainer?"
        if answer.status_code in (401, 403):
            advice = "behind Identity-Aware Proxy, name a service account with --impersonate or `auth`"
        return NoAnswer(f"{answer.url} answered {answer.status_code} with {text}; {advice}")
    return (NotAllowed if answer.status_code in (401, 403) else Refused)(problem)
