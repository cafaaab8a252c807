"""Plans of a finished job: what can be asked, and what a form of the page asks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from contracts import names
from contracts.base import error_lines
from contracts.curves import CurvesDocument, RegionCurvesDocument
from contracts.job import Job, JobState
from contracts.plans import OfferedDates, PlanOffer, PlanQuestion
from contracts.result import Allocation
from functions.ports import NotFound, Ports
from functions.web import planner
from functions.web.actions import job_of
from functions.web.problems import NoCurves

CURVES, BY_REGION = "curves.json", "curves_regions.json"
COMPARED = 3
"""Plans of one's own that the page compares at once."""
DEFAULT = ("last-52", "last-364", "last-12")
"""The dates that are shown first; where there are none of them, the window."""
_AMOUNT = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?%?")


def curves_of(ports: Ports, job_id: str) -> tuple[Job, CurvesDocument]:
    """A finished job and its curves.

    Raises:
        Unknown: there is no such job.
        NoCurves: it has none, with the reason.
    """
    job = job_of(ports, job_id)
    if job.state is not JobState.SUCCEEDED:
        raise NoCurves(f"job {job_id} is {job.state.lower()}; plans are made of finished jobs")
    try:
        text = ports.objects.read(f"{names.results(job)}{CURVES}")
    except NotFound as error:
        raise NoCurves(
            f"the result of job {job_id} has no {CURVES}: its posterior was off, not offered or not "
            "converged, or an earlier release trained it; train it again to plan with it"
        ) from error
    return job, CurvesDocument.model_validate_json(text)


def answered(ports: Ports, job: Job, curves: CurvesDocument, question: PlanQuestion) -> Allocation:
    """The answer to a question about a job.

    Raises:
        planner.Unanswerable: the curves do not hold what it asks.
    """
    regions = regions_of(ports, job, curves) if question.of_regions else None
    return planner.answer(curves, question, job.result.sol_id if job.result else "", regions)


def regions_of(ports: Ports, job: Job, curves: CurvesDocument) -> RegionCurvesDocument | None:
    """The curves of each region of a finished job, if there are any."""
    if not curves.regions:
        return None
    text = ports.objects.read(f"{names.results(job)}{BY_REGION}")
    return RegionCurvesDocument.model_validate_json(text)


@dataclass(frozen=True)
class Asked:
    """What a form holds, what it asks, and the answer or what is wrong with it."""

    job: Job
    offer: PlanOffer
    dates: OfferedDates
    values: Mapping[str, str]
    """What was typed, by the name of the field."""
    answer: Allocation | None = None
    problems: list[str] = field(default_factory=list)

    def value(self, name: str) -> str:
        """What was typed into a field."""
        return self.values.get(name, "")


def ask(ports: Ports, job: Job, curves: CurvesDocument, values: Mapping[str, str]) -> Asked:
    """Read the fields of the page's form, and answer.

    The fields: `dates`, `scenario`, `total`, `target`, `low`, `high`, `region`,
    `by_region`; of the i-th channel `low-i`, `high-i`
    and `budget-i`; of the k-th plan `plan-k` (its name) and `plan-k-i` (the i-th channel's spend). What is
    empty is left out.
    """
    region = values.get("region", "")
    regions = regions_of(ports, job, curves) if region in curves.regions else None
    asked = planner.of_region(curves, regions, region) if regions else curves
    offer = planner.offer(asked)
    by_name = {dates.name: dates for dates in offer.dates}
    usual = next((name for name in DEFAULT if name in by_name), offer.dates[0].name)
    name = values.get("dates") or usual
    dates = by_name.get(name, by_name[usual])
    kept = {key: text.strip() for key, text in values.items() if text.strip()}
    lines: list[str] = []
    body = _body(kept, dates, lines) | {"dates": name, "region": region or None}
    body["by_region"] = bool(values.get("by_region"))
    answer = None
    try:
        question = PlanQuestion.model_validate(body)
        answer = None if lines else answered(ports, job, curves, question)
    except ValidationError as error:
        lines += error_lines(error)
    except planner.Unanswerable as error:
        lines += error.lines
    return Asked(job, offer, dates, kept, answer, lines)


def _body(values: Mapping[str, str], dates: OfferedDates, lines: list[str]) -> dict[str, Any]:
    """The question as JSON; what is no number is added to `lines`."""

    def read(key: str) -> Any:
        text = "".join(values.get(key, "").split())
        if not text:
            return None
        if not _AMOUNT.fullmatch(text):
            lines.append(f"{_called(key, dates)}: '{values[key]}' is no number; write 1200000, or +10 %")
            return None
        text = text.replace(",", "")
        return text if text.endswith("%") else float(text)

    body: dict[str, Any] = {"scenario": values.get("scenario", "max_response")}
    historical = body["scenario"] == "historical"
    if body["scenario"] == "max_response" and (total := read("total")) is not None:
        body["total"] = total
    if body["scenario"] == "target_efficiency" and (target := read("target")) is not None:
        body["target"] = target
    if not historical:
        body |= _bounds(read, dates)
    plans = dict(_plans(values, read, dates))
    return body | ({"plans": plans} if plans else {})


def _bounds(read: Any, dates: OfferedDates) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if (pair := _pair(read("low"), read("high"))) is not None:
        body["bounds"] = pair
    own = {one.name: _pair(read(f"low-{i}"), read(f"high-{i}")) for i, one in enumerate(dates.channels)}
    budgets = {one.name: read(f"budget-{i}") for i, one in enumerate(dates.channels)}
    body["channel_bounds"] = {
        name: pair for name, pair in own.items() if pair is not None and budgets[name] is None
    }
    body["channel_budgets"] = {name: budget for name, budget in budgets.items() if budget is not None}
    return body


def _pair(low: Any, high: Any) -> dict[str, Any] | None:
    """Bounds of which one end may be left out."""
    if low is None and high is None:
        return None
    return {"low": 0.5 if low is None else low, "high": max(2.0, low or 0) if high is None else high}


def _plans(values: Mapping[str, str], read: Any, dates: OfferedDates) -> Iterator[tuple[str, dict[str, Any]]]:
    for k in range(1, COMPARED + 1):
        spends = {one.name: read(f"plan-{k}-{i}") for i, one in enumerate(dates.channels)}
        given = {name: spend for name, spend in spends.items() if spend is not None}
        if given or values.get(f"plan-{k}"):
            yield values.get(f"plan-{k}", f"plan-{k}"), given


def _called(key: str, dates: OfferedDates) -> str:
    """The name of a field as the page shows it."""
    what, _, place = key.rpartition("-")
    if place.isdigit() and int(place) < len(dates.channels) and what:
        return f"{what.replace('-', ' ')}, {dates.channels[int(place)].name}"
    return key
