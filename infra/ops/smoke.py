"""One tiny request through the whole system."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import requests

from contracts import names
from contracts.events import JOB_FINISHED, TRAIN_REQUESTS
from contracts.job import Job, JobState
from contracts.request import job_id_for
from functions.errors import Transient
from functions.ports import Ports
from functions.steps import create_once
from infra.local.demo_data import demo_request, generate
from infra.ops.listening import Hear, listening
from infra.ops.place import Place
from infra.ops.report import Report, Row

COUNTRY = REVISION = "smoke"
_PERIOD_S = 1.0
T = TypeVar("T")


def smoke(place: Place, timeout_s: float) -> Report:
    """Train a tiny model on generated data: a row per step, then one per thing that must be true.

    It waits for job-finished, as upstream does, on a subscription of its own.

    Rights that were granted a moment ago take minutes to spread: a call that is not allowed is tried again
    until the time is over.
    """
    end = time.monotonic() + timeout_s
    request_id = f"smoke-{uuid.uuid4().hex[:12]}"
    job_id = job_id_for(request_id)
    body = _within(end, lambda: _request(place, request_id))
    with listening(place, JOB_FINISHED) as hear:
        _within(end, lambda: place.ports.bus.publish(TRAIN_REQUESTS, json.dumps(body).encode()))
        told = _told(hear, job_id, end)
    job = _within(end, lambda: place.ports.jobs.get(Job, job_id))
    checks = [_end_check(job, timeout_s), *_told_check(job, told), *_result_checks(place, job, end)]
    rows = [*_timeline(job), *checks]
    return Report(rows, f"job {job_id}", all(row["good"] is not False for row in rows))


def _request(place: Place, request_id: str) -> dict[str, Any]:
    """The request; its data lie under a name made of their content, so that they are there only once."""
    engines = place.runtime.settings.engines
    data = generate(weeks=104).table.to_csv(index=False).encode()
    name = f"sources/{COUNTRY}/{hashlib.sha256(data).hexdigest()[:16]}.csv"
    create_once(place.runtime, name, data)
    return {
        **demo_request(request_id, iterations=20, trials=1),
        "country": COUNTRY,
        "revision": REVISION,
        "engine": "native" if "native" in engines else engines[0],
        "source": {"kind": "object", "name": name},
    }


def _within(end: float, call: Callable[[], T]) -> T:
    while True:
        try:
            return call()
        except Transient:
            if time.monotonic() + _PERIOD_S > end:
                raise
            time.sleep(_PERIOD_S)


def _told(hear: Hear, job_id: str, end: float) -> dict[str, Any] | None:
    """What job-finished said of a job; None if it said nothing in time."""
    while time.monotonic() < end:
        for message in hear():
            if message.get("job_id") == job_id:
                return message
    return None


def _timeline(job: Job | None) -> list[Row]:
    if job is None:
        return []
    begin = job.accepted_at
    return [
        {"step": one.state.value, "good": None, "after_s": (one.at - begin).total_seconds(), "note": one.note}
        for one in job.timeline
    ]


def _row(step: str, good: bool, note: str) -> Row:
    return {"step": step, "good": good, "after_s": None, "note": note}


def _end_check(job: Job | None, timeout_s: float) -> Row:
    if job is None:
        return _row("the request becomes a job", False, f"no job after {timeout_s:.0f} s: is extract woken?")
    if not job.state.terminal:
        waits = f", waits for {job.waits_for}" if job.waits_for else ""
        return _row("the job ends", False, f"still {job.state} after {timeout_s:.0f} s{waits}")
    reason = "; ".join([job.error.detail, *job.error.errors]) if job.error else ""
    return _row("the job succeeds", job.state is JobState.SUCCEEDED, reason)


def _told_check(job: Job | None, told: dict[str, Any] | None) -> list[Row]:
    """Whether upstream was told how the job ended; nothing can be said of a job that has not."""
    if job is None or not job.state.terminal:
        return []
    good = told is not None and told.get("state") == job.state.value
    note = f"it said {told.get('state')}" if told else "no message came: is its topic published to?"
    return [_row("job-finished tells it", good, "" if good else note)]


def _result_checks(place: Place, job: Job | None, end: float) -> list[Row]:
    rows = [page_check(place)]
    if job and job.state is JobState.SUCCEEDED:
        missing = _within(end, lambda: _missing(place.ports, job))
        rows.append(_row("the summaries are there", not missing, ", ".join(missing)))
    return rows


def _missing(ports: Ports, job: Job) -> list[str]:
    return [
        name
        for name in (names.model_summary(job), names.summary(job.country))
        if not ports.objects.stat(name)
    ]


def page_check(place: Place) -> Row:
    """On one machine the page answers; in the cloud it sends a stranger to the sign-in."""
    what = "the page sends strangers to the sign-in" if place.project else "the page answers"
    if place.page is None:
        return _row(what, False, "nothing runs: `make up` starts the system")
    try:
        answer = requests.get(f"{place.page}/health", timeout=30, allow_redirects=False)
    except requests.RequestException as error:
        return _row(what, False, f"no answer: {error}")
    good = answer.status_code == (302 if place.project else 200)
    return _row(what, good, "" if good else f"{place.page} answers {answer.status_code}")
