"""Notices the files that people put into the bucket by hand."""

from __future__ import annotations

import logging
import os
import stat
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from contracts.job import MAX_IGNORED, IgnoredFile, IgnoredFiles
from functions.adapters.embedded.files import Mark, open_for_writing
from functions.adapters.embedded.names import object_path
from functions.adapters.embedded.objects import WATCHED, FileObjectStore
from functions.ports import Clock, JobStore, ObjectInfo

log = logging.getLogger(__name__)

SETTLED_S = 2.0
"""Seconds without a change after which a file that nobody has open for writing counts as uploaded."""
UNSURE_S = 10.0
"""The same where it cannot be told who has it open; longer if other files took longer pauses."""
MAX_PAUSE_S = 600.0
_TEMPORARY = ("~", ".part", ".partial", ".tmp", ".crdownload", ".swp")
_REST = 200
"""Scans of the whole folder take at most one part in this many of the time."""


@dataclass
class _Found:
    """What one look at the folders came upon."""

    files: dict[str, Mark] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)  # when the list of its files was changed last


class Watcher:
    """Takes a file as uploaded when it is closed and settled; remembers it over restarts.

    What is no upload, and why, it keeps as the document `IgnoredFiles`.
    """

    def __init__(self, objects: FileObjectStore, jobs: JobStore, clock: Clock) -> None:
        self._objects = objects
        self._jobs = jobs
        self._clock = clock
        self._arriving: dict[str, tuple[Mark, datetime]] = {}
        self._longest_pause_s = 0.0
        self._folders: dict[str, int] = {}
        self._next_scan = 0.0
        self._ignored: dict[str, str] = {}
        for prefix in WATCHED:
            (objects.bucket / prefix).mkdir(parents=True, exist_ok=True)

    def look(self) -> list[ObjectInfo]:
        """Scan if something may have changed; files that rest cost next to nothing.

        A new, renamed or removed file changes its folder. One that is written anew in its place is noticed
        by a scan that is made now and then, the more rarely the longer it takes.
        """
        started = time.monotonic()
        rests = not self._arriving and started < self._next_scan
        if rests and all(_changed(folder) == at for folder, at in self._folders.items()):
            return []
        found = self.scan()
        took = time.monotonic() - started
        self._next_scan = started + took * _REST
        return found

    def scan(self, now: datetime | None = None) -> list[ObjectInfo]:
        """Look at every file once, and return what became an object; `now` is the clock's unless given."""
        now = now or self._clock.now()
        known = {name: mark for prefix in WATCHED for name, mark in self._objects.marks(prefix)}
        found = _Found()
        for prefix in WATCHED:
            self._walk(prefix, found)
        new = {name: mark for name, mark in found.files.items() if known.get(name) != mark}
        self._arriving = {name: first for name, first in self._arriving.items() if name in new}
        refused = {name: reason for name in new if (reason := self._refused(name))}
        adopted = [self._look_at(name, mark, now) for name, mark in new.items() if name not in refused]
        self._folders = found.folders
        self._ignore({_shown(name): reason for name, reason in (found.ignored | refused).items()})
        return [info for info in adopted if info]

    def _look_at(self, name: str, mark: Mark, now: datetime) -> ObjectInfo | None:
        before, since = self._arriving.get(name, (mark, now))
        if before != mark:
            pause_s = min((now - since).total_seconds(), MAX_PAUSE_S)
            self._longest_pause_s = max(self._longest_pause_s, pause_s)
            since = now
        self._arriving[name] = (mark, since)
        try:
            if (now - since).total_seconds() < SETTLED_S or not self._whole(
                name, (now - since).total_seconds()
            ):
                return None
            return self._adopt(name, mark)
        except (FileNotFoundError, PermissionError):  # gone again, or not ours any more
            return None

    def _whole(self, name: str, unchanged_s: float) -> bool:
        """Whether nobody has the file open, or, where that cannot be told, it has rested for long enough."""
        written = open_for_writing(object_path(self._objects.bucket, name))
        if written is None:
            return unchanged_s >= max(UNSURE_S, 2 * self._longest_pause_s)
        return not written

    def _adopt(self, name: str, mark: Mark) -> ObjectInfo | None:
        info = self._objects.adopt(name, mark)
        if info is None and name in dict(self._objects.marks(name)):
            log.info("%r has the content that it had before: nothing is started", name)
        return info

    def _ignore(self, found: dict[str, str]) -> None:
        """Keep what is ignored for the status page, where it has changed."""
        known = self._jobs.get(IgnoredFiles, IgnoredFiles.KEY)
        files = [IgnoredFile(name=name, reason=reason) for name, reason in sorted(found.items())]
        kept = IgnoredFiles(files=files[:MAX_IGNORED], more=max(0, len(files) - MAX_IGNORED))
        if known is None:
            if files:
                self._jobs.create(kept)
        elif (known.files, known.more) != (kept.files, kept.more):
            self._jobs.replace(kept, known.version)
        for name, reason in found.items():
            if self._ignored.get(name) != reason:
                log.warning("the file %s is ignored: %s", name, reason)
        self._ignored = found

    def _walk(self, prefix: str, found: _Found) -> None:
        for folder, folders, files in os.walk(self._objects.bucket / prefix):
            found.folders[folder] = _changed(folder)
            linked = [name for name in folders if Path(folder, name).is_symlink()]
            folders[:] = [name for name in folders if not name.startswith(".")]
            for file in [*files, *linked]:
                if not file.startswith("."):
                    self._sort(Path(folder, file), found)

    def _sort(self, path: Path, found: _Found) -> None:
        name = path.relative_to(self._objects.bucket).as_posix()
        try:
            status = path.lstat()
        except FileNotFoundError:
            return
        reason, mark = _ignored(path, status), Mark.of(status)
        if reason:
            found.ignored[name] = reason
        elif mark:
            found.files[name] = mark

    def _refused(self, name: str) -> str:
        try:
            path = object_path(self._objects.bucket, name)
        except ValueError as error:
            return str(error)
        return "" if os.access(path, os.R_OK) else "this program may not read it; change its permissions"


def _ignored(path: Path, status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return "it is a symbolic link; put the file itself there"
    if not stat.S_ISREG(status.st_mode):
        return "it is no plain file"
    ending = next((ending for ending in _TEMPORARY if path.name.endswith(ending)), None)
    return (
        f"names that end in {ending} are those of files on their way; rename it when it is whole"
        if ending
        else ""
    )


def _shown(name: str) -> str:
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _changed(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except FileNotFoundError:
        return 0
