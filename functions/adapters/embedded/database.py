"""One SQLite file for documents, the object index, messages and executions.

Several processes open it at once (host, trainings, command line), each with one connection per thread.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from contracts.cloud import INDEXES, LISTS, Index, Order
from functions.errors import Unavailable

_LAYOUT = 1
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY_TIMEOUT_S = 5.0
_LOG_PAGES = 10_000
"""After so many pages of 4 kB the log goes into the database, which waits for the disk. SQLite's own 1,000
are written many times a second in a burst."""
_OUTSIDE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
    }
)
"""SQLite errors with an outside cause, which may go away."""

_TABLES = """
CREATE TABLE documents (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, key)
);

CREATE TABLE objects (
    name TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    size INTEGER NOT NULL,
    crc32c TEXT NOT NULL,
    updated TEXT NOT NULL,
    metadata TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE last_generation (value INTEGER NOT NULL);
INSERT INTO last_generation VALUES (0);

CREATE TABLE subscriptions (name TEXT PRIMARY KEY, topic TEXT NOT NULL, endpoint TEXT NOT NULL);
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL,
    subscription TEXT NOT NULL,
    data BLOB NOT NULL,
    attributes TEXT NOT NULL,
    published TEXT NOT NULL,
    due REAL NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    leased INTEGER NOT NULL DEFAULT 0,
    parked INTEGER NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT ''
);

CREATE TABLE executions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    job_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    size TEXT NOT NULL,
    task_count INTEGER NOT NULL,
    created TEXT NOT NULL,
    cancelled INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX executions_by_attempt ON executions (job_id, attempt);
CREATE TABLE tasks (
    execution TEXT NOT NULL,
    task_index INTEGER NOT NULL,
    task_attempt INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'PENDING',
    pid INTEGER,
    pid_started REAL,
    started REAL,
    exit_code INTEGER,
    detail TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (execution, task_index)
) WITHOUT ROWID;
CREATE INDEX tasks_by_state ON tasks (state);
"""

_INDEXES = """
CREATE INDEX IF NOT EXISTS deliveries_by_subscription ON deliveries (subscription, parked, due, id);
CREATE INDEX IF NOT EXISTS deliveries_by_age ON deliveries (subscription, id);
CREATE INDEX IF NOT EXISTS deliveries_new ON deliveries (subscription, parked, due, id) WHERE attempt = 0;
CREATE INDEX IF NOT EXISTS documents_by_kind ON documents (kind, sequence);
DROP INDEX IF EXISTS deliveries_due;
"""
"""Made in every folder, also those of earlier releases, which work with them."""


def column(field: str) -> str:
    """A field of a document as a column of `listed`; `created` is the order of creation."""
    return "sequence" if field == "created" else field


def ordered(order: Order) -> str:
    """An order, in SQL."""
    return ", ".join(f"{column(name)} {'DESC' if way == 'DESCENDING' else 'ASC'}" for name, way in order)


def table_name(index: Index) -> str:
    """The table that has an index: one of its own for each field that holds several values."""
    return next((name for name in index.fields if name in LISTS), "listed")


def index_name(index: Index) -> str:
    """What SQLite calls an index."""
    return "_".join(("listed", *index.fields, "by", *(name for name, _ in index.order)))


def _index(index: Index) -> str:
    columns = ", ".join(("kind", *index.fields, ordered(index.order)))
    return f"CREATE INDEX IF NOT EXISTS {index_name(index)} ON {table_name(index)} ({columns});"


def _fields(index: Index) -> Iterator[str]:
    yield from index.fields
    yield from (name for name, _ in index.order if name != "created")


_FIELDS = sorted({name for index in INDEXES for name in _fields(index)} - {*LISTS} | {"expires"})
_MOVING = [name for name in _FIELDS if name in ("state", "deadline", "since")]
_STANDING = [name for name in _FIELDS if name not in _MOVING]


def _values(fields: Iterable[str], body: str) -> str:
    return ", ".join(f"json_extract({body}, '$.{name}')" for name in fields)


def _where_changed(fields: Iterable[str]) -> str:
    """Takes over fields of a document that was replaced, if one has changed: else no index is written."""
    names, values = ", ".join(fields), _values(fields, "new.body")
    changed = f"sequence = new.sequence AND ({names}) IS NOT ({values})"
    return f"UPDATE listed SET ({names}) = ({values}) WHERE {changed};"  # noqa: S608 (names of ours)


_LISTED = f"""
DROP TRIGGER IF EXISTS document_created;
DROP TRIGGER IF EXISTS document_changed;
DROP TRIGGER IF EXISTS document_removed;
DROP TABLE IF EXISTS listed;
CREATE TABLE listed (sequence INTEGER PRIMARY KEY, kind, {", ".join(_FIELDS)});
INSERT INTO listed SELECT sequence, kind, {_values(_FIELDS, "body")} FROM documents;
CREATE TRIGGER document_created AFTER INSERT ON documents BEGIN
    INSERT INTO listed VALUES (new.sequence, new.kind, {_values(_FIELDS, "new.body")});
