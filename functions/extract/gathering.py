"""A folder of parts becomes one upload when its mark is there and no part has come for some time.

Files arrive in any order, so each event asks what is there now. The event of the newest file decides, and
that of the mark, because it is sent again for a job that waits; the others have nothing to do. What comes
later makes a new version of the folder, whose job replaces that of the version before.
"""

from __future__ import annotations

from datetime import timedelta

from contracts.job import KEEP_ENDED, Upload
from contracts.names import parts_mark
from functions.errors import NotYet
from functions.extract.parts import parts_of, version_of
from functions.ports import Conflict, ObjectInfo
from functions.runtime import Runtime

QUIET = timedelta(seconds=30)
"""Time without a new file after which the parts of a folder count as complete."""
_LATELY = timedelta(hours=1)
"""Time after its start in which a folder that changes counts as the same upload, still being written."""
_AWAITED = "its _SUCCESS and at least one part must be there"


def gather(runtime: Runtime, country: str, folder: str, event: ObjectInfo | None = None) -> Upload | None:
    """The record of a folder of parts as it is now; None if it is incomplete or another event decides.

    Args:
        runtime: the adapters and settings.
        country: the country in whose folder it lies.
        folder: its name.
        event: the part, mark or former part of which the message tells; None: the folder itself is meant.

    Raises:
        NotYet: the folder is complete as far as one can see, but files may still be arriving.
    """
    head = runtime.ports.jobs.get(Upload, f"{folder}#0")
    mark = runtime.ports.objects.stat(parts_mark(folder))
    parts = parts_of(runtime.ports.objects, folder)
    if mark is None or not parts:
        if mark or parts:
            _wait(runtime, country, folder, head)
        return None
    files = [mark, *parts]
    newest = max(files, key=lambda info: (info.updated, info.name))
    if event is not None and _decides_nothing(event, files, (mark, newest)):
        return None
    if runtime.ports.clock.now() - newest.updated < QUIET:
        raise NotYet(f"{folder}: {newest.name} has just come, and others may follow")
    return _record(runtime, country, folder, version_of(files), head)


def _decides_nothing(event: ObjectInfo, files: list[ObjectInfo], deciding: tuple[ObjectInfo, ...]) -> bool:
    """Whether an event's file still exists, but is not one of the newest, whose events decide."""
    told = (event.name, event.generation)
    there = {(info.name, info.generation) for info in files}
    return told in there and told not in {(info.name, info.generation) for info in deciding}


def _wait(runtime: Runtime, country: str, folder: str, head: Upload | None) -> None:
    """Show that the folder is incomplete."""
    now = runtime.ports.clock.now()
    waiting = Upload(name=folder, generation=0, country=country, since=now, reason=_AWAITED)
    if head is None:
        runtime.ports.jobs.create(waiting)
    elif head.state != "WAITING":
        runtime.ports.jobs.replace(waiting, head.version)


def _record(runtime: Runtime, country: str, folder: str, version: int, head: Upload | None) -> Upload:
    """The record of a version, created if absent; that of the folder, whose generation is 0, knows the last.

    Raises:
        Conflict: the folder changed meanwhile.
    """
    jobs, now = runtime.ports.jobs, runtime.ports.clock.now()
    before = head.continues if head else None
    last = jobs.get(Upload, f"{folder}#{before}") if before not in (None, version) else None
    new = Upload(
        name=folder,
        generation=version,
        country=country,
        since=now,
        continues=last.generation if last and now - last.since <= _LATELY else None,
    )
    upload = jobs.create(new) or jobs.get(Upload, new.key)
    if upload is None:
        raise Conflict(f"the record of {folder} appeared and vanished")
    known = {"state": "STARTED", "reason": "", "continues": version, "expires": now + KEEP_ENDED}
    if head is None:
        made = Upload(name=folder, generation=0, country=country, since=now).model_copy(update=known)
        if jobs.create(made) is None:
            raise Conflict(f"the record of {folder} appeared meanwhile")
    elif (head.state, head.continues) != ("STARTED", version):
        jobs.replace(head.model_copy(update=known), head.version)
    return upload
