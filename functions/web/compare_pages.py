"""The page that compares jobs."""

from __future__ import annotations

from flask import Blueprint, Response, json, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from contracts.job import Job
from functions.runtime import Runtime
from functions.web import compare as comparing
from functions.web.problems import BadQuery, Unknown


def blueprint(runtime: Runtime) -> Blueprint:
    """The routes."""
    ports = runtime.ports
    pages = Blueprint("compare", __name__)

    def asked() -> list[str]:
        texts = [part for text in request.args.getlist("jobs") for part in text.split(",")]
        return list(dict.fromkeys(text for part in texts if (text := part.strip())))

    def found(name: str) -> str:
        """The job that a person names by its id or the beginning of its request id."""
        if ports.jobs.get(Job, name) is not None:
            return name
        for job in ports.jobs.find(Job, limit=1, starting=name):
            return job.job_id
        raise Unknown(f"there is no job and no request '{name}'")

    @pages.get("/compare")
    def compare() -> str | Answer:
        jobs = asked()
        if added := request.args.get("add", "").strip():
            together = dict.fromkeys([*jobs, found(added[:128])])
            return redirect(url_for("compare.compare", jobs=",".join(together)), 303)
        if len(request.args.getlist("jobs")) > 1:
            return redirect(url_for("compare.compare", jobs=",".join(jobs)), 303)
        if len(jobs) > comparing.MOST:
            raise BadQuery(f"{len(jobs)} jobs are too many to compare; choose {comparing.MOST} at most")
        compared = comparing.comparison(ports, jobs)
        return render_template(
            "compare.html",
            now=ports.clock.now(),
            compared=compared,
            jobs=jobs,
            every=request.args.get("show") == "all",
            charts=[name for name, chart in comparing.CHARTS.items() if chart(compared)],
        )

    @pages.get("/compare/<name>.vl.json")
    def chart(name: str) -> Response:
        made = comparing.CHARTS.get(name)
        spec = made(comparing.comparison(ports, asked()[: comparing.MOST])) if made else None
        if spec is None:
            raise Unknown(f"there is no chart '{name}' of these jobs")
        return Response(json.dumps(spec), content_type="application/json")

    return pages
