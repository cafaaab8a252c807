"""What the pages and their JSON twins show, read through the ports."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

from contracts import names
from contracts.api import QueueUse
from contracts.attempt import Manifest, Progress
from contracts.job import (
    DeadLetter,
    FileVersion,
    IgnoredFile,
    IgnoredFiles,
    Job,
    JobState,
    ListedJob,
    ModelInUse,
    Queue,
    Upload,
)
from functions import deletions
from functions.attempts import read_heartbeats
from functions.errors import Transient
from functions.ports import NotFound, ObjectInfo, Ports
from functions.settings import Settings
from functions.steps import uploaded_file
from functions.web.problems import BadQuery, Unknown

A = TypeVar("A")
B = TypeVar("B")
J = TypeVar("J", Job, ListedJob)
PAGE_SIZE = 25
"""Entries of a list on one page."""
UPLOADS = 10
"""Waiting uploads that the list of jobs shows."""
REJECTED = 20
"""The newest rejected uploads, of which the list of jobs shows those whose file is still there."""
STALE = timedelta(seconds=60)
"""Age of the last heartbeat after which a training may be dead."""
SUMMARY = "model_summary.json"
_READERS = ThreadPoolExecutor(8, "read")
"""Threads that last: on one machine each has a connection to the database."""


@dataclass(frozen=True)
class ListPage:
    """One page of dead letters, newest first."""

    items: Sequence[DeadLetter]
    next_before: str | None
    """The value of `before` for the next page; None on the last page."""


@dataclass(frozen=True)
class LastHeartbeat:
    """The newest heartbeat of the running attempt."""

    progress: Progress
    execution: str
    age: timedelta

    @property
    def stale(self) -> bool:
        """Whether the training may be dead."""
        return self.age > STALE


@dataclass(frozen=True)
class JobFile:
    """One file that belongs to a job."""

    name: str
    object_name: str
    size: int


def with_progress(ports: Ports, jobs: Sequence[J]) -> list[J]:
    """The jobs, those that run with the newest progress of their training."""
    running = {job.job_id: job for job in jobs if job.state is JobState.RUNNING}
    newest = dict(zip(running, together(partial(_with_progress, ports), running.values()), strict=True))
    return [newest.get(job.job_id, job) for job in jobs]


def together(read: Callable[[A], B], asked: Iterable[A]) -> list[B]:
    """What is read of each, at the same time."""
    return list(_READERS.map(read, asked))


def _with_progress(ports: Ports, job: J) -> J:
    """The job with the newest progress of its training; otherwise with what sweep copied last."""
    beat = None
    with suppress(Transient):
        beat = read_heartbeats(ports, names.attempt_of(job))
    return job.model_copy(update={"progress": beat.progress}) if beat else job


def dead_letters(ports: Ports, before: str | None, most: int = PAGE_SIZE) -> ListPage:
    """A page of dead letters."""
    if before and ports.jobs.get(DeadLetter, before) is None:
        raise BadQuery(f"before '{before}' does not exist; start at the first page")
    found = ports.jobs.find(DeadLetter, limit=most + 1, before=before or None)
    return ListPage(found[:most], found[most - 1].key if len(found) > most else None)


def waiting_uploads(ports: Ports) -> list[Upload]:
    """Uploaded data whose settings are missing, longest waiting first: one more than are shown."""
    return ports.jobs.due(Upload, ports.clock.now(), by="since", limit=UPLOADS + 1, state="WAITING")


def in_use(ports: Ports, country: str) -> ModelInUse | None:
    """The model that a country uses; None if none is marked."""
    return deletions.in_use(ports.jobs, country)


def ignored_files(ports: Ports) -> IgnoredFiles:
    """Files in the upload folders that nothing comes of, with the reason: no uploads, and rejected ones."""
    known = ports.jobs.get(IgnoredFiles, IgnoredFiles.KEY) or IgnoredFiles()
    rejected = ports.jobs.find(Upload, limit=REJECTED, state="REJECTED")
    versions = [FileVersion(name=one.name, generation=one.generation) for one in rejected]
    there = together(partial(uploaded_file, ports), versions)
    files = [
        IgnoredFile(name=one.name, reason=one.reason)
        for one, info in zip(rejected, there, strict=True)
        if info is not None
    ]
    return known.model_copy(update={"files": [*files, *known.files]})


def queues(ports: Ports, settings: Settings) -> list[QueueUse]:
    """Every queue of the installation."""
    known = {queue.name: queue for queue in ports.jobs.find(Queue)}
    documents = {name: known.get(name) or Queue(name=name) for name in settings.queues}
    return [
        QueueUse(
            name=name,
            running=len(document.slots),
            limit=settings.queues[name],
            paused=document.paused,
        )
        for name, document in documents.items()
    ]


def life(ports: Ports, job: Job) -> LastHeartbeat | None:
    """The last sign of life of a job's training; None if none runs, or it has not begun."""
    if job.state.terminal:
        return None
    beat = read_heartbeats(ports, names.attempt_of(job))
    return LastHeartbeat(beat.progress, beat.execution, ports.clock.now() - beat.updated) if beat else None