END;
CREATE TRIGGER document_removed AFTER DELETE ON documents BEGIN
    DELETE FROM listed WHERE sequence = old.sequence;
END;
"""  # noqa: S608 (names of ours)
"""What queries ask of documents, in narrow rows that triggers keep, so that no query parses a document.
Earlier releases know nothing of it and need not."""
_EACH = """
CREATE TABLE IF NOT EXISTS {name} (kind, {name}, sequence, request_id);
CREATE INDEX IF NOT EXISTS {name}_by_document ON {name} (sequence);
CREATE TRIGGER IF NOT EXISTS {name}_created AFTER INSERT ON documents BEGIN
    INSERT INTO {name} SELECT new.kind, value, new.sequence, json_extract(new.body, '$.request_id')
    FROM json_each(new.body, '$.{name}');
END;
CREATE TRIGGER IF NOT EXISTS {name}_replaced AFTER UPDATE OF body ON documents
WHEN json_extract(old.body, '$.{name}') IS NOT json_extract(new.body, '$.{name}') BEGIN
    DELETE FROM {name} WHERE sequence = new.sequence;
    INSERT INTO {name} SELECT new.kind, value, new.sequence, json_extract(new.body, '$.request_id')
    FROM json_each(new.body, '$.{name}');
END;
CREATE TRIGGER IF NOT EXISTS {name}_removed AFTER DELETE ON documents BEGIN
    DELETE FROM {name} WHERE sequence = old.sequence;
END;
"""
"""A field that holds several values, in a row for each. No document of an earlier release has any."""
_CHANGED = f"""
DROP TRIGGER IF EXISTS document_replaced;
CREATE TRIGGER IF NOT EXISTS document_changed AFTER UPDATE OF body ON documents BEGIN
    {_where_changed(_MOVING)}
    {_where_changed(_STANDING)}
