"""The request that a job trains, and who said each of its values."""

from __future__ import annotations

from pydantic import ValidationError

from contracts.base import filled
from contracts.job import Job
from contracts.mapping import EffectiveRequest, values_of
from contracts.request import TrainRequest


def request_of(job: Job) -> EffectiveRequest:
    """The whole request of a job; of one that is not valid what was said, without defaults."""
    said = filled(job.asked, job.defaults)
    try:
        request = TrainRequest.model_validate(said)
        whole = request.model_dump(mode="json", by_alias=True)
    except ValidationError:
        whole = said
    settings = job.settings.settings if job.settings else {}
    return EffectiveRequest(
        job_id=job.job_id,
        mapping=job.settings,
        request=whole,
        values=values_of(whole, job.request, settings),
    )
