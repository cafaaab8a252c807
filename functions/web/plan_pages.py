"""The page on which the budget of a finished job is planned; it starts nothing and keeps nothing."""

from __future__ import annotations

from flask import Blueprint, Response, json, render_template, request

from contracts.result import Allocation, Figures, Gain
from functions.runtime import Runtime
from functions.web import plan_picture, plans
from functions.web.problems import Unknown
from functions.web.tables import csv_text

_ALL = "all channels"
_SPENT = ("spend", "response", "carry_out")
_EARNED = ("earned_mean", "earned_q05", "earned_q95")
_GAINED = ("gain_mean", "gain_q05", "gain_q50", "gain_q95", "gain_above_zero")


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes. What is asked stands in the address, so that it can be kept and sent on."""
    ports = runtime.ports
    pages = Blueprint("plans", __name__)

    def asked(job_id: str) -> plans.Asked:
        job, curves = plans.curves_of(ports, job_id)
        return plans.ask(ports, job, curves, request.args.to_dict())

    def told(job_id: str) -> tuple[plans.Asked, Allocation]:
        found = asked(job_id)
        if found.answer is None or not found.answer.feasible:
            raise Unknown("there is no answer to this question; the page says why")
        return found, found.answer

    @pages.get("/jobs/<job_id:job_id>/plan")
    def page(job_id: str) -> str:
        found = asked(job_id)
        answer = found.answer
        drawn = plan_picture.picture(answer, found.offer.dependent) if answer and answer.feasible else None
        return render_template(
            "plan.html",
            now=ports.clock.now(),
            job=found.job,
            asked=found,
            answer=answer,
            drawn=drawn,
            compared=range(1, plans.COMPARED + 1),
            query=found.values,
        )

    @pages.get("/jobs/<job_id:job_id>/plan.csv")
    def table(job_id: str) -> Response:
        _, answer = told(job_id)
        return _saved(csv_text(rows(answer)), "text/csv; charset=utf-8", f"{job_id}-plan.csv")

    @pages.get("/jobs/<job_id:job_id>/plan.json")
    def document(job_id: str) -> Response:
        return Response(
            json.dumps(told(job_id)[1].model_dump(mode="json", exclude_none=True)),
            content_type="application/json",
        )

    @pages.get("/jobs/<job_id:job_id>/plan.svg")
    def drawing(job_id: str) -> Response:
        found, answer = told(job_id)
        drawn = plan_picture.picture(answer, found.offer.dependent)
        if drawn is None:
            raise Unknown("nothing is proposed or compared, so there is no picture")
        text = render_template(
            "plan.svg",
            drawn=drawn,
            left=plan_picture.LEFT,
            right=plan_picture.RIGHT,
            width=plan_picture.WIDTH,
        )
        return _saved(text, "image/svg+xml", f"{job_id}-plan.svg")

    return pages


def rows(answer: Allocation) -> list[list[object]]:
    """The answer as a table: a row per plan and channel, and of all channels together; by region of each."""
    ratio = answer.metric or "roas"
    found: list[list[object]] = [["plan", "region", "channel", *_SPENT, *_EARNED, ratio, *_GAINED]]

    def add(
        plan: str, channel: str, figures: Figures | None, gain: Gain | None, region: str = answer.region or ""
    ) -> None:
        if figures is None:
            return
        found.append(
            [
                plan,
                region,
                channel,
                *(getattr(figures, name) for name in _SPENT),
                *(getattr(figures.earned, name.removeprefix("earned_"), None) for name in _EARNED),
                getattr(figures, ratio),
                *(getattr(gain, name.removeprefix("gain_"), None) for name in _GAINED),
            ]
        )

    add("today", _ALL, answer.before, None)
    for one in answer.channels:
        add("today", one.name, one.before, None)
    add("proposed", _ALL, answer.after, answer.gain)
    for one in answer.channels:
        add("proposed", one.name, one.after, one.gain)
    for region in answer.regions:
        add("today", _ALL, region.before, None, region.name)
        for one in region.channels:
            add("today", one.name, one.before, None, region.name)
        add("proposed", _ALL, region.after, region.gain, region.name)
        for one in region.channels:
            add("proposed", one.name, one.after, one.gain, region.name)
    for plan in answer.plans:
        add(plan.name, _ALL, plan.after, plan.gain)
        for channel in plan.channels:
            add(plan.name, channel.name, channel.after, channel.gain)
    return found


def _saved(text: str, kind: str, name: str) -> Response:
    response = Response(text, content_type=kind)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response
