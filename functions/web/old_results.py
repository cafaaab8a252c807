"""What people can do with old results: look at those that would go, ask for their deletion, stop it."""

from __future__ import annotations

from contracts.deletion import MAX_LISTED, DeletionPreview, OldResult, OldResults, ResultsDeletion
from functions.deletions import Needed, TooManyOpen, has_old_result, old_jobs
from functions.errors import Unavailable
from functions.ports import Conflict, Ports
from functions.retries import retry_on_conflict
from functions.runtime import Runtime
from functions.web.actions import Check, known, unchecked
from functions.web.problems import Refused

_READ_AT_ONCE, _MOST_READ = 100, 1000
"""Jobs that a preview reads at once, and at most."""


def preview(ports: Ports, which: OldResults) -> DeletionPreview:
    """The first results that are as old, each with what needs it.

    Raises:
        Unavailable: too many jobs have not ended to say what is needed.
    """
    try:
        needed = Needed.now(ports.jobs)
    except TooManyOpen as error:
        raise Unavailable(f"{error}, so what they continue is not known; try again later") from error
    results: list[OldResult] = []
    before: str | None = None
    for _ in range(_MOST_READ // _READ_AT_ONCE):
        found = old_jobs(ports.jobs, which, before, _READ_AT_ONCE)
        for job in found:
            if has_old_result(job, which):
                if len(results) == MAX_LISTED:
                    return DeletionPreview(results=results, more=True)
                told = {name: getattr(job, name) for name in OldResult.model_fields if name != "kept"}
                results.append(OldResult(**told, kept=needed.by(job)))
        if len(found) < _READ_AT_ONCE:
            return DeletionPreview(results=results, more=False)
        before = found[-1].key
    return DeletionPreview(results=results, more=True)


def ask(runtime: Runtime, which: OldResults, person: str) -> tuple[ResultsDeletion, bool]:
    """The deletion of old results, and whether it is new; sweep goes on with it. Jobs stay.

    Asked for again after its end, it begins again.
    """

    def asked() -> tuple[ResultsDeletion, bool]:
        jobs = runtime.ports.jobs
        new = ResultsDeletion(**dict(which), by=person, at=runtime.ports.clock.now())
        there = jobs.get(ResultsDeletion, new.key)
        if there is None:
            created = jobs.create(new)
            if created is None:
                raise Conflict(f"{new.key} was asked for by somebody else")
            return created, True
        return (there if there.state == "RUNNING" else jobs.replace(new, there.version)), False

    return retry_on_conflict(asked)


def stop(runtime: Runtime, deletion_id: str, person: str, check: Check = unchecked) -> ResultsDeletion:
    """Let a deletion end where it is; what it has asked for is deleted.

    Raises:
        Unknown: there is no such deletion.
        Refused: it has ended.
    """

    def stopped() -> ResultsDeletion:
        deletion = known(runtime.ports, ResultsDeletion, deletion_id, "deletion", check)
        if deletion.state != "RUNNING":
            raise Refused(f"deletion {deletion_id} has ended: it is {deletion.state}")
        now = runtime.ports.clock.now()
        changes = {"state": "STOPPED", "stopped_by": person, "ended_at": now, "waits_for": ""}
        return runtime.ports.jobs.replace(deletion.model_copy(update=changes), deletion.version)

    return retry_on_conflict(stopped)
