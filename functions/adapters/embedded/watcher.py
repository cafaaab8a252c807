"""Notices the files that people put into the bucket by hand."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from functions.adapters.embedded.files import Mark
from functions.adapters.embedded.objects import WATCHED, FileObjectStore
from functions.ports import Clock, ObjectInfo

log = logging.getLogger(__name__)

SETTLED_S = 2.0
_TEMPORARY = ("~", ".part", ".tmp", ".crdownload")


class Watcher:
    """Takes a file as uploaded when it has been unchanged for `SETTLED_S`; remembers it over restarts."""

    def __init__(self, objects: FileObjectStore, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self._arriving: dict[str, tuple[Mark, datetime]] = {}
        self._refused: set[str] = set()
        for prefix in WATCHED:
            (objects.bucket / prefix).mkdir(parents=True, exist_ok=True)

    def scan(self, now: datetime | None = None) -> list[ObjectInfo]:
        """Look at every file once, and return what became an object; `now` is the clock's unless given."""
        now = now or self._clock.now()
        known = {name: mark for prefix in WATCHED for name, mark in self._objects.marks(prefix)}
        seen = {name: mark for prefix in WATCHED for name, mark in self._files(prefix)}
        new = {name: mark for name, mark in seen.items() if known.get(name) != mark}
        self._arriving = {name: first for name, first in self._arriving.items() if name in new}
        adopted = [self._look(name, mark, now) for name, mark in new.items()]
        return [info for info in adopted if info]

    def _look(self, name: str, mark: Mark, now: datetime) -> ObjectInfo | None:
        before, since = self._arriving.get(name, (None, now))
        if before != mark:
            since = now
        self._arriving[name] = (mark, since)
        if (now - since).total_seconds() < SETTLED_S:
            return None
        return self._adopt(name, mark)

    def _adopt(self, name: str, mark: Mark) -> ObjectInfo | None:
        try:
            info = self._objects.adopt(name, mark)
        except FileNotFoundError:  # gone again
            return None
        except (ValueError, PermissionError) as error:
            self._refuse(name, error)
            return None
        self._refused.discard(name)
        return info

    def _refuse(self, name: str, error: Exception) -> None:
        if name not in self._refused:
            log.warning("the file %r cannot be taken: %s", name, error)
            self._refused.add(name)

    def _files(self, prefix: str) -> Iterator[tuple[str, Mark]]:
        for folder, folders, files in os.walk(self._objects.bucket / prefix):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for file in files:
                path = Path(folder, file)
                mark = None if file.startswith(".") or file.endswith(_TEMPORARY) else Mark.at(path)
                if mark:
                    yield path.relative_to(self._objects.bucket).as_posix(), mark
