"""Whether the data go on where a former model ended: said before a training takes a slot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pydantic import ValidationError

from contracts import names
from contracts.base import error_lines
from contracts.job import Job
from contracts.request import TrainRequest
from contracts.result import BestModel
from contracts.series import Interval, Obstacle, continuation_obstacles, move_window, other_interval
from functions.ports import NotFound
from functions.runtime import Runtime
from functions.validate.findings import Findings


def former_model(runtime: Runtime, request: TrainRequest) -> BestModel | Obstacle | None:
    """The best model of the job that a request starts from; why it is not available; None without a job."""
    if request.former is None:
        return None
    job = runtime.ports.jobs.get(Job, request.former)
    try:
        if job is None:
            raise NotFound(request.former)
        return BestModel.model_validate_json(
            runtime.ports.objects.read(f"{names.results(job)}best_model.json")
        )
    except NotFound:
        what = "is not there any more"
    except ValidationError as error:
        what = f"has a best_model.json that cannot be read: {'; '.join(error_lines(error))}"
    return Obstacle(
        "former-gone",
        f"the result of the former job {request.former} {what}",
        "name another job, or train a new model",
    )


def check_former(
    dates: Sequence[date],
    interval: Interval,
    request: TrainRequest,
    former: BestModel | Obstacle | None,
    findings: Findings,
) -> None:
    """The data continue the model that the request refreshes; one that is only started from may be older."""
    if request.refresh_of is None or not isinstance(former, BestModel):
        return
    window = former.window
    if obstacle := other_interval(interval, former.interval):
        findings.error(*obstacle)
        return
    moved = move_window(dates, request.window.end, window.end, window.rows)
    for obstacle in continuation_obstacles(moved, window.end):
        findings.error(*obstacle, column=request.columns.date)