def files(ports: Ports, job: Job) -> list[JobFile]:
    """The files of a job: those that have a fixed name and exist, then those that its manifest lists.

    Until an attempt has its console.log there are the logs of its tasks, so far.
    """
    if not (job.country and job.revision):  # a request that named neither left nothing
        return []
    found = ((name, ports.objects.stat(object_name)) for name, object_name in _fixed(job).items())
    there = [JobFile(name, info.name, info.size) for name, info in found if info]
    known = {file.name for file in there}
    if "console.log" not in known:
        logs = ports.objects.list(names.attempt_of(job).logs)
        there += [JobFile(info.name.rsplit("/", 1)[1], info.name, info.size) for info in logs]
    return there + [file for file in _listed(ports, names.results(job)) if file.name not in known]


def _fixed(job: Job) -> dict[str, str]:
    """The objects of the files that have the same name in every job."""
    results = names.results(job)
    return {
        "validation.json": names.validation(job.country, job.job_id),
        "config.json": names.attempt_of(job).config,
        "console.log": f"{results}console.log",
        "manifest.json": f"{results}manifest.json",
        SUMMARY: names.model_summary(job),
    }


def _listed(ports: Ports, results: str) -> list[JobFile]:
    text = _text(ports, f"{results}manifest.json")
    listed = Manifest.model_validate_json(text).files if text else []
    return [JobFile(file.name, results + file.name, file.size) for file in listed if _is_plain(file.name)]


def _is_plain(name: str) -> bool:
    return all(re.fullmatch(r"\w[\w.-]*", part, re.ASCII) for part in name.split("/"))


def file_of(ports: Ports, job: Job, name: str) -> ObjectInfo:
    """The object of one of a job's files; `name` is only ever compared with the names that the job has.

    Raises:
        Unknown: it has no such file.
    """
    for object_name in _objects_called(ports, job, name):
        if info := ports.objects.stat(object_name):
            return info
    raise Unknown(f"job {job.job_id} has no file '{name}'")


def _objects_called(ports: Ports, job: Job, name: str) -> Iterator[str]:
    """The objects that `files` may call so, which costs fewer calls than all of them."""
    if job.country and job.revision:
        fixed = _fixed(job)
        if name in fixed:
            yield fixed[name]
        yield from (file.object_name for file in _listed(ports, names.results(job)) if file.name == name)
        if not ports.objects.stat(fixed["console.log"]):
            logs = ports.objects.list(names.attempt_of(job).logs)
            yield from (info.name for info in logs if info.name.rsplit("/", 1)[1] == name)


def _text(ports: Ports, name: str) -> bytes | None:
    try:
        return ports.objects.read(name)
    except NotFound:
        return None


def preview(letter: DeadLetter, limit: int = 4000) -> str:
    """The message of a dead letter as text, JSON laid out, cut at `limit` characters."""
    try:
        text = base64.b64decode(letter.data).decode()
    except UnicodeDecodeError:
        return f"(not text; base64:)\n{letter.data[:limit]}"
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        text = text.encode(errors="backslashreplace").decode()  # JSON may hold halves of surrogate pairs
    rest = len(text) - limit
    return f"{text[:limit]}\n… {rest} more characters" if rest > 0 else text or "(no data)"
