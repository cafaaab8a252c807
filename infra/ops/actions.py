"""What people do to a system that runs: pause, resume, replay, backfill."""

from __future__ import annotations

import getpass
from collections import Counter
from collections.abc import Sequence
from functools import partial

from contracts.job import DeadLetter, Job, JobState
from contracts.names import model_summary
from functions.paging import every
from functions.ports import Equal, NotFound
from functions.retries import retry_on_conflict
from functions.settings import GcpSettings
from functions.summarize.country import rebuild, trained
from functions.summarize.handler import write_summary
from functions.web import actions
from infra.ops.gcloud import gcloud
from infra.ops.place import Place
from infra.ops.report import Report, Row, Usage


def pause_queues(place: Place, queues: Sequence[str], paused: bool) -> Report:
    """Let queues start nothing new, or start again: those named, or all. What trains goes on.

    Raises:
        Usage: there is no such queue.
    """
    known = place.runtime.settings.queues
    if unknown := sorted(set(queues) - set(known)):
        raise Usage(f"there is no queue {', '.join(unknown)}; there are: {', '.join(known)}")
    changed = [actions.pause(place.runtime, queue, paused, getpass.getuser()) for queue in queues or known]
    return Report([{"queue": one.name, "paused": one.paused, "running": len(one.slots)} for one in changed])


def pause_schedule(place: Place, schedule: str, paused: bool) -> Report:
    """Stop a schedule of Cloud Scheduler, or let it go on. `mmm-sweep` is the clock of the whole system.

    Raises:
        Usage: an installation on one machine has no schedules.
    """
    settings = place.runtime.settings
    if not isinstance(settings, GcpSettings):
        raise Usage("an installation on one machine has no schedules")
    verb = "pause" if paused else "resume"
    gcloud(settings.project, "scheduler", "jobs", verb, schedule, f"--location={settings.region}")
    return Report([{"schedule": schedule, "paused": paused}])


def replay(place: Place, letter: str | None) -> Report:
    """Send one dead letter again, or all that were not sent again yet."""
    letters = [letter] if letter else _unreplayed(place)
    sent = [actions.replay(place.runtime, one, getpass.getuser()) for one in letters]
    rows = [{"letter": one.letter_id, "subscription": one.subscription, "done": "replayed"} for one in sent]
    return Report(rows, f"{len(rows)} dead letters sent again")


def _unreplayed(place: Place) -> list[str]:
    """The oldest first."""
    found = every(place.ports.jobs, DeadLetter)
    return [letter.letter_id for letter in found if letter.replayed_at is None][::-1]


def backfill(place: Place, country: str | None) -> Report:
    """Write the list of runs of one country, or of all, from the summaries of its jobs.

    A job whose summary is missing gets one, from the files of its result. One whose result is not whole any
    more is left out of the list, and is a finding.

    Raises:
        Usage: no job of the country has succeeded.
    """
    one: dict[str, Equal] = {"country": country} if country else {}
    counts: Counter[str] = Counter()
    lost: dict[str, str] = {}
    for job in every(place.ports.jobs, Job, state=JobState.SUCCEEDED.value, **one):
        counts[job.country] += 1
        if trained(job) and place.ports.objects.stat(model_summary(job)) is None:
            try:
                write_summary(place.runtime, job)
            except NotFound as error:
                lost[job.job_id] = f"{job.country}: left out, its result is not whole: {error}"
    if country and not counts:
        raise Usage(f"no job of {country} has succeeded")
    for name in sorted(counts):
        retry_on_conflict(partial(rebuild, place.ports, name, lost))
    rows: list[Row] = [{"country": name, "jobs": counts[name]} for name in sorted(counts)]
    return Report(rows, "\n".join(f"{job_id}: {why}" for job_id, why in lost.items()), good=not lost)
