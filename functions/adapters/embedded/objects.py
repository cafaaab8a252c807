"""The object store: content as plain files, generation and checksum in SQLite.

A file counts as the object that the index describes while its content is what was recorded. It is read only
when its size, time or inode have changed: a folder that was copied, moved or restored holds the same objects.
A file that somebody changed by other means becomes a new generation when it is next looked at. A file that
the index does not know is no object: whoever wrote it died before the commit, or the index is older than the
file; whoever creates the object writes over it. In the folders where people put files (`WATCHED`) only the
watcher decides, because there a file may still be on its way.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from functions.adapters import beginning
from functions.adapters.embedded.bus import SqliteBus
from functions.adapters.embedded.database import Database
from functions.adapters.embedded.files import CHUNK, Mark, Upload, checksums_of, open_plain
from functions.adapters.embedded.names import object_path
from functions.errors import Unavailable
from functions.notifications import notification, topic_of
from functions.ports import AlreadyExists, Clock, Conflict, NotFound, ObjectInfo, UploadForm

WATCHED = ("drop-zone/", "sources/")
"""Where people put files by hand."""
CONTINUES = "continues"
"""The metadata of a file that went on growing: the generation that was its beginning."""
_LATELY = timedelta(hours=1)
"""A file that grows later than this was whole before: somebody has added to it."""
_LOOKS = 5
"""How often an object is looked for again while somebody replaces it."""


@dataclass(frozen=True)
class _Entry:
    """What the index says."""

    info: ObjectInfo
    mark: Mark


class FileObjectStore:
    """Implements `functions.ports.ObjectStore`. Notifies in the transaction that makes an object."""

    def __init__(self, database: Database, folder: Path, bus: SqliteBus, clock: Clock) -> None:
        """`folder`: the files go to `folder`/bucket; what is being written to `folder`/partial."""
        self.bucket = folder / "bucket"
        self.partial = folder / "partial"
        self._database = database
        self._bus = bus
        self._clock = clock
        self.bucket.mkdir(parents=True, exist_ok=True)
        self.partial.mkdir(exist_ok=True)

    # writing

    def create(self, name: str, data: bytes, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        """Create an object.

        Raises:
            AlreadyExists: an object of that name exists.
        """
        return self._write(name, io.BytesIO(data), metadata or {}, if_generation=0)

    def replace(self, name: str, data: bytes, if_generation: int | None) -> ObjectInfo:
        """Write an object over the given generation (0: none may exist; None: whatever is there).

        Raises:
            Conflict: another generation is there.
        """
        return self._write(name, io.BytesIO(data), {}, if_generation)

    @contextmanager
    def writer(self, name: str, metadata: Mapping[str, str] | None = None) -> Iterator[Upload]:
        """Stream a new object. It is created when the block ends well, and not at all if it raises.

        Raises:
            AlreadyExists: when the block ends, if an object of that name exists.
        """
        with self._upload(name) as upload:
            yield upload
            self._commit(name, upload, metadata or {}, if_generation=0)

    def copy(self, source: str, target: str, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        """Create an object with the content of another, and its metadata unless some are given.

        Raises:
            AlreadyExists: the target exists.
            NotFound: the source does not.
        """
        info, content = self._open(source, None)
        with content:
            return self._write(target, content, info.metadata if metadata is None else metadata, 0)

    def delete(self, name: str, generation: int) -> None:
        """Delete an object, unless another generation is there; no error if there is none any more.

        Raises:
            Conflict: another generation is there.
        """
        if self._settled(name) is None:
            return
        path = object_path(self.bucket, name)
        with self._database.transaction() as connection:
            entry, mark = self._entry(name), Mark.at(path)
            if entry and mark:
                if (entry.info.generation, entry.mark) != (generation, mark):
                    raise Conflict(f"'{name}' is not at generation {generation} any more")
                path.unlink()  # a death before the commit leaves an entry without a file, which is no object
            connection.execute("DELETE FROM objects WHERE name = ?", (name,))

    def adopt(self, name: str, mark: Mark) -> ObjectInfo | None:
        """Make a file that was put there by hand a new generation.

        None if its content is that of the present generation, or the file has changed since `mark`. If it is
        a file that was taken moments ago and went on growing, its metadata say which generation it
        `continues`.
        """
        path = object_path(self.bucket, name)
        before = self._entry(name)
        if before and before.mark == mark:
            return None
        whole, beginning = checksums_of(path, before.info.size if before else 0)
        with self._database.transaction() as connection:
            entry = self._entry(name)
            if Mark.at(path) != mark or entry != before:
                return None
            if entry and (entry.info.size, entry.info.crc32c) == (mark.size, whole):
                self._remember(connection, name, mark)
                return None
            grown = entry is not None and mark.size > entry.info.size and beginning == entry.info.crc32c
            continued = self._lately(entry) if grown else {}
            info = self._record(connection, name, mark, whole, continued)
        self._bus.wake()
        return info

    def _lately(self, entry: _Entry | None) -> dict[str, str]:
        if entry is None or self._clock.now() - entry.info.updated > _LATELY:
            return {}
        return {CONTINUES: str(entry.info.generation)}

    def _write(
        self, name: str, content: BinaryIO, metadata: Mapping[str, str], if_generation: int | None
    ) -> ObjectInfo:
        with self._upload(name) as upload:
            shutil.copyfileobj(content, upload, CHUNK)
            return self._commit(name, upload, metadata, if_generation)

    def _upload(self, name: str) -> Upload:
        object_path(self.bucket, name)  # complains before anything is written
        return Upload(self.partial / uuid4().hex)

    def _commit(
        self, name: str, upload: Upload, metadata: Mapping[str, str], if_generation: int | None
    ) -> ObjectInfo:
        upload.close()
        path = object_path(self.bucket, name)
        if if_generation:
            self._settled(name)
        with self._database.transaction() as connection:
            self._check_generation(name, path, if_generation)
            mark = upload.rename(path)
            info = self._record(connection, name, mark, str(upload.checksum), metadata)
        self._bus.wake()
        return info

    def _check_generation(self, name: str, path: Path, expected: int | None) -> None:
        entry, mark = self._entry(name), Mark.at(path)
        watched = name.startswith(WATCHED)
        if expected == 0 and mark and (entry or watched):
            raise AlreadyExists(f"'{name}' exists")
        if expected and (entry is None or mark is None or entry.info.generation != expected):
            found = f"generation {entry.info.generation}" if entry and mark else "no object"
            raise Conflict(f"'{name}' is not at generation {expected}: there is {found}")
        if expected and entry and entry.mark != mark and not watched:
            raise Conflict(f"'{name}' was changed a moment ago")

    def _record(
        self, connection: sqlite3.Connection, name: str, mark: Mark, crc32c: str, metadata: Mapping[str, str]
    ) -> ObjectInfo:
        now = self._clock.now()
        (generation,) = connection.execute(
            "UPDATE last_generation SET value = MAX(value + 1, ?) RETURNING value",
            (int(now.timestamp() * 1_000_000),),
        ).fetchone()
        info = ObjectInfo(name, generation, mark.size, crc32c, now, dict(metadata))
        connection.execute(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                name,
                generation,
                mark.size,
                crc32c,
                now.isoformat(),
                json.dumps(info.metadata),
                mark.mtime_ns,
                mark.inode,
            ),
        )
        if topic_of(name):
            self._bus.enqueue(connection, *notification(info))
        return info

    def _remember(self, connection: sqlite3.Connection, name: str, mark: Mark) -> None:
        """The same content in another file, or at another time."""
        connection.execute(
            "UPDATE objects SET mtime_ns = ?, inode = ? WHERE name = ?", (mark.mtime_ns, mark.inode, name)
        )

    # reading

    def stat(self, name: str) -> ObjectInfo | None:
        """What is known of the newest generation; None if there is no such object."""
        entry = self._settled(name)
        return entry.info if entry else None

    def read(self, name: str, generation: int | None = None) -> bytes:
        """The whole content.

        Raises:
            NotFound: no such object, or that generation is no longer the newest.
            functions.errors.Unavailable: somebody is changing the file.
        """
        with self.reader(name, generation) as content:
            return content.read()

    @contextmanager
    def reader(self, name: str, generation: int | None = None) -> Iterator[BinaryIO]:
        """The content as a seekable stream, which stays the same although the object may be replaced.

        Raises:
            NotFound: no such object, or that generation is no longer the newest.
            functions.errors.Unavailable: somebody is changing the file.
        """
        _, content = self._open(name, generation)
        with content:
            yield content

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects whose name starts so, sorted by name."""
        for name, _ in self.marks(prefix):
            info = self.stat(name)
            if info:
                yield info

    def link(self, name: str, minutes: int) -> str | None:  # noqa: ARG002 (the port's)
        """None: files of this machine have no address of their own."""
        return None

    def upload_form(self, name: str, max_bytes: int, minutes: int, then: str) -> UploadForm | None:  # noqa: ARG002
        """None: the page of this machine receives files itself."""
        return None

    def marks(self, prefix: str) -> Iterator[tuple[str, Mark]]:
        """Of every name that starts so, the file that was recorded as its newest generation."""
        rows = self._database.rows(
            "SELECT name, size, mtime_ns, inode FROM objects WHERE name >= ? AND name < ? ORDER BY name",
            beginning(prefix),
        )
        return ((name, Mark(*mark)) for name, *mark in rows)

    def _open(self, name: str, generation: int | None) -> tuple[ObjectInfo, BinaryIO]:
        watched = name.startswith(WATCHED)
        for _ in range(_LOOKS):  # somebody may be replacing it again and again
            entry = self._settled(name)
            found = self._open_as(entry, generation)
            if found is not None:
                return found
            if entry is None or watched or generation not in (None, entry.info.generation):
                break
        if generation is None and watched and self._mark(name):
            raise Unavailable(
                f"'{name}' is being changed; try again when it has been unchanged for some seconds"
            )
        wanted = f"'{name}'" if generation is None else f"'{name}' of generation {generation}"
        raise NotFound(f"there is no object {wanted}")

    def _open_as(self, entry: _Entry | None, generation: int | None) -> tuple[ObjectInfo, BinaryIO] | None:
        """The file, if it is the one that the index describes and of the wanted generation."""
        if entry is None or (generation is not None and entry.info.generation != generation):
            return None
        path = object_path(self.bucket, entry.info.name)
        if Mark.at(path) != entry.mark:
            return None
        try:
            content = open_plain(path)
        except FileNotFoundError:
            return None
        if Mark.of(os.fstat(content.fileno())) != entry.mark:  # replaced a moment ago
            content.close()
            return None
        return entry.info, content

    def _settled(self, name: str) -> _Entry | None:
        """What is there; a change by hand becomes a new generation, unless the watcher decides that."""
        for _ in range(_LOOKS):
            entry = self._entry(name)
            mark = self._mark(name)
            if entry is None or mark is None:
                return None
            if mark == entry.mark or (name.startswith(WATCHED) and mark.size != entry.mark.size):
                return entry
            with suppress(FileNotFoundError):
                if not name.startswith(WATCHED):
                    self.adopt(name, mark)
                elif not self._recognise(entry, mark):
                    return entry
        raise Unavailable(f"'{name}' is being changed all the time")

    def _recognise(self, entry: _Entry, mark: Mark) -> bool:
        """Whether a watched file has the content that was recorded; then it is that object again."""
        name = entry.info.name
        whole, _ = checksums_of(object_path(self.bucket, name), 0)
        if whole != entry.info.crc32c:
            return False
        with self._database.transaction() as connection:
            if self._entry(name) == entry:
                self._remember(connection, name, mark)
        return True

    def _mark(self, name: str) -> Mark | None:
        """The mark of an object's file; None if there is none, or if the name cannot be that of a file."""
        try:
            return Mark.at(object_path(self.bucket, name))
        except ValueError:
            return None

    def _entry(self, name: str) -> _Entry | None:
        row = self._database.row("SELECT * FROM objects WHERE name = ?", (name,))
        if row is None:
            return None
        with self._database.reading(f"the entry of {name}"):
            info = ObjectInfo(
                name=row["name"],
                generation=row["generation"],
                size=row["size"],
                crc32c=row["crc32c"],
                updated=datetime.fromisoformat(row["updated"]),
                metadata=json.loads(row["metadata"]),
            )
        return _Entry(info, Mark(row["size"], row["mtime_ns"], row["inode"]))