END;
"""
"""In place of the trigger of earlier releases, which wrote each of two dozen indexes for every change."""
_LISTED_INDEXES = " ".join(
    (
        *(_EACH.format(name=name) for name in LISTS),
        *dict.fromkeys(map(_index, INDEXES)),
        "CREATE INDEX IF NOT EXISTS listed_accepted ON listed (kind, accepted_at);",
        "CREATE INDEX IF NOT EXISTS listed_expires ON listed (expires) WHERE expires IS NOT NULL;",
    )
)

Parameters = tuple[Any, ...] | Mapping[str, Any]


class DamagedFolder(Unavailable):
    """The database of a folder is damaged or missing, until somebody restores it."""

    title = "The database is damaged"


class Database:
    """Connections to the file, one per thread. Not to be used in a forked child of its process.

    Whichever process finds the file damaged leaves a note beside it, and the host of the folder stops.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, creating it and its tables if necessary.

        Raises:
            RuntimeError: another version of this program made it.
            DamagedFolder: it is no database, or a damaged one.
            functions.errors.Unavailable: the disk is full, for example.
        """
        self._path = path
        self._note = path.with_suffix(".damaged")
        self._local = threading.local()
        self._writing = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._turn = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        weakref.finalize(self, os.close, self._turn)
        try:
            self._create_tables()
        except sqlite3.DatabaseError as error:
            self._say_clearly(error)
            raise

    def look(self) -> None:
        """Complain of damage that any process has found, and of a file that is not the one that was opened.

        Raises:
            DamagedFolder: the database is damaged, emptied, replaced or gone.
        """
        with suppress(FileNotFoundError):
            raise DamagedFolder(self._note.read_text(encoding="utf-8"))
        self._look_at_the_file()

    def forget_damage(self) -> None:
        """Begin anew, with a database that was restored."""
        self._note.unlink(missing_ok=True)

    def damaged(self, what: str) -> DamagedFolder:
        """The error that says so; every process of the folder is told."""
        text = (
            f"{self._path} is damaged ({what}). While the system is stopped, remove state.db-wal and "
            "state.db-shm, put a backup of state.db in its place, and start the system again"
        )
        with suppress(OSError):  # a folder that is gone
            self._note.write_text(text, encoding="utf-8")
        return DamagedFolder(text)

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """What is in the block reads texts that this program wrote.

        Raises:
            DamagedFolder: something else stands there.
        """
        try:
            yield
        except ValueError as error:
            raise self.damaged(f"{what} cannot be read") from error

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, for reading."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            address = f"{self._path.absolute().as_uri()}?mode=rw"  # a file that is gone is not made anew
            connection = sqlite3.connect(address, timeout=_BUSY_TIMEOUT_S, isolation_level=None, uri=True)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
            self._local.connection = connection
        return connection

    def rows(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        try:
            return self.connection.execute(sql, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            self._say_clearly(error)
            raise

    def row(self, sql: str, parameters: Parameters = ()) -> sqlite3.Row | None:
        """The first row of a query."""
        return next(iter(self.rows(sql, parameters)), None)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write everything in the block, or nothing if it raises. It excludes all other writers."""
        with self._own_turn():
            self._look_at_the_file()
            try:
                connection = self.connection
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.DatabaseError as error:
                self._say_clearly(error)
                raise

    def close(self) -> None:
        """Close this thread's connection, if it has one."""
        if hasattr(self._local, "connection"):
            self._local.connection.close()
            del self._local.connection

    @contextmanager
    def _own_turn(self) -> Iterator[None]:
        """Writers wait for each other here, in this process and in others, and go on as soon as they can.

        SQLite's own waiting is to look again after pauses of up to 0.1 s, in which everybody would idle. It
        still excludes writers that do not wait here. The system ends the turn of a process that dies.
        """
        with self._writing:
            fcntl.flock(self._turn, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._turn, fcntl.LOCK_UN)

    def _create_tables(self) -> None:
        with self._own_turn():  # SQLite does not wait while the journal mode changes
            self._path.touch()
            self._file = _identity(self._path)
            found = self.connection.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                self.connection.execute("PRAGMA journal_mode = WAL")
                self.connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_LAYOUT}; COMMIT;")
            elif found != _LAYOUT:
                raise RuntimeError(
                    f"{self._path} has layout {found}, but this version of the program knows layout "
                    f"{_LAYOUT}; use the version that made it, or another folder"
                )
            known = {name for _, name, *_ in self.connection.execute("PRAGMA table_info(listed)")}
            listed = "" if known.issuperset(_FIELDS) else _LISTED + self._without_former_indexes()
            self.connection.executescript(f"BEGIN; {_INDEXES} {listed} {_CHANGED} {_LISTED_INDEXES} COMMIT;")

    def _without_former_indexes(self) -> str:
        """Drops the indexes on documents that earlier releases made."""
        found = self.connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'documents' "
            "AND sql LIKE '%json_extract%'"
        )
        return " ".join(f"DROP INDEX {name};" for (name,) in found)

    def _look_at_the_file(self) -> None:
        try:
            same = _identity(self._path) == self._file
        except FileNotFoundError:
            raise self.damaged("it was deleted while the system ran") from None
        if not same:
            raise self.damaged("another file was put in its place while the system ran")

    def _say_clearly(self, error: sqlite3.DatabaseError) -> None:
        """Raise what an error of SQLite means, if it is known."""
        kind = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte; the rest says more
        if kind in _OUTSIDE:
            self._look_at_the_file()
            raise Unavailable(f"the local database cannot be used now: {error}") from error
        if kind in _DAMAGED:
            raise self.damaged(str(error)) from error
        if kind == sqlite3.SQLITE_ERROR and str(error).startswith("no such"):
            raise self.damaged("a part of it is missing") from error
        if str(error).startswith("Could not decode"):
            raise self.damaged("a text cannot be read") from error


def _identity(path: Path) -> tuple[int, int]:
    """What tells a file from another one that is put in its place."""
    status = path.stat()
    return status.st_dev, status.st_ino
